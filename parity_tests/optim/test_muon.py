"""Muon's matrix: nearly orthogonal, and torch's but for bfloat16."""

import numpy as np
import pytest
import torch

from manual import nn, optim
from manual.optim.muon import orthogonalized
from parity_tests.optim.twins import to_torch

BFLOAT16 = 2.0**-8


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (1, 5), (5, 1)])
def test_singular_vectors_stay_and_values_go_near_1(shape):
    """U S V^T becomes U p(p(...p(S / |S|))) V^T, by the singular values of NumPy."""
    d = normal(*shape)
    u, s, vt = np.linalg.svd(d, full_matrices=False)
    p = s / np.sqrt((s * s).sum())
    for _ in range(5):
        p = 3.4445 * p - 4.7750 * p**3 + 2.0315 * p**5
    np.testing.assert_allclose(orthogonalized(d), u @ np.diag(p) @ vt, atol=1e-13)
    assert p.min() > 0.68
    assert p.max() < 1.14


def test_the_range_that_the_docstring_states():
    """Values above 0.01 are in [0.68, 1.14] after five steps, and stay there."""
    s = np.linspace(0.01, 1, 100_001)
    for step in range(60):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
        if step >= 4:
            assert s.min() > 0.68
            assert s.max() < 1.14


def test_the_coefficients_that_converge():
    """15/8, -10/8, 3/8: p(1) = 1 and p'(1) = p''(1) = 0, so that U V^T itself comes out."""
    d = normal(3, 5)
    u, _, vt = np.linalg.svd(d, full_matrices=False)
    np.testing.assert_allclose(orthogonalized(d, (15 / 8, -10 / 8, 3 / 8), 12), u @ vt, atol=1e-14)


@pytest.mark.parametrize("shape", [(20, 30), (30, 20), (64, 64)])
def test_torch_differs_by_bfloat16_alone(shape):
    """torch's O, with all products rounded to 8 bits: it is off by a few of those in every entry's scale."""
    w, g = normal(*shape).astype(np.float32), normal(*shape, seed=1).astype(np.float32)
    p, q = nn.Parameter(w.copy()), torch.nn.Parameter(to_torch(w))
    ours, theirs = optim.Muon([p], lr=1, weight_decay=0), torch.optim.Muon([q], lr=1, weight_decay=0)
    p.grad, q.grad = g, to_torch(g)
    ours.step()
    theirs.step()
    mine, other = w - p.data, w - q.detach().cpu().numpy()
    off = np.linalg.norm(mine - other) / np.linalg.norm(mine)
    assert 0.1 * BFLOAT16 < off < 8 * BFLOAT16  # measured: 2 to 4
    assert np.abs(mine - other).max() < 8 * BFLOAT16 * np.abs(mine).max()


def test_a_factor_changes_nothing():
    """Only the direction counts: torch's page has B without the factor 1 - mu that its code has."""
    d = normal(4, 6)
    np.testing.assert_allclose(orthogonalized(1000 * d), orthogonalized(d), rtol=1e-12)


@pytest.mark.parametrize("shape", [(3, 7), (7, 3)])
def test_the_smaller_square_is_multiplied(shape):
    products = []

    class Watched(np.ndarray):
        def __matmul__(self, other):
            products.append((self.shape, other.shape))
            return super().__matmul__(other)

    orthogonalized(normal(*shape).view(Watched))
    assert products[:3] == [((3, 7), (7, 3)), ((3, 3), (3, 3)), ((3, 3), (3, 7))]


def test_no_gradient_is_no_step():
    assert orthogonalized(np.zeros((2, 3))).tolist() == [[0.0] * 3] * 2
    assert orthogonalized(np.zeros((0, 3))).shape == (0, 3)
    assert orthogonalized(normal(3, 2).astype(np.float32)).dtype == np.float32


def test_eps_keeps_a_tiny_matrix_small():
    """|D| below eps is divided by eps: a gradient that has all but vanished is not blown up to a whole step."""
    d = normal(2, 2)
    tiny = 1e-9 * d / np.linalg.norm(d)
    np.testing.assert_allclose(orthogonalized(tiny, steps=0), tiny / 1e-7, rtol=1e-12)
