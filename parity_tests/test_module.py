"""Parameter and Module: names, state, modes and dtypes as torch has them."""

import numpy as np
import pytest
import torch

from manual import nn
from manual.module import Module, Parameter


def build(nn):
    return nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Sequential(nn.Linear(4, 2, bias=False)))


def test_names_are_torchs():
    hand, theirs = build(nn), build(torch.nn)
    assert [name for name, _ in hand.named_modules()] == [name for name, _ in theirs.named_modules()]
    assert [name for name, _ in hand.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert list(hand.state_dict()) == list(theirs.state_dict())


def test_state_goes_both_ways_bit_for_bit():
    hand, theirs = build(nn), build(torch.nn)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in hand.state_dict().items()})
    for name, value in theirs.state_dict().items():
        assert np.array_equal(value.cpu().numpy(), hand.state_dict()[name])
    other = build(nn)
    other.load_state_dict({name: value.cpu().numpy() for name, value in theirs.state_dict().items()})
    for name, value in other.state_dict().items():
        assert np.array_equal(value, hand.state_dict()[name])


def test_state_dict_is_a_copy():
    hand = build(nn)
    state = hand.state_dict()
    state["0.weight"][:] = 7
    assert not (hand[0].weight.data == 7).any()
    hand.load_state_dict(state)
    state["0.weight"][:] = 8
    assert (hand[0].weight.data == 7).all()


def test_load_state_dict_refuses_before_it_changes_anything():
    hand = build(nn)
    before = hand.state_dict()
    wrong = {**before, "0.weight": np.zeros((9, 9))}
    with pytest.raises(ValueError, match=r"0\.weight has shape \(9, 9\)"):
        hand.load_state_dict(wrong)
    with pytest.raises(KeyError, match=r"missing \['0\.weight'\], unknown \['extra'\]"):
        hand.load_state_dict({**{k: v for k, v in before.items() if k != "0.weight"}, "extra": np.zeros(1)})
    for name, value in hand.state_dict().items():
        assert np.array_equal(value, before[name])


def test_train_and_eval_reach_every_module():
    hand = build(nn)
    assert all(module.training for _, module in hand.named_modules())
    assert hand.eval() is hand
    assert not any(module.training for _, module in hand.named_modules())
    hand.train()
    assert all(module.training for _, module in hand.named_modules())


def test_dtypes():
    hand = build(nn)
    assert hand[0].weight.dtype == np.float32
    assert hand.double()[0].weight.dtype == np.float64
    x = np.ones((2, 3))
    y, saved = hand.forward(x)
    hand.backward(np.ones_like(y), saved)
    assert hand[0].weight.grad.dtype == np.float64
    assert hand.float()[0].weight.grad.dtype == np.float32


def test_another_dtype_keeps_every_value():
    hand = nn.Sequential(nn.Linear(3, 2), Counter())
    given = np.arange(6, dtype=np.float32).reshape(2, 3) - 2
    hand[0].weight.accumulate(given)
    before = hand.state_dict()
    hand.double()
    assert np.array_equal(hand[0].weight.grad, given)
    assert all(np.array_equal(value, before[name]) for name, value in hand.state_dict().items())


def test_zero_grad():
    hand = build(nn)
    hand[0].weight.accumulate(np.ones((4, 3), np.float32))
    hand.zero_grad()
    assert all(p.grad is None for p in hand.parameters())


class Counter(Module):
    def __init__(self):
        self.register_buffer("count", np.array(3))
        self.register_buffer("mean", np.array([0.5, 1.5]))
        self.register_buffer("nothing", None)


class TorchCounter(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.tensor(3))
        self.register_buffer("mean", torch.tensor([0.5, 1.5], dtype=torch.float64))
        self.register_buffer("nothing", None)


def test_buffers():
    hand, theirs = Counter(), TorchCounter()
    assert list(hand.state_dict()) == list(theirs.state_dict()) == ["count", "mean"]
    assert all(
        np.array_equal(hand.state_dict()[name], value.cpu().numpy()) for name, value in theirs.state_dict().items()
    )
    assert [name for name, _ in hand.named_buffers()] == [name for name, _ in theirs.named_buffers()]
    hand.load_state_dict({"count": np.array(5), "mean": np.array([1.0, 2.0])})
    assert hand.count == 5
    assert hand.mean.tolist() == [1.0, 2.0]
    hand.float()
    assert hand.mean.dtype == np.float32
    assert hand.count.dtype.kind == "i"
    outer = nn.Sequential(Counter())
    assert [name for name, _ in outer.named_buffers()] == ["0.count", "0.mean"]
    outer.load_state_dict({"0.count": np.array(9), "0.mean": np.array([3.0, 4.0])})
    assert outer[0].count == 9


def test_a_gradient_of_another_shape_is_refused():
    """np.zeros(3) + np.ones((5, 3)) would broadcast: a bias gradient that was never summed over the batch."""
    p = Parameter(np.zeros(3))
    with pytest.raises(ValueError, match=r"shape \(5, 3\).*\(3,\).*sum"):
        p.accumulate(np.ones((5, 3)))
    assert p.grad is None


def test_gradients_that_were_taken_out_stay_as_they_are():
    p = Parameter(np.zeros(2))
    given = np.ones(2)
    p.accumulate(given)
    first = p.grad
    given[:] = 5
    p.accumulate(np.ones(2))
    assert first.tolist() == [1.0, 1.0]
    assert p.grad.tolist() == [2.0, 2.0]


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Counter has no forward"):
        Counter()(np.ones(1))
    with pytest.raises(NotImplementedError, match="Counter has no backward"):
        Counter().backward(np.ones(1), None)


@pytest.mark.parametrize(("shape", "wrong"), [((2, 3), (3, 2)), ((2,), (1, 2)), ((4, 3), (3, 4))])
def test_the_same_size_is_not_the_same_shape(shape, wrong):
    p = Parameter(np.zeros(shape))
    with pytest.raises(ValueError, match="shape"):
        p.accumulate(np.zeros(wrong))
    hand = nn.Sequential(nn.Linear(shape[-1], shape[0])) if len(shape) == 2 else None
    if hand is not None:
        state = hand.state_dict()
        with pytest.raises(ValueError, match="shape"):
            hand.load_state_dict({**state, "0.weight": state["0.weight"].T})


def test_a_gradient_of_another_dtype_is_refused():
    p = Parameter(np.zeros(2, np.float32))
    with pytest.raises(TypeError, match=r"float64 for a parameter of float32.*astype"):
        p.accumulate(np.zeros(2))


@pytest.mark.parametrize("change", [{"extra": np.zeros(1)}, None])
def test_one_name_too_many_or_too_few_is_enough(change):
    hand = nn.Linear(3, 2)
    state = hand.state_dict()
    state = {**state, **change} if change else {"weight": state["weight"]}
    with pytest.raises(KeyError, match="extra" if change else "bias"):
        hand.load_state_dict(state)


def test_what_is_loaded_keeps_the_modules_dtype_and_shares_nothing():
    hand, counter = nn.Linear(2, 2), Counter()
    weight, mean = np.ones((2, 2)), np.array([1.0, 2.0])
    hand.load_state_dict({"weight": weight, "bias": np.zeros(2)})
    counter.float().load_state_dict({"count": np.array(1), "mean": mean})
    assert hand.weight.dtype == np.float32
    assert counter.mean.dtype == np.float32
    counter = Counter()
    counter.load_state_dict({"count": np.array(1), "mean": mean})
    mean[:] = 9
    assert counter.mean.tolist() == [1.0, 2.0]
    counter.state_dict()["mean"][:] = 9
    assert counter.mean.tolist() == [1.0, 2.0]


def test_of_a_shared_parameter_the_last_name_wins():
    def shared(nn):
        layer = nn.Linear(2, 2)
        return nn.Sequential(layer, nn.Sigmoid(), layer)

    hand, theirs = shared(nn), shared(torch.nn)
    state = hand.state_dict()
    state["2.weight"] = np.full((2, 2), 7, np.float32)
    hand.load_state_dict(state)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    assert np.array_equal(hand[0].weight.data, theirs[0].weight.detach().cpu().numpy())
    assert [name for name, _ in hand.named_modules()] == [name for name, _ in theirs.named_modules()]


def test_tensors_and_complex_numbers_are_not_loaded():
    hand = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"Tensor.*\.numpy\(\)"):
        hand.load_state_dict({"weight": torch.zeros(2, 2), "bias": np.zeros(2)})
    with pytest.raises(TypeError, match="imaginary"):
        hand.load_state_dict({"weight": np.zeros((2, 2), complex), "bias": np.zeros(2)})


@pytest.mark.parametrize("bias", [np.array(["a", "b"]), np.array([None, 1.0])])
def test_what_is_no_number_is_not_loaded(bias):
    hand = nn.Linear(2, 2)
    before = hand.weight.data.copy()
    with pytest.raises(TypeError, match=r"bias is of .*, not of numbers"):
        hand.load_state_dict({"weight": np.ones((2, 2)), "bias": bias})
    assert np.array_equal(hand.weight.data, before)


@pytest.mark.parametrize("make", [lambda: nn.Linear(2, 2, dtype=int), lambda: nn.Linear(2, 2).to(int)])
def test_parameters_are_floats(make):
    with pytest.raises(TypeError, match="floats, not int64"):
        make()


def test_what_is_no_dtype_is_refused_and_none_changes_nothing():
    hand = nn.Linear(2, 2, dtype=np.float64)
    with pytest.raises(TypeError, match=r"to takes a dtype, np\.float32 or np\.float64, not 'cuda'"):
        hand.to("cuda")
    weight = hand.weight.data
    assert hand.to(None) is hand
    assert hand.weight.data is weight


@pytest.mark.parametrize("mode", ["x", 1, None])
def test_a_mode_is_true_or_false(mode):
    for side in (nn, torch.nn):
        with pytest.raises(ValueError, match=r"train takes True or False|expected to be boolean"):
            side.Linear(2, 2).train(mode)


class Doubling(Module):
    def forward(self, x, *, times=2):
        return x * times, None


def test_options_reach_forward():
    assert Doubling()(np.ones(2), times=5).tolist() == [5.0, 5.0]


def test_a_buffer_registered_again_is_one_buffer():
    counter = Counter()
    counter.register_buffer("mean", np.zeros(2))
    assert [name for name, _ in counter.named_buffers()] == ["count", "mean"]


def test_repr_shows_what_is_inside():
    text = repr(nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Sigmoid())))
    assert text == (
        "Sequential(\n  (0): Linear(in_features=3, out_features=2, bias=True)\n"
        "  (1): Sequential(\n    (0): Sigmoid()\n  )\n)"
    )
    assert text == repr(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Sequential(torch.nn.Sigmoid())))


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.ma.masked_array(np.ones((2, 3)), mask=False), r"takes no MaskedArray: fill what is masked.*x.filled\(0\)"),
        (np.ones((2, 3)).view(np.matrix), "takes a numpy.ndarray, not matrix"),
        ([[1.0, 2.0, 3.0]], "takes a numpy.ndarray, not list"),
        (np.ones((2, 3), int), r"computes with floats, not int64"),
    ],
)
def test_arrays_of_another_kind_are_refused(x, says):
    """A masked array hides numbers from the sums, and * of matrices is a product of matrices."""
    with pytest.raises(TypeError, match=f"Sigmoid {says}"):
        nn.Sigmoid().forward(x)
