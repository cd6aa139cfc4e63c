"""InstanceNorm1d, 2d and 3d against torch: outputs, gradients and running statistics."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_refused, normal

SHAPES = {
    "InstanceNorm1d": [(4, 3, 5), (3, 5), (1, 3, 4), (2, 3, 0), (3, 0)],
    "InstanceNorm2d": [(2, 3, 2, 2), (3, 3, 1), (3, 2, 2)],
    "InstanceNorm3d": [(2, 3, 2, 1, 2), (3, 1, 3, 1)],
}
CASES = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]
OPTIONS = [
    {}, {"affine": True}, {"affine": True, "bias": False}, {"bias": False}, {"track_running_stats": True}, {"eps": 0.3},
    {"affine": True, "track_running_stats": True}, {"track_running_stats": True, "momentum": 0.7},
    {"track_running_stats": True, "momentum": None}, {"track_running_stats": True, "momentum": 0.0},
    {"affine": True, "eps": 2, "track_running_stats": True, "momentum": 1.0},
]  # fmt: skip


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("name", "shape"), CASES, ids=str)
def test_instance_norm(name, shape, options, training, dtype, device):
    check(lambda nn: getattr(nn, name)(3, **options), normal(*shape), training=training, dtype=dtype, device=device)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(3, 5)),
    st.booleans(),
    st.booleans(),
    st.none() | st.floats(0, 1),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_shape(shape, alone, affine, momentum, tracked, training, seed):
    def build(nn):
        return nn.InstanceNorm1d(shape[1], 1e-3, momentum, affine, tracked)

    check(build, normal(*(shape[1:] if alone else shape), seed=seed), training=training, seed=seed)


@pytest.mark.parametrize("name", ["InstanceNorm1d", "BatchNorm1d"])
def test_a_constant_channel(name, dtype):
    """Its variance is 0, and with an eps above 0 its gradient is not: (g - mean(g)) / sqrt(eps)."""
    x = normal(4, 3, 5)
    x[:, 1] = 2
    check(lambda nn: getattr(nn, name)(3, eps=0.01), x, dtype=dtype)


def test_samples_are_apart():
    """Each sample is as it would be alone, with or without the axis of samples."""
    layer, x = nn.InstanceNorm1d(3), normal(4, 3, 5)
    for n in range(4):
        assert np.array_equal(layer(x)[n], layer(x[n]))
        assert np.array_equal(layer(x)[n], layer(x[n : n + 1])[0])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_steps_in_a_row_and_then_evaluation(options, dtype):
    hand = nn.InstanceNorm1d(3, **options).to(dtype)
    theirs = torch.nn.InstanceNorm1d(3, **options).to(getattr(torch, dtype))
    near = {"rtol": 64 * np.finfo(dtype).eps, "atol": 64 * np.finfo(dtype).eps}
    for step, (shape, training) in enumerate(
        [((4, 3, 5), True), ((3, 4), True), ((2, 3, 7), True), ((2, 3, 5), False), ((3, 6), True), ((3, 1), False)]
    ):
        if shape == (3, 1) and not hand.track_running_stats:
            continue  # refused: each value is its own mean
        hand.train(training)
        theirs.train(training)
        x, g = (3 + 2 * normal(*shape, seed=step)).astype(dtype), normal(*shape, seed=9 + step).astype(dtype)
        x_t = torch.tensor(x, requires_grad=True)
        y, saved = hand.forward(x)
        y_t = theirs(x_t)
        y_t.backward(torch.tensor(g))
        np.testing.assert_allclose(y, y_t.detach().cpu().numpy(), **near)
        np.testing.assert_allclose(hand.backward(g, saved), x_t.grad.cpu().numpy(), **near)
        assert dict(hand.named_buffers()).keys() == dict(theirs.named_buffers()).keys()
        for name, value in theirs.named_buffers():
            np.testing.assert_allclose(getattr(hand, name), value.cpu().numpy(), **near)
    for p, q in zip(hand.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad.cpu().numpy(), rtol=near["rtol"], atol=10 * near["atol"])


@pytest.mark.parametrize("momentum", [0.1, 1.0])
def test_ends_of_the_range(momentum):
    """Variances whose sum over the samples may overflow, and means of inf and -inf: as in torch, and no warning."""
    x = np.zeros((4, 2, 3), np.float32)
    x[:, 0], x[0, 1, 0], x[1, 1, 0] = [1e19, -1e19, 0], np.inf, -np.inf
    hand, theirs = (side.InstanceNorm1d(2, track_running_stats=True, momentum=momentum) for side in (nn, torch.nn))
    np.testing.assert_allclose(hand(x), theirs(torch.tensor(x)).cpu().numpy(), rtol=1e-6)
    for name, value in theirs.named_buffers():
        np.testing.assert_allclose(getattr(hand, name), value.cpu().numpy(), rtol=1e-6)


def test_an_empty_batch():
    """Nothing is learnt from it; torch's is an IndexError."""
    layer = nn.InstanceNorm1d(3, affine=True, track_running_stats=True)
    y, saved = layer.forward(np.ones((0, 3, 4), np.float32))
    assert y.shape == layer.backward(y, saved).shape == (0, 3, 4)
    assert layer.running_mean.tolist() == [0.0] * 3
    assert layer.running_var.tolist() == [1.0] * 3


def test_initial_state_is_torchs():
    for options in OPTIONS:
        hand, theirs = (side.InstanceNorm2d(3, **options).state_dict() for side in (nn, torch.nn))
        assert list(hand) == list(theirs)
        for name, value in hand.items():
            assert value.dtype == theirs[name].cpu().numpy().dtype
            assert value.tolist() == theirs[name].cpu().tolist()
    assert nn.InstanceNorm2d(3, affine=True, dtype=np.float64).weight.dtype == np.float64


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_repr(options):
    assert repr(nn.InstanceNorm2d(3, **options)) == repr(torch.nn.InstanceNorm2d(3, **options))


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        ("InstanceNorm1d", (3,), r"InstanceNorm1d takes 2 or 3 axes, but was given \(3,\)"),
        ("InstanceNorm1d", (2, 3, 4, 5), r"2 or 3 axes"),
        ("InstanceNorm2d", (3, 4), r"InstanceNorm2d takes 3 or 4 axes"),
        ("InstanceNorm3d", (3, 4, 5), r"InstanceNorm3d takes 4 or 5 axes"),
        ("InstanceNorm1d", (2, 4, 5), r"takes 3 channels on axis 1, but was given \(2, 4, 5\)"),
        ("InstanceNorm1d", (4, 5), r"takes 3 channels on axis 0, but was given \(4, 5\)"),
        ("InstanceNorm1d", (2, 3, 1), r"shape \(2, 3, 1\) each value is its own mean"),
        ("InstanceNorm1d", (3, 1), r"each value is its own mean"),
        ("InstanceNorm2d", (2, 3, 1, 1), r"each value is its own mean"),
    ],
)
def test_bad_shapes(name, shape, says):
    check_refused(lambda nn: getattr(nn, name)(3, affine=True), normal(*shape), error=ValueError, match=says)


def test_one_position():
    """In evaluation the running statistics are enough; without them it is refused, as in training."""
    check(lambda nn: nn.InstanceNorm1d(3, track_running_stats=True), normal(2, 3, 1), training=False)
    check_refused(lambda nn: nn.InstanceNorm1d(3).eval(), normal(2, 3, 1), error=ValueError, match="its own mean")


def test_bad_input():
    check_refused(lambda nn: nn.InstanceNorm1d(3), np.ones((2, 3, 4), int), error=TypeError, match="floats, not int64")
    with pytest.raises(TypeError, match=r"InstanceNorm1d has parameters of float32 but was given float64"):
        nn.InstanceNorm1d(3, affine=True).forward(np.ones((2, 3, 4)))
    with pytest.raises(NotImplementedError, match="InstanceNorm1d does not support device"):
        nn.InstanceNorm1d(3, device="cpu")
    with pytest.raises(ValueError, match="3 channels"):  # torch warns where affine is off
        nn.InstanceNorm1d(3).forward(np.ones((2, 4, 5)))


@pytest.mark.parametrize("options", [{}, {"affine": True}, {"track_running_stats": True}], ids=str)
def test_equal_values_without_eps(options, dtype):
    """As in torch they are 0 then, and have no gradient; evaluation by running statistics is not concerned."""
    x, g = normal(2, 3, 4).astype(dtype), normal(2, 3, 4, seed=1).astype(dtype)
    x[:, 1] = 2
    hand = nn.InstanceNorm1d(3, eps=0, dtype=dtype, **options)
    theirs = torch.nn.InstanceNorm1d(3, eps=0, dtype=getattr(torch, dtype), **options)
    leaf = torch.tensor(x, requires_grad=True)
    reference = theirs(leaf)
    reference.backward(torch.tensor(g))
    y, saved = hand.forward(x)
    rounding = 50 * np.finfo(dtype).eps
    for found, expected in ((y, reference.detach()), (hand.backward(g, saved), leaf.grad)):
        assert found.dtype == dtype
        assert (found[:, 1] == 0).all()
        np.testing.assert_allclose(found, expected.cpu().numpy(), rtol=rounding, atol=rounding)
    if hand.weight is not None:
        np.testing.assert_allclose(hand.weight.grad, theirs.weight.grad.cpu().numpy(), rtol=rounding, atol=rounding)
