"""NaiveAttention and TiledAttention against autograd, each other, and naive loops; what the tiled one never makes."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check_module, normal
from torch_impl import nn as theirs


def inputs(queries, keys, *, batch=(3,), width=4, values=2, seed=0):
    """Return query, key and value, no two of one size."""
    shapes = [(*batch, queries, width), (*batch, keys, width), (*batch, keys, values)]
    return [normal(*shape, seed=seed + i) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(5, 3), (3, 5), (4, 4), (1, 5), (5, 1), (0, 3)])
def test_naive(queries, keys, is_causal, dtype, device):
    both = nn.NaiveAttention(is_causal), theirs.NaiveAttention(is_causal)
    check_module(*both, *inputs(queries, keys), dtype=dtype, device=device)


@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("blocks", [(1, 1), (2, 2), (1, 3), (3, 1), (2, 3), (3, 2), (64, 64)], ids=str)
def test_tiled(blocks, is_causal, scale, dtype, device):
    """Blocks of 1, blocks that do not divide 5 or 4, and blocks larger than both."""
    both = nn.TiledAttention(is_causal, scale, *blocks), theirs.TiledAttention(is_causal, scale, *blocks)
    check_module(*both, *inputs(5, 4, batch=(3,) if scale else ()), dtype=dtype, device=device)


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(3, 5), (5, 2), (0, 3), (2, 6)])
def test_tiled_sizes(queries, keys, is_causal, dtype):
    both = nn.TiledAttention(is_causal, None, 2, 3), theirs.TiledAttention(is_causal, None, 2, 3)
    check_module(*both, *inputs(queries, keys, batch=(3, 2), width=1, values=3), dtype=dtype)


@pytest.mark.parametrize("side", [nn.NaiveAttention, nn.TiledAttention])
def test_no_batch(side):
    y, saved = side().forward(*inputs(5, 3, batch=(0,)))
    assert y.shape == (0, 5, 2)
    assert [grad.shape for grad in side().backward(y, saved)] == [(0, 5, 4), (0, 3, 4), (0, 3, 2)]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(2, 6), st.integers(2, 6), st.integers(1, 7), st.integers(1, 7), st.booleans(), st.integers(0, 99))
def test_tiled_any_size(queries, keys, query_block, key_block, is_causal, seed):
    arguments = (is_causal, None, query_block, key_block)
    both = nn.TiledAttention(*arguments), theirs.TiledAttention(*arguments)
    check_module(*both, *inputs(queries, keys, batch=(), width=2, seed=seed), seed=seed)


@pytest.mark.parametrize("is_causal", [False, True])
def test_both_against_loops(is_causal):
    """The formulas of NaiveAttention's docstring, entry by entry."""
    q, k, v = inputs(5, 4, batch=())
    g, scale = normal(5, 2, seed=9), 0.5
    weights, out = np.zeros((5, 4)), np.zeros((5, 2))
    grads = [np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)]
    for t in range(5):
        seen = range(min(t + 1, 4) if is_causal else 4)
        e = {s: np.exp(scale * q[t] @ k[s]) for s in seen}
        for s in seen:
            weights[t, s] = e[s] / sum(e.values())
            out[t] += weights[t, s] * v[s]
            grads[2][s] += weights[t, s] * g[t]
        for s in seen:
            grad_s = 0.0
            for j in seen:
                grad_s += g[t] @ v[j] * weights[t, j] * ((j == s) - weights[t, s])
            grads[0][t] += scale * grad_s * k[s]
            grads[1][s] += scale * grad_s * q[t]
    for layer in (nn.NaiveAttention(is_causal, scale), nn.TiledAttention(is_causal, scale, 2, 3)):
        y, saved = layer.forward(q, k, v)
        np.testing.assert_allclose(y, out, atol=1e-14)
        for hand, loop in zip(layer.backward(g, saved), grads, strict=True):
            np.testing.assert_allclose(hand, loop, atol=1e-13)


@pytest.mark.parametrize("rising", [1, -1])
def test_large_scores(rising, dtype):
    """Up to 3,000: e^S overflows, and the running maximum moves at every tile, or at none after the first.

    All weight is on one key, where the naive dP - D is exactly 0: the tiled one is 0 up to eps times its terms, and
    times |S|, as its weights are e^(S - L).
    """
    q, k, v = (each.astype(dtype) for each in inputs(3, 5, batch=()))
    g = normal(3, 2, seed=9).astype(dtype)
    k = (k + rising * 1000 * np.arange(5)[:, None] * np.sign(q[1])).astype(dtype)
    naive, tiled = nn.NaiveAttention(), nn.TiledAttention(False, None, 2, 1)
    y, saved = naive.forward(q, k, v)
    tiled_y, tiled_saved = tiled.forward(q, k, v)
    unit = np.finfo(dtype).eps * np.abs(q @ k.T / 2).max()  # relative error of a weight
    np.testing.assert_allclose(tiled_y, y, rtol=0, atol=4 * unit)
    terms = [np.abs(k).max(), np.abs(q).max(), 1]
    for hand, other, size in zip(tiled.backward(g, tiled_saved), naive.backward(g, saved), terms, strict=True):
        np.testing.assert_allclose(hand, other, rtol=0, atol=8 * unit * size * np.abs(g).max())
        assert np.isfinite(hand).all()


@pytest.mark.parametrize("layer", [nn.NaiveAttention(), nn.TiledAttention()], ids=lambda layer: type(layer).__name__)
def test_one_key_takes_all_weight(layer, dtype):
    """O is its value, and neither query nor key matters: their gradients are 0, tile by tile but for rounding."""
    q, k, v = (each.astype(dtype) for each in inputs(4, 1))
    g = normal(3, 4, 2, seed=9).astype(dtype)
    y, saved = layer.forward(q, k, v)
    np.testing.assert_array_equal(y, np.broadcast_to(v, y.shape))
    grads = layer.backward(g, saved)
    eps = np.finfo(dtype).eps
    assert max(np.abs(grads[0]).max(), np.abs(grads[1]).max()) <= 32 * eps
    np.testing.assert_allclose(grads[2], g.sum(axis=1, keepdims=True), rtol=0, atol=16 * eps)


def test_nan_stays_in_its_row():
    q, k, v = inputs(4, 3)
    q[0, 1] = np.nan
    for layer in (nn.NaiveAttention(), nn.TiledAttention(False, None, 2, 2)):
        y, _ = layer.forward(q, k, v)
        assert np.isnan(y).any(axis=-1).sum() == 1
        assert np.isnan(y[0, 1]).all()


@pytest.mark.parametrize(
    ("is_causal", "queries", "keys", "tiles"),
    [(False, 7, 10, 4 * 4), (True, 7, 10, 1 + 2 + 2 + 3), (True, 9, 4, 1 + 2 + 2 + 2 + 2), (True, 2, 1, 1)],
)
def test_tiles_above_the_diagonal_are_skipped(is_causal, queries, keys, tiles):
    """In blocks of 2 queries and 3 keys: the tiles counted on paper, forward and backward."""
    computed = []

    class Counting(nn.TiledAttention):
        def _scores(self, *arguments):
            computed.append(super()._scores(*arguments))
            return computed[-1]

    layer, given = Counting(is_causal, None, 2, 3), inputs(queries, keys)
    y, saved = layer.forward(*given)
    assert len(computed) == tiles
    layer.backward(y, saved)
    assert len(computed) == 2 * tiles
    assert all(np.isfinite(scores).any() for scores in computed)
    assert max(scores.size for scores in computed) <= 3 * 2 * 3


def peak(run):
    """Return what `run` gives, and the most memory in bytes that was held at once on the way."""
    run()  # what is made once for all is there before
    tracemalloc.start()
    try:
        result = run()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_that_of_a_few_tiles():
    """T = S = 600 with D = E = 8 in float32: the scores are 1.44 MB, a tile of 100 x 80 has 32 kB."""
    given = [each.astype(np.float32) for each in inputs(600, 600, batch=(), width=8, values=8)]
    scores, tile, rows = 600 * 600 * 4, 100 * 80 * 4, 600 * 8 * 4
    naive, tiled = nn.NaiveAttention(), nn.TiledAttention(False, None, 100, 80)
    (y, saved), forward = peak(lambda: naive.forward(*given))
    assert forward > 2 * scores
    assert sum(part.nbytes for part in saved) == 3 * rows + scores
    _, backward = peak(lambda: naive.backward(y, saved))
    assert backward > 2 * scores
    (y, saved), forward = peak(lambda: tiled.forward(*given))
    assert sum(part.nbytes for part in saved) == 3 * rows + 600 * (8 + 1) * 4
    assert forward < 2 * rows + 3 * 600 * 4 + 4 * tile + 16_000  # o and O; m, l and L; tiles
    grads, backward = peak(lambda: tiled.backward(y, saved))
    assert backward < 3 * rows + 600 * 4 + 6 * tile + 16_000  # three gradients; D; tiles
    assert all(grad.dtype == np.float32 for grad in grads)


def test_bad_arguments():
    for blocks in [(0, 3), (3, 0)]:
        with pytest.raises(ValueError, match="1 row or more"):
            nn.TiledAttention(False, None, *blocks)
    assert repr(nn.NaiveAttention()) == "NaiveAttention(is_causal=False, scale=None)"
    expected = "TiledAttention(is_causal=True, scale=0.5, query_block=64, key_block=32)"
    assert repr(nn.TiledAttention(True, 0.5, key_block=32)) == expected


@pytest.mark.parametrize("layer", [nn.NaiveAttention(), nn.TiledAttention()], ids=lambda layer: type(layer).__name__)
def test_bad_input(layer):
    q, k, v = inputs(5, 3)
    who = type(layer).__name__
    for bad in [
        (q[:2], k, v),  # another batch
        (q, k[:1], v),  # torch would broadcast it
        (q, k, v[0]),
        (q[..., :3], k, v),
        (q, k, v[:, :2]),
        (q, k[:, :0], v[:, :0]),
        (q[..., :0], k[..., :0], v),
        (q[0, 0], k[0, 0], v[0, 0]),
    ]:
        with pytest.raises(ValueError, match=rf"{who} takes query"):
            layer.forward(*bad)
    with pytest.raises(TypeError, match=rf"{who}: query is float64 but key float32"):
        layer.forward(q, k.astype(np.float32), v.astype(np.float32))
    with pytest.raises(TypeError, match=rf"{who}'s query computes with floats"):
        layer.forward(q.astype(int), k.astype(int), v)
    for number, name in enumerate(["query", "key", "value"]):
        bad = [each.astype(int) if i == number else each for i, each in enumerate([q, k, v])]
        with pytest.raises(TypeError, match=rf"{who}'s {name} computes with floats"):
            layer.forward(*bad)
