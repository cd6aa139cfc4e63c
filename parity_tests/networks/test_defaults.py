"""What the networks have in common: generators, default dtypes, defaults that are the twins'."""

import inspect

import numpy as np
import pytest
import torch

import manual.networks as by_hand
import torch_impl.networks as with_autograd

BUILD = {
    "TwoTwoOne": lambda networks, **options: networks.TwoTwoOne(**options),
    "Perceptron": lambda networks, **options: networks.Perceptron(3, **options),
    "MLP": lambda networks, **options: networks.MLP((3, 4, 2), **options),
    "CharRNN": lambda networks, **options: networks.CharRNN(5, 3, 4, **options),
    "ConvNet": lambda networks, **options: networks.ConvNet(4, 3, **options),
    "GPT": lambda networks, **options: networks.GPT(5, 6, 4, 2, 1, **options),
}


@pytest.mark.parametrize("name", BUILD)
def test_one_generator_gives_one_network(name):
    first, second = (BUILD[name](by_hand, generator=np.random.default_rng(5)).state_dict() for _ in range(2))
    assert all(np.array_equal(first[key], second[key]) for key in first)
    fixed = {key for key, value in first.items() if name == "GPT" and value.ndim == 1}  # biases and norms
    for options in ({"generator": np.random.default_rng(6)}, {}, {}):
        other = BUILD[name](by_hand, **options).state_dict()
        assert {key for key in first if np.array_equal(first[key], other[key])} == fixed
        first = other


@pytest.mark.parametrize("name", BUILD)
def test_float32_is_the_default_on_both_sides(name):
    assert {value.dtype for value in BUILD[name](by_hand).state_dict().values()} == {np.dtype(np.float32)}
    assert {value.dtype for value in BUILD[name](with_autograd).state_dict().values()} == {torch.float32}


def test_nine_scalars_are_drawn_from_the_standard_normal():
    generator = np.random.default_rng(0)
    hand = [float(v) for _ in range(300) for v in by_hand.TwoTwoOne(generator=generator).state_dict().values()]
    torch.manual_seed(0)
    theirs = [float(v) for _ in range(300) for v in with_autograd.TwoTwoOne().state_dict().values()]
    for drawn in (hand, theirs):  # 2,700 numbers: the mean to 0.02, the deviation to 0.014
        assert abs(np.mean(drawn)) < 0.08
        assert abs(np.std(drawn) - 1) < 0.06


def test_a_seed_means_the_same_nine_scalars_for_good():
    """Straight from the generator in the tutorial's order, w1 to w6 before b1 to b3."""
    state = by_hand.TwoTwoOne(dtype=np.float64, generator=np.random.default_rng(5)).state_dict()
    assert list(state) == ["w1", "w2", "w3", "w4", "w5", "w6", "b1", "b2", "b3"]
    assert [float(value) for value in state.values()] == np.random.default_rng(5).standard_normal(9).tolist()


def test_neuron_networks_start_alike():
    hand, theirs = by_hand.NeuronNetwork().state_dict(), with_autograd.NeuronNetwork().state_dict()
    assert all(np.array_equal(hand[name], theirs[name].cpu().numpy()) for name in hand)


def test_a_published_perceptron_has_a_sigmoid():
    for networks in (by_hand, with_autograd):
        with pytest.raises(ValueError, match="choose one"):
            networks.Perceptron(2, published=True, logits=True)


@pytest.mark.parametrize("name", [*BUILD, "NeuronNetwork"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_asked_for_is_the_dtype_of_every_parameter(name, dtype):
    build = BUILD.get(name, lambda networks, **options: networks.NeuronNetwork(**options))
    assert {value.dtype for value in build(by_hand, dtype=dtype).state_dict().values()} == {np.dtype(dtype)}


@pytest.mark.parametrize("name", ["Neuron", "NeuronNetwork", "Perceptron", "MLP", "CharRNN", "ConvNet", "GPT"])
def test_the_twins_have_the_same_defaults(name):
    hand, theirs = (inspect.signature(getattr(networks, name)).parameters for networks in (by_hand, with_autograd))
    shared = {key: value.default for key, value in theirs.items() if key != "dtype"}
    assert {key: hand[key].default for key in shared} == shared


def test_a_published_perceptron_has_the_published_rule():
    network = by_hand.Perceptron(2, published=True)
    assert [type(module).__name__ for module in network] == ["Linear", "DoubleSigmoid"]


@pytest.mark.parametrize("network", [by_hand.Neuron([1, 2], 3), by_hand.NeuronNetwork(), by_hand.TwoTwoOne()], ids=repr)
def test_feedforward_gives_a_number_of_pythons(network):
    for dtype in (np.float32, np.longdouble):  # of the latter item() is none
        assert type(network.to(dtype).feedforward([2, 3])) is float


@pytest.mark.parametrize("name", ["Neuron", "TwoTwoOne"])
def test_the_input_has_the_parameters_dtype(name):
    network = by_hand.Neuron([1, 2], 3) if name == "Neuron" else by_hand.TwoTwoOne(dtype=np.float64)
    with pytest.raises(TypeError, match=f"{name} has parameters of float64 but was given float32"):
        network.forward(np.ones((3, 2), np.float32))
    with pytest.raises(TypeError, match="int64"):
        network.forward(np.ones((3, 2), int))


@pytest.mark.parametrize(
    "build", [lambda: by_hand.Neuron([1.0, 0.0], 2.0), by_hand.NeuronNetwork, lambda: by_hand.TwoTwoOne(dtype=float)]
)
def test_infinite_numbers_pass_without_a_warning(build):
    """A training that has run away ends in NaN, as torch's does, and fills no screen with warnings."""
    network, x = build(), np.array([[np.inf, -np.inf], [1e308, -1e308], [np.nan, 0.5], [0.0, 1.0]])
    y, saved = network.forward(x)
    grad = network.backward(np.array([[np.inf], [1e308], [1.0], [-np.inf]]), saved)
    assert np.isnan(y[2]).all()
    assert np.isnan(grad[2]).all()
