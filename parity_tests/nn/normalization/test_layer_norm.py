"""LayerNorm against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_refused, normal

SHAPES = [((3, 5), 5), ((3, 5), [5]), ((7, 3, 4), 4), ((7, 3, 4), (3, 4)), ((5,), 5), ((4, 3), (4, 3)), ((1, 2), 2)]
EMPTY = [((0, 5), 5), ((3, 0, 4), 4), ((3, 0), 0), ((2, 3, 0), (3, 0))]


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"elementwise_affine": False}, {"eps": 0.3}], ids=str)
@pytest.mark.parametrize(("shape", "normalized_shape"), SHAPES + EMPTY, ids=str)
def test_layer_norm(shape, normalized_shape, options, dtype, device):
    check(lambda nn: nn.LayerNorm(normalized_shape, **options), normal(*shape), dtype=dtype, device=device)


@pytest.mark.parametrize(
    "options", [{"bias": False, "eps": 0.3}, {"elementwise_affine": False, "bias": False}], ids=str
)
@pytest.mark.parametrize("training", [True, False])
def test_layer_norm_pairs(options, training, dtype):
    check(lambda nn: nn.LayerNorm((3, 4), **options), normal(5, 3, 4), training=training, dtype=dtype)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(3, 4), min_size=1, max_size=2),
    st.lists(st.integers(0, 3), max_size=2),
    st.booleans(),
    st.booleans(),
    st.floats(1e-6, 2),
    st.integers(0, 99),
)
def test_layer_norm_any_shape(sizes, batch, affine, bias, eps, seed):
    check(lambda nn: nn.LayerNorm(sizes, eps, affine, bias), normal(*batch, *sizes, seed=seed), seed=seed)


@pytest.mark.parametrize("shape", [(4, 1), (1,)])
def test_of_one_value_the_bias_is_left(shape, dtype):
    """y does not depend on x: the gradients of x and weight are 0, where torch leaves up to 1e-4 in float32."""
    layer, g = nn.LayerNorm(1).to(dtype), normal(*shape, seed=3).astype(dtype)
    layer.load_state_dict({"weight": np.array([0.7]), "bias": np.array([0.3])})
    y, saved = layer.forward(normal(*shape).astype(dtype))
    assert np.array_equal(y, np.full(shape, 0.3, dtype))
    assert np.array_equal(layer.backward(g, saved), np.zeros(shape))
    assert layer.weight.grad.tolist() == [0.0]
    assert layer.bias.grad == pytest.approx(g.sum(), rel=1e-6)


def test_large_means_keep_their_digits(dtype):
    """E[x^2] - mean^2 would keep none in float32."""
    check(lambda nn: nn.LayerNorm(6), 4096 + normal(3, 6), dtype=dtype)


@pytest.mark.parametrize("eps", [1e-5, 0.0])
def test_ends_of_the_range(eps):
    """Rows that are huge, infinite, NaN and constant: as in torch, and no warning."""
    rows = [[1e30, -1e30, 2], [np.inf, 1, 2], [np.nan, 1, 2], [3e38, 3e38, 3e38], [2, 2, 2], [1e-30, 2e-30, 4e-30]]
    x, g = np.array(rows, np.float32), normal(6, 3).astype(np.float32)
    x_t = torch.tensor(x, requires_grad=True)
    y_t = torch.nn.LayerNorm(3, eps)(x_t)
    y_t.backward(torch.tensor(g))
    y, saved = nn.LayerNorm(3, eps).forward(x)
    np.testing.assert_allclose(y, y_t.detach().cpu().numpy(), rtol=1e-6)
    if eps:  # without eps the constant row's gradient is inf - inf
        np.testing.assert_allclose(
            nn.LayerNorm(3, eps).backward(g, saved), x_t.grad.cpu().numpy(), rtol=1e-5, atol=1e-3
        )


def test_initial_state_is_torchs():
    hand, theirs = nn.LayerNorm((2, 3), dtype=np.float64).state_dict(), torch.nn.LayerNorm((2, 3)).state_dict()
    assert list(hand) == list(theirs)
    for name, value in hand.items():
        assert value.dtype == np.float64
        assert value.astype(str).tolist() == theirs[name].cpu().numpy().astype(str).tolist()  # 0.0, not -0.0
    assert nn.LayerNorm(3).weight.dtype == nn.LayerNorm(3).bias.dtype == np.float32


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"elementwise_affine": False}, {"eps": 0.5}], ids=str)
def test_repr(options):
    assert repr(nn.LayerNorm((2, 3), **options)) == repr(torch.nn.LayerNorm((2, 3), **options))


@pytest.mark.parametrize(
    ("shape", "normalized_shape", "error", "says"),
    [
        ((3,), (3, -1), ValueError, r"0 or above, not \(3, -1\)"),
        ((3, 5), 4, ValueError, r"takes \(\.\.\., 4\).*\(3, 5\)"),
        ((3, 5), (5, 3), ValueError, r"takes \(\.\.\., 5, 3\)"),
        ((5,), (3, 5), ValueError, r"shape \(5,\)"),
        ((), 1, ValueError, r"shape \(\)"),
        ((3,), (), ValueError, r"one axis or more"),
        ((3,), -3, ValueError, r"0 or above, not \(-3,\)"),
        ((3,), 3.0, TypeError, r"integer or a tuple of them, not 3\.0"),
        ((3,), (3.0,), TypeError, r"integer or a tuple of them"),
    ],
)
def test_bad_shapes(shape, normalized_shape, error, says):
    check_refused(lambda nn: nn.LayerNorm(normalized_shape), normal(*shape), error=error, match=says)


def test_sizes_may_be_numpys():
    assert repr(nn.LayerNorm([np.int64(2), 3])) == repr(torch.nn.LayerNorm([2, 3]))


def test_bad_input():
    check_refused(lambda nn: nn.LayerNorm(3), np.ones((2, 3), int), error=TypeError, match=r"floats, not int64")
    with pytest.raises(TypeError, match=r"LayerNorm has parameters of float32 but was given float64"):
        nn.LayerNorm(3).forward(np.ones((2, 3)))
    with pytest.raises(NotImplementedError, match="device"):
        nn.LayerNorm(3, device="cpu")
    y, _ = nn.LayerNorm(3, elementwise_affine=False).forward(np.ones((2, 3)))  # without parameters any float goes
    assert y.dtype == np.float64
