"""Bilinear against torch, and against the sums of its docstring."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_exact, check_refused, normal


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batch", [(5,), (), (1,), (0,), (5, 2), (3, 0), (2, 1, 3)], ids=str)
def test_bilinear(batch, bias, dtype, device):
    check(lambda nn: nn.Bilinear(3, 2, 4, bias), normal(*batch, 3), normal(*batch, 2), dtype=dtype, device=device)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 3, 2), (3, 1, 2), (3, 2, 1), (4, 2, 3)], ids=str)
def test_sizes(sizes, dtype):
    check(lambda nn: nn.Bilinear(*sizes), normal(5, sizes[0]), normal(5, sizes[1]), dtype=dtype)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(*[st.integers(1, 4)] * 3, st.lists(st.integers(0, 3), max_size=2), st.booleans(), st.integers(0, 99))
def test_any_shape(in1, in2, out, batch, bias, seed):
    x1, x2 = normal(*batch, in1, seed=seed), normal(*batch, in2, seed=seed + 1)
    check(lambda nn: nn.Bilinear(in1, in2, out, bias), x1, x2, seed=seed)


def test_exact_on_integers():
    random = np.random.default_rng(0)
    check_exact(
        lambda nn: nn.Bilinear(3, 4, 2), random.integers(-9, 9, (5, 3)) * 1.0, random.integers(-9, 9, (5, 4)) * 1.0
    )


def test_against_loops():
    layer = nn.Bilinear(3, 2, 4, dtype=np.float64)
    x1, x2, g = normal(5, 3), normal(5, 2), normal(5, 4)
    W = layer.weight.data
    y, grad_x1, grad_x2, grad_W = np.zeros((5, 4)), np.zeros((5, 3)), np.zeros((5, 2)), np.zeros(W.shape)
    for n, o, i, j in np.ndindex(5, 4, 3, 2):
        y[n, o] += x1[n, i] * W[o, i, j] * x2[n, j]
        grad_x1[n, i] += g[n, o] * W[o, i, j] * x2[n, j]
        grad_x2[n, j] += g[n, o] * x1[n, i] * W[o, i, j]
        grad_W[o, i, j] += g[n, o] * x1[n, i] * x2[n, j]
    out, saved = layer.forward(x1, x2)
    found = [out, *layer.backward(g, saved), layer.weight.grad, layer.bias.grad]
    for hand, loops in zip(found, [y + layer.bias.data, grad_x1, grad_x2, grad_W, g.sum(axis=0)], strict=True):
        np.testing.assert_allclose(hand, loops, rtol=0, atol=1e-14)


@pytest.mark.parametrize("sizes", [(2, 0, 3), (2, 3, 0)])
def test_no_features_are_features(sizes):
    """With none in the second input y is the bias; torch's backward is an error where out_features is 0."""
    hand = nn.Bilinear(*sizes)
    y, saved = hand.forward(np.ones((4, 2), np.float32), np.ones((4, sizes[1]), np.float32))
    assert np.array_equal(y, np.broadcast_to(hand.bias.data, (4, sizes[2])))
    grad_x1, grad_x2 = hand.backward(y, saved)
    assert np.array_equal(grad_x1, np.zeros((4, 2)))
    assert np.array_equal(grad_x2, np.zeros((4, sizes[1])))
    assert hand.weight.grad.shape == (sizes[2], 2, sizes[1])


def test_a_seed_means_the_same_weights_for_good():
    """Uniform in +-1/sqrt(in1_features), as torch has it, the weight before the bias."""
    hand, drawn = nn.Bilinear(4, 3, 2, dtype=np.float64, generator=np.random.default_rng(4)), np.random.default_rng(4)
    assert np.array_equal(hand.weight.data, drawn.uniform(-0.5, 0.5, (2, 4, 3)))
    assert np.array_equal(hand.bias.data, drawn.uniform(-0.5, 0.5, 2))
    assert nn.Bilinear(4, 3, 2).weight.dtype == nn.Bilinear(4, 3, 2).bias.dtype == np.float32
    theirs = torch.nn.Bilinear(400, 20, 30)
    assert theirs.weight.abs().max().item() == pytest.approx(1 / 20, rel=0.01)
    assert theirs.bias.abs().max().item() < 1 / 20


@pytest.mark.parametrize(
    ("shape1", "shape2", "says"),
    [
        ((5, 2), (5, 2), r"input1 of \(\.\.\., 3\).*shape \(5, 2\)"),
        ((5, 3), (5, 3), r"input2 of \(\.\.\., 2\).*shape \(5, 3\)"),
        ((), (2,), r"input1 of \(\.\.\., 3\).*shape \(\)"),
        ((5, 3), (1, 2), r"alike.*\(5, 3\) and \(1, 2\)"),
        ((5, 3), (2,), r"alike.*\(5, 3\) and \(2,\)"),
    ],
)
def test_bad_shapes(shape1, shape2, says):
    check_refused(lambda nn: nn.Bilinear(3, 2, 4), normal(*shape1), normal(*shape2), error=ValueError, match=says)


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ((0, 2, 3), "in1_features=0 .* give 1 or above"),
        ((-1, 2, 3), "in1_features=-1 .* give 1 or above"),
        ((2, -1, 3), "in2_features=-1 .* give 0 or above"),
        ((2, 3, -1), "out_features=-1 .* give 0 or above"),
    ],
)
def test_bad_sizes(sizes, says):
    check_refused(lambda nn: nn.Bilinear(*sizes), normal(5, 2), normal(5, 2), error=ValueError, match=says)


def test_bad_input():
    x1, x2 = np.ones((5, 3), np.float32), np.ones((5, 2), np.float32)
    with pytest.raises(TypeError, match=r"input1 has parameters of float32 but was given float64"):
        nn.Bilinear(3, 2, 4).forward(x1.astype(float), x2)
    with pytest.raises(TypeError, match=r"input2 has parameters of float32 but was given float64"):
        nn.Bilinear(3, 2, 4).forward(x1, x2.astype(float))
    with pytest.raises(NotImplementedError, match="device"):
        nn.Bilinear(3, 2, 4, device="cpu")
    assert repr(nn.Bilinear(3, 2, 4)) == repr(torch.nn.Bilinear(3, 2, 4))
