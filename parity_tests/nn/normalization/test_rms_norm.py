"""RMSNorm against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_refused, normal

SHAPES = [((3, 5), 5), ((3, 5), [5]), ((7, 3, 4), 4), ((7, 3, 4), (3, 4)), ((5,), 5), ((4, 3), (4, 3)), ((1, 2), 2)]
EMPTY = [((0, 5), 5), ((3, 0, 4), 4), ((3, 0), 0), ((2, 3, 0), (3, 0))]


@pytest.mark.parametrize("options", [{}, {"elementwise_affine": False}, {"eps": 0.3}], ids=str)
@pytest.mark.parametrize(("shape", "normalized_shape"), SHAPES + EMPTY, ids=str)
def test_rms_norm(shape, normalized_shape, options, dtype, device):
    check(lambda nn: nn.RMSNorm(normalized_shape, **options), normal(*shape), dtype=dtype, device=device)


@pytest.mark.parametrize("training", [True, False])
def test_rms_norm_pairs(training, dtype):
    def build(nn):
        return nn.RMSNorm((3, 4), elementwise_affine=False, eps=0.3)

    check(build, normal(5, 3, 4), training=training, dtype=dtype)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(2, 4), min_size=1, max_size=2),
    st.lists(st.integers(0, 3), max_size=2),
    st.booleans(),
    st.floats(1e-6, 2),
    st.integers(0, 99),
)
def test_any_shape(sizes, batch, affine, eps, seed):
    check(lambda nn: nn.RMSNorm(sizes, eps, affine), normal(*batch, *sizes, seed=seed), seed=seed)


@pytest.mark.parametrize("size", [1e-3, 1e-4, 3e-9])
def test_eps_is_the_epsilon_of_the_dtype(size, dtype):
    """Of numbers this small it is a good part of the mean of squares, in float32 at 1e-4 and in float64 at 1e-8."""
    x, g = (size * normal(3, 4)).astype(dtype), normal(3, 4, seed=2).astype(dtype)
    x_t = torch.tensor(x, requires_grad=True)
    layer, theirs = nn.RMSNorm(4, dtype=dtype), torch.nn.RMSNorm(4, dtype=getattr(torch, dtype))
    y, saved = layer.forward(x)
    y_t = theirs(x_t)
    y_t.backward(torch.tensor(g))
    rtol = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, y_t.detach().cpu().numpy(), rtol=rtol)
    np.testing.assert_allclose(
        layer.backward(g, saved), x_t.grad.cpu().numpy(), rtol=rtol, atol=rtol * float(x_t.grad.abs().max())
    )
    np.testing.assert_allclose(layer.weight.grad, theirs.weight.grad.cpu().numpy(), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("eps", [None, 0.0])
def test_ends_of_the_range(eps):
    """Rows that are huge, infinite, NaN, zero and tiny: as in torch, and no warning."""
    rows = [[1e30, -1e30, 2], [np.inf, 1, 2], [np.nan, 1, 2], [1e25, 1e25, 1e25], [0, 0, 0], [1e-30, 2e-30, 4e-30]]
    x, g = np.array(rows, np.float32), normal(6, 3).astype(np.float32)
    x_t = torch.tensor(x, requires_grad=True)
    y_t = torch.nn.RMSNorm(3, eps)(x_t)
    y, saved = nn.RMSNorm(3, eps).forward(x)
    np.testing.assert_allclose(y, y_t.detach().cpu().numpy(), rtol=1e-6)
    if eps is None:
        y_t.backward(torch.tensor(g))
        with np.errstate(invalid="ignore"):  # the upstream gradient meets an infinity
            np.testing.assert_allclose(
                nn.RMSNorm(3, eps).backward(g, saved), x_t.grad.cpu().numpy(), rtol=1e-5, atol=1e-3
            )


def test_initial_state_is_torchs():
    hand, theirs = nn.RMSNorm((2, 3), dtype=np.float64).state_dict(), torch.nn.RMSNorm((2, 3)).state_dict()
    assert list(hand) == list(theirs) == ["weight"]
    assert hand["weight"].tolist() == theirs["weight"].cpu().tolist()
    assert hand["weight"].dtype == np.float64
    assert nn.RMSNorm(3).weight.dtype == np.float32


@pytest.mark.parametrize("options", [{}, {"elementwise_affine": False}, {"eps": 0.5}], ids=str)
def test_repr(options):
    assert repr(nn.RMSNorm((2, 3), **options)) == repr(torch.nn.RMSNorm((2, 3), **options))


@pytest.mark.parametrize(
    ("shape", "normalized_shape", "error", "says"),
    [
        ((3, 5), 4, ValueError, r"RMSNorm takes \(\.\.\., 4\).*\(3, 5\)"),
        ((), 1, ValueError, r"shape \(\)"),
        ((3,), (), ValueError, r"RMSNorm: normalized_shape has one axis or more"),
        ((3,), 3.0, TypeError, r"RMSNorm: normalized_shape is an integer"),
    ],
)
def test_bad_shapes(shape, normalized_shape, error, says):
    check_refused(lambda nn: nn.RMSNorm(normalized_shape), normal(*shape), error=error, match=says)


def test_bad_input():
    def build(nn):
        return nn.RMSNorm(3, elementwise_affine=False)

    check_refused(build, np.ones((2, 3), int), error=TypeError, match=r"RMSNorm.*floats, not int64")
    with pytest.raises(TypeError, match=r"RMSNorm has parameters of float32 but was given float64"):
        nn.RMSNorm(3).forward(np.ones((2, 3)))
    with pytest.raises(NotImplementedError, match="RMSNorm does not support device"):
        nn.RMSNorm(3, device="cpu")
