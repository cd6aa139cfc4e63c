"""RotaryEmbedding against autograd, against a matrix of rotations, and what it is for: scores of distances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check_module, integers, normal
from torch_impl import nn as theirs


def check(*arguments, x, **keywords):
    check_module(nn.RotaryEmbedding(*arguments), theirs.RotaryEmbedding(*arguments), x, **keywords)


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("offset", [0, 1, 7, -2, 5000])
def test_rotary(interleaved, offset, dtype, device):
    check(6, 100.0, interleaved, x=normal(3, 5, 6), offset=offset, dtype=dtype, device=device)


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 5, 4), (3, 1, 4), (3, 0, 4), (0, 3, 4), (3, 5, 7)], ids=str)
def test_rotary_shapes(interleaved, shape, dtype):
    """The last of them has three entries that pass."""
    check(4, 10000.0, interleaved, x=normal(*shape), dtype=dtype)


def test_no_pair_is_turned(dtype):
    check(0, x=normal(3, 5, 2), dtype=dtype)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 2), st.integers(-9, 9), st.booleans(), st.integers(0, 99))
def test_rotary_any_size(pairs, length, passed, offset, interleaved, seed):
    check(2 * pairs, 20.0, interleaved, x=normal(3, length, 2 * pairs + passed, seed=seed), offset=offset, seed=seed)


@pytest.mark.parametrize("interleaved", [True, False])
def test_the_matrix_of_rotations(interleaved):
    """R(t) written out: y = R(t) x and dL/dx = R(t)^T g, and R(t)^T is R(-t)."""
    d, base, offset = 6, 50.0, 3
    layer = nn.RotaryEmbedding(d, base, interleaved)
    x, g = normal(4, d), normal(4, d, seed=1)
    y, saved = layer.forward(x, offset)
    grad = layer.backward(g, saved)
    for row in range(4):
        rotation = np.zeros((d, d))
        for i in range(d // 2):
            angle = (offset + row) * base ** (-2 * i / d)
            one, two = (2 * i, 2 * i + 1) if interleaved else (i, i + d // 2)
            rotation[one, one] = rotation[two, two] = np.cos(angle)
            rotation[one, two], rotation[two, one] = -np.sin(angle), np.sin(angle)
        np.testing.assert_allclose(rotation @ x[row], y[row], atol=1e-15)
        np.testing.assert_allclose(rotation.T @ g[row], grad[row], atol=1e-15)


@pytest.mark.parametrize("interleaved", [True, False])
def test_a_score_depends_on_the_distance_alone(interleaved):
    layer = nn.RotaryEmbedding(8, interleaved=interleaved)
    q, k = normal(1, 8), normal(1, 8, seed=1)
    scores = [(layer(q, t) * layer(k, t - 5)).sum() for t in (5, 6, 50, 999)]
    np.testing.assert_allclose(scores, scores[0], atol=1e-12)
    assert abs((layer(q, 5) * layer(k, 1)).sum() - scores[0]) > 1e-3


def test_a_gradient_keeps_its_length_and_backward_undoes_forward():
    layer = nn.RotaryEmbedding(8)
    x = normal(3, 5, 8)
    y, saved = layer.forward(x, 40)
    np.testing.assert_allclose(layer.backward(y, saved), x, atol=1e-15)
    np.testing.assert_allclose((y * y).sum(-1), (x * x).sum(-1), rtol=1e-14)


def test_the_two_layouts_are_one_but_for_the_order():
    x = normal(5, 6)
    order = np.array([0, 3, 1, 4, 2, 5])  # from halves to pairs side by side
    assert np.array_equal(nn.RotaryEmbedding(6)(x[:, order]), nn.RotaryEmbedding(6, interleaved=False)(x)[:, order])


def test_far_positions_keep_their_digits_in_float32():
    """An angle in float32 would be off by 0.004 radian at position 100,000."""
    x = normal(4, 8).astype(np.float32)
    layer = nn.RotaryEmbedding(8)
    exact = layer(x.astype(np.longdouble), 100_000)
    assert np.abs(layer(x, 100_000) - exact).max() < 4e-7


def test_the_products_are_taken_in_float32():
    """Cosine and sine are rounded first: not one product is as wide as the angles."""
    x = normal(4, 2).astype(np.float32)
    cos, sin = (f(np.arange(4.0)[:, None]).astype(np.float32) for f in (np.cos, np.sin))
    x1, x2 = x[:, :1], x[:, 1:]
    assert np.array_equal(nn.RotaryEmbedding(2)(x), np.concatenate([x1 * cos - x2 * sin, x1 * sin + x2 * cos], axis=1))


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="longdouble is float64 here")
def test_angles_are_as_exact_as_x_is():
    x = normal(3, 4).astype(np.longdouble)
    angle = np.arange(1000, 1003)[:, None] * np.longdouble(7) ** (np.array([0, -1], np.longdouble) / 2)
    x1, x2 = x[:, ::2], x[:, 1::2]
    assert (
        np.abs(nn.RotaryEmbedding(4, base=7)(x, 1000)[:, ::2] - x1 * np.cos(angle) + x2 * np.sin(angle)).max() < 1e-17
    )


def test_in_parts_as_at_once():
    """Keys are cached: what comes at position 3 is turned as if positions 0 to 2 stood before it."""
    layer, x = nn.RotaryEmbedding(4), normal(5, 4)
    assert np.array_equal(layer(x[3:], 3), layer(x)[3:])


def test_bad_arguments():
    with pytest.raises(ValueError, match="even and 0 or above, not 5"):
        nn.RotaryEmbedding(5)
    with pytest.raises(ValueError, match="even and 0 or above, not -2"):
        nn.RotaryEmbedding(-2)
    with pytest.raises(ValueError, match="above 0, not 0"):
        nn.RotaryEmbedding(4, base=0)
    layer = nn.RotaryEmbedding(4)
    for shape in [(3,), (5,), (3, 3)]:
        with pytest.raises(ValueError, match="E of 4 or above"):
            layer.forward(normal(*shape))
    assert np.array_equal(layer(normal(3, 4), np.int64(2)), layer(normal(3, 4), 2))
    assert np.isfinite(nn.RotaryEmbedding(4, base=0.5)(normal(3, 4))).all()
    with pytest.raises(TypeError, match=r"an integer, not 1\.0"):
        layer.forward(normal(3, 4), 1.0)
    with pytest.raises(TypeError, match="RotaryEmbedding computes with floats"):
        layer.forward(integers(3, 4, below=3))
    assert repr(layer) == "RotaryEmbedding(4, base=10000.0, interleaved=True)"
