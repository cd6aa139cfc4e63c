"""GroupNorm against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_refused, normal

SHAPES = [(5, 6), (3, 6, 4), (3, 6, 2, 3), (2, 6, 1, 2, 2), (1, 6, 3), (0, 6), (0, 6, 4)]
OPTIONS = [
    {},
    {"affine": False},
    {"bias": False},
    {"eps": 0.3},
    {"affine": False, "eps": 0.3},
    {"bias": False, "eps": 2},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_group_norm(shape, options, dtype, device):
    check(lambda nn: nn.GroupNorm(2, 6, **options), normal(*shape), dtype=dtype, device=device)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_any_number_of_groups(groups, training, dtype):
    check(lambda nn: nn.GroupNorm(groups, 6), normal(3, 6, 4), training=training, dtype=dtype)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(1, 3), max_size=2), st.integers(0, 99)
)
def test_any_shape(N, groups, each, positions, seed):
    shape = (N, groups * each, *positions, 3)  # three values a group at least: of two, the gradient is rounding alone
    check(lambda nn: nn.GroupNorm(groups, groups * each), normal(*shape, seed=seed), seed=seed)


def test_one_group_is_layer_norm_and_one_a_channel_is_instance_norm():
    x, g = normal(3, 4, 5), normal(3, 4, 5, seed=1)
    pairs = [
        (nn.GroupNorm(1, 4, dtype=np.float64), nn.LayerNorm((4, 5), elementwise_affine=False)),
        (nn.GroupNorm(4, 4, dtype=np.float64), nn.InstanceNorm1d(4)),
    ]
    for group, other in pairs:
        (y, saved), (expected, saved_other) = group.forward(x), other.forward(x)
        np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(group.backward(g, saved), other.backward(g, saved_other), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 1), (3, 4)])
def test_of_one_value_a_group_the_bias_is_left(shape, dtype):
    """Taken by torch where there is more than one sample: y does not depend on x."""
    layer, g = nn.GroupNorm(4, 4).to(dtype), normal(*shape, seed=3).astype(dtype)
    layer.load_state_dict({"weight": normal(4), "bias": normal(4, seed=1)})
    y, saved = layer.forward(normal(*shape).astype(dtype))
    bias = layer.bias.data.reshape(4, *[1] * (len(shape) - 2))
    assert np.array_equal(y, np.broadcast_to(bias, shape))
    assert np.array_equal(layer.backward(g, saved), np.zeros(shape))
    assert layer.weight.grad.tolist() == [0.0] * 4
    theirs = torch.nn.GroupNorm(4, 4, affine=False)(torch.tensor(normal(*shape)))
    assert theirs.abs().max() < 1e-12


def test_no_positions(dtype):
    """Sums over nothing are 0, and so are the gradients; torch's for the weight is NaN."""
    layer = nn.GroupNorm(2, 4).to(dtype)
    y, saved = layer.forward(np.zeros((2, 4, 0), dtype))
    assert layer.backward(y, saved).shape == y.shape == (2, 4, 0)
    assert layer.weight.grad.tolist() == layer.bias.grad.tolist() == [0.0] * 4


def test_no_channels():
    assert repr(nn.GroupNorm(2, 0)) == repr(torch.nn.GroupNorm(2, 0))
    y, saved = nn.GroupNorm(2, 0).forward(np.zeros((3, 0), np.float32))
    assert nn.GroupNorm(2, 0).backward(y, saved).shape == y.shape == (3, 0)


def test_ends_of_the_range():
    rows = [[1e30, -1e30, 2, 1], [np.inf, 1, 2, 1], [np.nan, 1, 2, 1], [3e38, 3e38, 2, 1], [2, 2, 2, 2]]
    x = np.array(rows, np.float32)
    theirs = torch.nn.GroupNorm(2, 4)(torch.tensor(x)).detach().cpu().numpy()
    np.testing.assert_allclose(nn.GroupNorm(2, 4)(x), theirs, rtol=1e-6)


def test_initial_state_is_torchs():
    hand, theirs = nn.GroupNorm(2, 4, dtype=np.float64).state_dict(), torch.nn.GroupNorm(2, 4).state_dict()
    assert list(hand) == list(theirs)
    for name, value in hand.items():
        assert value.dtype == np.float64
        assert value.tolist() == theirs[name].cpu().tolist()
    assert nn.GroupNorm(2, 4).weight.dtype == np.float32


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_repr(options):
    assert repr(nn.GroupNorm(2, 6, **options)) == repr(torch.nn.GroupNorm(2, 6, **options))


@pytest.mark.parametrize(
    ("sizes", "shape", "says"),
    [
        ((3, 4), (2, 4), r"4 channels do not make 3 groups"),
        ((0, 4), (2, 4), "num_groups=0 has a number below 1"),
        ((2, -4), (2, 4), "num_channels=-4 has a number below 0"),
        ((2, 4), (4,), r"takes \(N, 4, \.\.\.\).*shape \(4,\)"),
        ((2, 4), (3, 6), r"takes \(N, 4, \.\.\.\).*shape \(3, 6\)"),
        ((4, 4), (1, 4), r"shape \(1, 4\) has one value a group"),
        ((4, 4), (1, 4, 1), r"shape \(1, 4, 1\) has one value a group"),
    ],
)
def test_bad_shapes(sizes, shape, says):
    check_refused(lambda nn: nn.GroupNorm(*sizes), normal(*shape), error=ValueError, match=says)


def test_bad_input():
    check_refused(lambda nn: nn.GroupNorm(2, 4), np.ones((2, 4), int), error=TypeError, match=r"floats, not int64")
    with pytest.raises(TypeError, match=r"GroupNorm has parameters of float32 but was given float64"):
        nn.GroupNorm(2, 4).forward(np.ones((2, 4)))
    with pytest.raises(NotImplementedError, match="GroupNorm does not support device"):
        nn.GroupNorm(2, 4, device="cpu")
    with pytest.raises(ValueError, match="num_groups=-2"):  # torch takes it, and computes with it
        nn.GroupNorm(-2, 4)
    with pytest.raises(ValueError, match="shape"):  # torch takes it where affine is off
        nn.GroupNorm(2, 4, affine=False).forward(np.ones((3, 6)))
