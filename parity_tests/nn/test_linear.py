"""Linear and Identity against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, normal


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 5), (7, 3, 5), (5,), (1, 5), (0, 5), (3, 0, 5), (2, 3, 4, 5)], ids=str)
def test_linear(shape, bias, dtype, device):
    check(lambda nn: nn.Linear(5, 4, bias), normal(*shape), dtype=dtype, device=device)


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (1, 6), (6, 1), (33, 17)])
def test_linear_sizes(inputs, outputs, dtype, device):
    check(lambda nn: nn.Linear(inputs, outputs), normal(5, inputs), dtype=dtype, device=device)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 6), st.integers(1, 6), st.lists(st.integers(0, 4), max_size=3), st.booleans(), st.integers(0, 99))
def test_linear_any_shape(inputs, outputs, batch, bias, seed):
    check(lambda nn: nn.Linear(inputs, outputs, bias), normal(*batch, inputs, seed=seed), seed=seed)


def test_linear_is_exact_on_integers():
    """Sums of small integers are exact in any order: both sides agree bit for bit."""
    random = np.random.default_rng(5)
    weight, bias, x, g = (random.integers(-9, 9, s).astype(np.float32) for s in [(4, 6), (4,), (5, 6), (5, 4)])
    hand, theirs = nn.Linear(6, 4), torch.nn.Linear(6, 4)
    hand.load_state_dict({"weight": weight, "bias": bias})
    theirs.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
    y, saved = hand.forward(x)
    grad_x = hand.backward(g, saved)
    x_t = torch.tensor(x, requires_grad=True)
    out = theirs(x_t)
    out.backward(torch.tensor(g))
    assert np.array_equal(y, out.detach().cpu().numpy())
    assert np.array_equal(grad_x, x_t.grad.cpu().numpy())
    assert np.array_equal(hand.weight.grad, theirs.weight.grad.cpu().numpy())
    assert np.array_equal(hand.bias.grad, theirs.bias.grad.cpu().numpy())


def test_initial_weights_have_torchs_distribution():
    """Uniform in +-1/sqrt(in), weight and bias: the bounds, and the standard deviation 1/sqrt(3 in) to 2 %."""
    hand = nn.Linear(400, 300, generator=np.random.default_rng(0))
    theirs = torch.nn.Linear(400, 300)
    for name in ("weight", "bias"):
        mine, other = getattr(hand, name).data, getattr(theirs, name).detach().cpu().numpy()
        assert mine.dtype == np.float32
        assert mine.shape == other.shape
        assert np.abs(mine).max() <= 1 / 20
        assert np.abs(mine).max() > 0.99 / 20
    assert hand.weight.data.std() == pytest.approx(theirs.weight.detach().cpu().numpy().std(), rel=0.02)


def test_the_same_generator_draws_the_same_weights():
    first, second = (nn.Linear(3, 2, generator=np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first.weight.data, second.weight.data)
    assert np.array_equal(first.bias.data, second.bias.data)


def test_a_seed_means_the_same_weights_for_good():
    """Straight from the generator, the weight before the bias: a seed that is written down stays worth something."""
    hand, drawn = nn.Linear(4, 3, dtype=np.float64, generator=np.random.default_rng(4)), np.random.default_rng(4)
    assert np.array_equal(hand.weight.data, drawn.uniform(-0.5, 0.5, (3, 4)))
    assert np.array_equal(hand.bias.data, drawn.uniform(-0.5, 0.5, 3))


@pytest.mark.parametrize("shape", [(), (3,), (4, 6)])
def test_identity(shape, dtype, device):
    check(lambda nn: nn.Identity(54, unused=True), normal(*shape), dtype=dtype, device=device)


@pytest.mark.parametrize(
    ("x", "error", "says"),
    [
        (np.ones((3, 5), dtype=int), TypeError, r"floats, not int64.*astype"),
        (np.ones((3, 5), dtype=bool), TypeError, r"floats, not bool"),
        ([[1.0] * 5], TypeError, r"not list.*np\.asarray"),
        (np.ones((3, 5)), TypeError, r"float32 but was given float64.*astype\(np\.float32\).*to\(np\.float64\)"),
        (np.ones((3, 4), dtype=np.float32), ValueError, r"\(\.\.\., 5\).*\(3, 4\)"),
        (np.float32(1).reshape(()), ValueError, r"shape \(\)"),
    ],
)
def test_bad_input(x, error, says):
    with pytest.raises(error, match=says):
        nn.Linear(5, 4).forward(x)


def test_bias_is_drawn_on_both_sides_of_zero():
    bias = nn.Linear(4, 2000, generator=np.random.default_rng(0)).bias.data
    assert abs(bias.mean()) < 0.03
    assert bias.min() < -0.45


def test_bad_arguments():
    with pytest.raises(ValueError, match="Linear: in_features=-1"):
        nn.Linear(-1, 2)
    with pytest.raises(ValueError, match="Linear: out_features=-1"):
        nn.Linear(2, -1)
    with pytest.raises(NotImplementedError, match="device"):
        nn.Linear(1, 2, device="cpu")


def test_the_remedy_names_the_layers_own_dtype():
    with pytest.raises(TypeError, match=r"astype\(np\.float64\)"):
        nn.Linear(5, 4, dtype=np.float64).forward(np.ones((3, 5), dtype=int))
    with pytest.raises(TypeError, match="floats"):
        nn.Identity().forward(np.ones(3, dtype=int))


@pytest.mark.parametrize(("inputs", "outputs"), [(0, 3), (3, 0)])
def test_no_features_are_features(inputs, outputs):
    """With no inputs y is the bias, which is drawn from +-0; with no outputs y is empty."""
    with pytest.warns(UserWarning, match="zero-element"):
        theirs = torch.nn.Linear(inputs, outputs)
    hand = nn.Linear(inputs, outputs)
    y, saved = hand.forward(np.zeros((4, inputs), np.float32))
    assert y.shape == (4, outputs)
    assert hand.backward(y, saved).shape == (4, inputs)
    assert hand.weight.grad.shape == hand.weight.shape
    assert hand.weight.shape == tuple(theirs.weight.shape)
    if not inputs:
        assert hand.bias.data.tolist() == theirs.bias.cpu().tolist() == y[0].tolist() == [0.0] * 3
