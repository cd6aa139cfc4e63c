"""LocalResponseNorm against torch, and against the loops of its docstring."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_refused, normal

# Options under which D is far from k, so that the neighbours show.
STRONG = {"alpha": 1.3, "beta": 0.6, "k": 0.8}


@pytest.mark.parametrize("options", [{}, STRONG, {"alpha": 0.9}, {"alpha": 2, "beta": 1.7}, {"k": 3}], ids=str)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
def test_local_response_norm(size, options, dtype, device):
    check(lambda nn: nn.LocalResponseNorm(size, **options), normal(3, 5, 2), dtype=dtype, device=device)


@pytest.mark.parametrize("shape", [(2, 3, 2, 2), (2, 3, 1, 2, 2), (1, 1, 3), (0, 3, 2), (2, 0, 3), (2, 3, 0)], ids=str)
def test_shapes(shape, dtype, device):
    check(lambda nn: nn.LocalResponseNorm(2, **STRONG), normal(*shape), dtype=dtype, device=device)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(1, 7),
    st.tuples(*[st.integers(2, 4)] * 3),  # of two entries, both gradients may cancel: then nothing shows their scale
    st.tuples(*[st.floats(0.1, 2)] * 3),
    st.booleans(),
    st.integers(0, 99),
)
def test_any_window(size, shape, constants, training, seed):
    check(lambda nn: nn.LocalResponseNorm(size, *constants), normal(*shape, seed=seed), training=training, seed=seed)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_against_loops(size):
    alpha, beta, k = 1.3, 0.6, 0.8
    x, g = normal(2, 5, 3), normal(2, 5, 3, seed=1)
    D, grad = np.full(x.shape, k), np.zeros(x.shape)
    window = [(c, i) for c in range(5) for i in range(c - size // 2, c + (size - 1) // 2 + 1) if 0 <= i < 5]
    for c, i in window:
        D[:, c] += alpha / size * x[:, i] ** 2
    grad += g * D**-beta
    for c, j in window:
        grad[:, j] -= 2 * alpha * beta / size * x[:, j] * g[:, c] * x[:, c] * D[:, c] ** (-beta - 1)
    layer = nn.LocalResponseNorm(size, alpha, beta, k)
    y, saved = layer.forward(x)
    np.testing.assert_allclose(y, x * D**-beta, rtol=1e-13)
    np.testing.assert_allclose(layer.backward(g, saved), grad, rtol=0, atol=1e-14)


@pytest.mark.parametrize("k", [1.0, 0.0, -1.0])
def test_ends_of_the_range(k):
    """Entries that are huge, infinite and NaN, and D that is zero or negative: as in torch, and no warning."""
    columns = [[1e30, -1e30, 2, 1], [np.inf, 1, 2, 1], [np.nan, 1, 2, 1], [0, 0, 0, 1], [2, 2, 2, 2]]
    x, g = np.array(columns, np.float32)[:, :, None], normal(5, 4, 1).astype(np.float32)
    x_t = torch.tensor(x, requires_grad=True)
    y_t = torch.nn.LocalResponseNorm(3, k=k)(x_t)
    y_t.backward(torch.tensor(g))
    layer = nn.LocalResponseNorm(3, k=k)
    y, saved = layer.forward(x)
    np.testing.assert_allclose(y, y_t.detach().cpu().numpy(), rtol=1e-5)
    np.testing.assert_allclose(layer.backward(g, saved), x_t.grad.cpu().numpy(), rtol=1e-4, atol=1e-6)


def test_large_entries_have_a_gradient():
    """D is 1e38 / 3 in float32: D^beta is a number still, D^(beta + 1) is not."""
    x, g = np.full((1, 3, 1), 1e19, np.float32), np.full((1, 3, 1), 1e30, np.float32)
    layer, wide = nn.LocalResponseNorm(3, alpha=1, beta=0.75), nn.LocalResponseNorm(3, alpha=1, beta=0.75)
    grad = layer.backward(g, layer.forward(x)[1])
    exact = wide.backward(g.astype(float), wide.forward(x.astype(float))[1])
    assert np.abs(exact).min() > 1
    np.testing.assert_allclose(grad, exact, rtol=1e-5)


def test_a_divisor_of_0():
    x = np.array([[1.0], [-1.0], [2.0], [0.0]], np.float32)[None]
    theirs = torch.nn.LocalResponseNorm(1, alpha=1, k=-1)(torch.tensor(x)).cpu().numpy()
    assert np.isinf(theirs[0, :2, 0]).all()
    np.testing.assert_allclose(nn.LocalResponseNorm(1, alpha=1, k=-1)(x), theirs, rtol=1e-6)


@pytest.mark.parametrize(
    ("size", "shape", "says"),
    [
        (3, (2, 3), r"three axes or more, not shape \(2, 3\)"),
        (3, (3,), r"three axes or more"),
        (0, (2, 3, 4), "size=0 .* give 1 or above"),
        (-1, (2, 3, 4), "size=-1 .* give 1 or above"),
    ],
)
def test_bad_arguments(size, shape, says):
    check_refused(lambda nn: nn.LocalResponseNorm(size), normal(*shape), error=ValueError, match=says)


def test_bad_input_and_repr():
    with pytest.raises(TypeError, match=r"LocalResponseNorm computes with floats, not int64"):
        nn.LocalResponseNorm(3).forward(np.ones((2, 3, 4), int))
    assert repr(nn.LocalResponseNorm(3, **STRONG)) == repr(torch.nn.LocalResponseNorm(3, **STRONG))
    assert repr(nn.LocalResponseNorm(np.int64(3))) == repr(torch.nn.LocalResponseNorm(3))
