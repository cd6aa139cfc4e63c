"""What the recurrent modules take and refuse, how they are shown, and what their parameters start with."""

import inspect
import typing

import numpy as np
import pytest
import torch

from manual import nn
from parity_tests.parity import check_refused, normal

LAYERS = ["RNN", "LSTM", "GRU"]
CELLS = ["RNNCell", "LSTMCell", "GRUCell"]
layers = pytest.mark.parametrize("name", LAYERS)
cells = pytest.mark.parametrize("name", CELLS)


def state(name, *shape):
    h = normal(*shape)
    return (h, h) if name.startswith("LSTM") else h


@layers
def test_the_arguments_are_those_that_torch_states(name):
    """torch's constructors take (*args, **kwargs); what these may be stands in their overloads."""
    overload = typing.get_overloads(getattr(torch.nn, name).__init__)[0]
    theirs = [(p.name, p.default) for p in inspect.signature(overload).parameters.values() if p.name != "dtype"]
    ours = inspect.signature(getattr(nn, name).__init__).parameters.values()
    assert [(p.name, p.default) for p in ours if p.kind is not p.KEYWORD_ONLY] == theirs
    assert [p.name for p in ours if p.kind is p.KEYWORD_ONLY] == ["dtype", "generator"]
    assert list(inspect.signature(getattr(nn, name).forward).parameters) == ["self", "input", "hx"]


@layers
def test_by_position(name):
    rest = {
        "RNN": ("relu", False, True, 0.5, True),
        "LSTM": (False, True, 0.5, True, 1),
        "GRU": (False, True, 0.5, True),
    }
    ours, theirs = (getattr(side, name)(5, 2, 3, *rest[name]) for side in (nn, torch.nn))
    for argument in ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"):
        assert getattr(ours, argument) == getattr(theirs, argument)
    assert ours.proj_size == theirs.proj_size
    assert getattr(ours, "nonlinearity", None) == getattr(theirs, "nonlinearity", None)
    assert [p.shape for p in ours.state_dict().values()] == [tuple(p.shape) for p in theirs.state_dict().values()]


@pytest.mark.parametrize(
    "build",
    [
        lambda nn: nn.RNN(5, 2, nonlinearity="relu"),
        lambda nn: nn.GRU(5, 2, 3, bias=False, batch_first=True, dropout=0.5, bidirectional=True),
        lambda nn: nn.GRU(5, 2, 3, dropout=1),
        lambda nn: nn.LSTM(5, 2, proj_size=1, num_layers=2),
        lambda nn: nn.RNNCell(5, 2),
        lambda nn: nn.RNNCell(5, 2, bias=False, nonlinearity="relu"),
        lambda nn: nn.LSTMCell(5, 2, False),
        lambda nn: nn.GRUCell(5, 2),
    ],
)
def test_repr_is_torchs(build):
    assert repr(build(nn)) == repr(build(torch.nn))


def test_sizes_are_kept_as_pythons_numbers():
    layer = nn.LSTM(np.int64(5), np.int64(4), np.int64(2), proj_size=np.int64(3))
    assert {type(vars(layer)[name]) for name in ("input_size", "hidden_size", "num_layers", "proj_size")} == {int}


@pytest.mark.parametrize("name", LAYERS + CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_parameters_start_as_torchs(name, bias):
    """Uniform in +-1/sqrt(hidden_size), biases too, drawn in the order of the state dict."""
    size = 400 if name.endswith("Cell") else 100
    hand = getattr(nn, name)(300, size, bias=bias, generator=np.random.default_rng(4))
    theirs, drawn = getattr(torch.nn, name)(300, size, bias=bias), np.random.default_rng(4)
    assert list(hand.state_dict()) == list(theirs.state_dict())
    bound = 1 / np.sqrt(size)
    for key, value in hand.state_dict().items():
        assert value.dtype == np.float32
        assert value.shape == tuple(theirs.state_dict()[key].shape)
        assert np.array_equal(value, drawn.uniform(-bound, bound, value.shape).astype(np.float32))
        spread = theirs.state_dict()[key].cpu().numpy().std()
        assert value.std() == pytest.approx(spread, rel=0.02 if value.ndim > 1 else 0.2)


def test_every_layer_and_direction_is_drawn_in_order():
    options = {"num_layers": 2, "bidirectional": True, "proj_size": 3}
    hand = nn.LSTM(5, 4, **options, dtype=np.float64, generator=np.random.default_rng(4))
    drawn = np.random.default_rng(4)
    assert list(hand.state_dict()) == list(torch.nn.LSTM(5, 4, **options).state_dict())
    for value in hand.state_dict().values():
        assert np.array_equal(value, drawn.uniform(-0.5, 0.5, value.shape))


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_generator_of_its_own(name):
    """Without one given, two modules differ; with a dtype, the parameters have it."""
    first, second = getattr(nn, name)(5, 2), getattr(nn, name)(5, 2, dtype=np.float64)
    for (key, one), two in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        assert (one.dtype, two.dtype) == (np.float32, np.float64), key
        assert not np.allclose(one, two)


@layers
@pytest.mark.parametrize(
    ("sizes", "options", "error", "match"),
    [
        ((0, 2), {}, ValueError, "input_size=0 has a number below 1"),
        ((-3, 2), {}, ValueError, "input_size=-3"),
        ((5, 0), {}, ValueError, "hidden_size=0"),
        ((5, 2, 0), {}, ValueError, "num_layers=0"),
        ((5, 2, -1), {}, ValueError, "num_layers=-1"),
        ((5.0, 2), {}, TypeError, "input_size=5.0 is no whole number"),
        ((5, 2.0), {}, TypeError, "hidden_size=2.0 is no whole number"),
        ((5, 2, 1.0), {}, TypeError, "num_layers=1.0 is no whole number"),
        ((5, 2, 2), {"dropout": -0.1}, ValueError, r"dropout=-0.1 is no probability; use a number in \[0, 1\]"),
        ((5, 2, 2), {"dropout": 1.1}, ValueError, "dropout=1.1"),
        ((5, 2, 2), {"dropout": float("nan")}, ValueError, "dropout=nan"),
        ((5, 2, 2), {"dropout": True}, ValueError, "dropout=True"),
        ((5, 2, 2), {"dropout": "half"}, ValueError, "dropout='half'"),
        ((5, 2), {"bias": 1}, TypeError, "bias=1 is no bool; use True or False"),
        ((5, 2), {"batch_first": 0}, TypeError, "batch_first=0"),
        ((5, 2), {"bidirectional": 1}, TypeError, "bidirectional=1"),
    ],
)
def test_arguments_of_layers_that_are_refused(name, sizes, options, error, match):
    x = normal(4, 3, 5)
    check_refused(lambda nn: getattr(nn, name)(*sizes, **options), x, error=error, match=f"{name}: {match}")


@pytest.mark.parametrize(
    ("size", "error", "match"),
    [
        (2, ValueError, r"proj_size=2 is not from 0 \(none\) to below hidden_size=2"),
        (-1, ValueError, "proj_size=-1"),
        (0.5, TypeError, "proj_size=0.5 is no whole number"),
    ],
)
def test_projections_that_are_refused(size, error, match):
    check_refused(lambda nn: nn.LSTM(5, 2, proj_size=size), normal(4, 3, 5), error=error, match=match)


@pytest.mark.parametrize("name", ["RNN", "GRU"])
def test_a_projection_is_for_an_lstm_alone(name):
    check_refused(lambda nn: getattr(nn, name)(5, 2, proj_size=1), normal(4, 3, 5), error=TypeError, match="proj_size")


@pytest.mark.parametrize("name", ["RNN", "RNNCell"])
def test_another_nonlinearity_is_refused(name):
    check_refused(
        lambda nn: getattr(nn, name)(5, 2, nonlinearity="sin"),
        normal(3, 5),
        error=ValueError,
        match="'sin' is not a nonlinearity; use 'tanh' or 'relu'",
    )


@cells
def test_sizes_of_cells_that_are_refused(name):
    for sizes, says in (((-1, 2), "input_size=-1"), ((5, -2), "hidden_size=-2")):
        build = lambda nn, sizes=sizes: getattr(nn, name)(*sizes)  # noqa: E731
        check_refused(build, normal(3, 5), error=ValueError, match=f"{name}: {says} has a number below 0")


@layers
@pytest.mark.parametrize(
    ("x", "h", "match"),
    [
        ((4, 3, 6), None, r"takes \(T, N, 5\) or \(T, 5\), but was given an input of shape \(4, 3, 6\)"),
        ((4, 6), None, r"shape \(4, 6\)"),
        ((5,), None, r"shape \(5,\)"),
        ((2, 4, 3, 5), None, r"shape \(2, 4, 3, 5\)"),
        ((), None, r"shape \(\)"),
        ((0, 3, 5), None, "one step or more"),
        ((0, 5), None, "one step or more"),
        ((4, 3, 5), (1, 1, 2), r"takes h_0 of shape \(2, 3, 2\) with this input, but was given \(1, 1, 2\)"),
        ((4, 3, 5), (1, 3, 2), r"given \(1, 3, 2\)"),
        ((4, 3, 5), (2, 4, 2), r"given \(2, 4, 2\)"),
        ((4, 3, 5), (2, 3, 3), r"given \(2, 3, 3\)"),
        ((4, 3, 5), (2, 2), r"given \(2, 2\)"),
        ((4, 5), (2, 1, 2), r"takes h_0 of shape \(2, 2\) with this input, but was given \(2, 1, 2\)"),
    ],
)
def test_shapes_that_layers_refuse(name, x, h, match):
    states = [] if h is None else [state(name, *h)]
    check_refused(lambda nn: getattr(nn, name)(5, 2, 2), normal(*x), *states, error=ValueError, match=match)


def test_batch_first_is_said():
    build = lambda nn: nn.GRU(5, 2, batch_first=True)  # noqa: E731
    check_refused(build, normal(4, 3, 6), error=ValueError, match=r"takes \(N, T, 5\)")
    check_refused(build, normal(3, 0, 5), error=ValueError, match="one step or more")
    check_refused(build, normal(3, 4, 5), normal(1, 4, 2), error=ValueError, match=r"\(1, 3, 2\)")


@cells
@pytest.mark.parametrize(
    ("x", "h", "match"),
    [
        ((3, 6), None, r"takes \(N, 5\) or \(5,\), but was given an input of shape \(3, 6\)"),
        ((6,), None, r"shape \(6,\)"),
        ((2, 3, 5), None, r"shape \(2, 3, 5\)"),
        ((), None, r"shape \(\)"),
        ((3, 5), (1, 2), r"takes h_0 of shape \(3, 2\) with this input, but was given \(1, 2\)"),
        ((3, 5), (2,), r"given \(2,\)"),
        ((3, 5), (3, 3), r"given \(3, 3\)"),
        ((5,), (1, 2), r"takes h_0 of shape \(2,\) with this input, but was given \(1, 2\)"),
    ],
)
def test_shapes_that_cells_refuse(name, x, h, match):
    states = [] if h is None else [state(name, *h)]
    check_refused(lambda nn: getattr(nn, name)(5, 2), normal(*x), *states, error=ValueError, match=match)


@pytest.mark.parametrize(("name", "x", "h"), [("LSTM", (4, 3, 5), (1, 3, 2)), ("LSTMCell", (3, 5), (3, 2))])
def test_the_state_of_an_lstm_is_a_pair(name, x, h):
    build = lambda nn: getattr(nn, name)(5, 2)  # noqa: E731
    wrong = (*h[:-1], 3)
    for hx in (normal(2, *h), (normal(*h),), (normal(*h),) * 3):
        if name == "LSTMCell" and len(hx) == 3:
            continue  # torch takes the first two of three
        check_refused(build, normal(*x), hx, error=TypeError, match=r"two arrays: give hx=\(h_0, c_0\)")
    check_refused(build, normal(*x), (normal(*h), normal(*wrong)), error=ValueError, match="takes c_0 of shape")
    check_refused(build, normal(*x), (normal(*h), None), error=TypeError, match="for c_0, takes a numpy.ndarray")
    listed = [normal(*h).astype(np.float32)] * 2
    assert getattr(nn, name)(5, 2).forward(normal(*x).astype(np.float32), listed)


def test_with_a_projection_h_and_c_differ_in_shape():
    build = lambda nn: nn.LSTM(5, 4, proj_size=2)  # noqa: E731
    c_like_h = (normal(1, 3, 2), normal(1, 3, 2))
    check_refused(build, normal(4, 3, 5), c_like_h, error=ValueError, match=r"takes c_0 of shape \(1, 3, 4\)")
    h_like_c = (normal(1, 3, 4), normal(1, 3, 4))
    check_refused(build, normal(4, 3, 5), h_like_c, error=ValueError, match=r"takes h_0 of shape \(1, 3, 2\)")


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_dtypes_that_are_refused(name):
    module, x, shape = getattr(nn, name)(5, 2), normal(3, 5).astype(np.float32), (3, 2)
    shape = (1, 2) if name in LAYERS else (3, 2)
    with pytest.raises(TypeError, match=rf"{name} has parameters of float32 but was given float64.*astype"):
        module.forward(x.astype(np.float64))
    with pytest.raises(TypeError, match=rf"{name} takes a numpy.ndarray, not list"):
        module.forward(x.tolist())
    with pytest.raises(TypeError, match=rf"{name}, for h_0, has parameters of float32 but was given float64"):
        module.forward(x, state(name, *shape))


@pytest.mark.cpu_only("what is refused is no matter of the device")
@layers
def test_a_packed_sequence_is_refused(name):
    packed = torch.nn.utils.rnn.pack_sequence([torch.ones(3, 5), torch.ones(2, 5)])
    with pytest.raises(NotImplementedError, match=f"{name} does not support a PackedSequence here; give an array"):
        getattr(nn, name)(5, 2).forward(packed)


@pytest.mark.parametrize("name", LAYERS + CELLS)
def test_a_device_is_refused(name):
    with pytest.raises(NotImplementedError, match=f"{name} does not support device="):
        getattr(nn, name)(5, 2, device="cpu")
