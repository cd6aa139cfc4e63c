"""Attention twice: with the whole T x S matrix of weights, and tile by tile without it (FlashAttention)."""

import math
from collections.abc import Iterator

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_array, check_gradient, plain

Grads = tuple[Array | None, Array, Array]
Tile = tuple[slice, slice]


class NaiveAttention(Module):
    """O = softmax(scale Q K^T) V: each of T queries takes a mean of S values, weighted by its scores with S keys.

    For query t and keys s, with scale = 1/sqrt(D) where it is not given; `is_causal` leaves only the keys s <= t:

        S[t,s] = scale sum_d Q[t,d] K[s,d]         P[t,s] = e^S[t,s] / sum_j e^S[t,j]         O[t] = sum_s P[t,s] V[s]

    Partials, with g = dL/dO. The values and the weights stand in a product:

        dL/dV[s]   = sum_t P[t,s] g[t]             = (P^T g)[s]
        dL/dP[t,s] = sum_e g[t,e] V[s,e]           = (g V^T)[t,s]  =: dP[t,s]

    The softmax of one row: dP[t,j]/dS[t,s] = P[t,j] (1[j = s] - P[t,s]), so that

        dL/dS[t,s] = sum_j dP[t,j] P[t,j] (1[j = s] - P[t,s])
                   = P[t,s] (dP[t,s] - D[t]),      D[t] = sum_j P[t,j] dP[t,j]

    A score that the mask removes has P = 0, hence no gradient. Then through the product of Q and K:

        dL/dQ = scale dS K      dL/dK = scale dS^T Q

    Subtracting the row's maximum m[t] from its scores divides numerator and denominator of P by e^m[t]: the value is
    the same, and no exponential is above 1.

    Saved are Q, K, V and P: T S numbers for every head, which is what grows with the square of the sequence. Flops:
    2 T S (D + E) forward, where E is the width of V, and twice that backward.

    query (..., T, D), key (..., S, D), value (..., S, E), all leading axes the same; O (..., T, E). S and D are 1 or
    above.

    Source: Vaswani et al., "Attention Is All You Need", 2017, section 3.2.1;
    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
    """

    def __init__(self, is_causal: bool = False, scale: float | None = None) -> None:
        self.is_causal, self.scale = is_causal, plain(scale)

    def extra_repr(self) -> str:
        """Return the options."""
        return f"is_causal={self.is_causal}, scale={self.scale}"

    @beyond_the_finite()
    def forward(self, query: Array, key: Array, value: Array) -> tuple[Array, tuple[Array, ...]]:
        """Return O (..., T, E) and `saved` = (query, key, value, P)."""
        scale = _check(self, query, key, value)
        s = scale * (query @ key.mT)  # (..., T, S)
        if self.is_causal:
            seen = np.arange(key.shape[-2]) <= np.arange(query.shape[-2])[:, None]  # s <= t
            s = np.where(seen, s, s.dtype.type(-np.inf))
        p = np.exp(s - s.real.max(axis=-1, keepdims=True))
        p = p / p.sum(axis=-1, keepdims=True)
        return p @ value, (query, key, value, p)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: tuple[Array, ...], *, input_grad: bool = True) -> Grads:
        """Return (grad_query, grad_key, grad_value)."""
        query, key, value, p = saved
        scale = _check(self, query, key, value)
        check_gradient(grad_output, (*query.shape[:-1], value.shape[-1]), query.dtype, "NaiveAttention")
        grad_value = p.mT @ grad_output  # (..., S, E)
        grad_p = grad_output @ value.mT  # (..., T, S)
        d = (p * grad_p).sum(axis=-1, keepdims=True)  # (..., T, 1)
        grad_s = p * (grad_p - d)
        grad_query = scale * (grad_s @ key) if input_grad else None  # (..., T, D)
        return grad_query, scale * (grad_s.mT @ query), grad_value


class TiledAttention(Module):
    """The function of NaiveAttention, of which no array larger than one tile of scores is ever made.

    The scores are taken in tiles of `query_block` rows and `key_block` columns; blocks need not divide T or S.

    Forward. Softmax needs the sum of a whole row, but a sum can be brought along. Over the keys seen so far, keep for
    each query their largest score m, l = sum_s e^(S[s] - m) and the unfinished output o = sum_s e^(S[s] - m) V[s]. When
    a tile with scores S comes, the maximum becomes m'; all old terms have e^-m in them where e^-m' belongs:

        m' = max(m, max_s S[s])        p[s] = e^(S[s] - m')
        l' = e^(m - m') l + sum_s p[s]
        o' = e^(m - m') o + sum_s p[s] V[s]

    from m = -inf, l = 0, o = 0. At the end O = o / l, by induction that of the naive form, for any cut into tiles and
    any order of them. No exponential is above 1: m only grows. Division by l is done once, at the end
    (FlashAttention-2), not at each tile.

    What is kept of the softmax is one number for each query, L = m + log l, the log of the sum of e^S, since

        P[t,s] = e^S[t,s] / sum_j e^S[t,j] = e^(S[t,s] - L[t])

    gives any tile of P back with neither maximum nor sum.

    Backward. In dS = P (dP - D) only D[t] = sum_s P[t,s] dP[t,s] looks over a whole row. It need not:

        D[t] = sum_s P[t,s] sum_e g[t,e] V[s,e] = sum_e g[t,e] sum_s P[t,s] V[s,e] = sum_e g[t,e] O[t,e]

    a row-sum of g * O, known before any tile. So each tile stands for itself: with rows t and columns s of it,

        P  = e^(scale Q[t] K[s]^T - L[t])          dV[s] += P^T g[t]
        dP = g[t] V[s]^T                           dQ[t] += scale dS K[s]
        dS = P * (dP - D[t])                       dK[s] += scale dS^T Q[t]

    dQ[t] is a sum over column tiles, dK[s] and dV[s] are sums over row tiles. A kernel that gives each column tile to
    one block of threads keeps dK and dV in registers, and adds dQ atomically or in a second pass.

    `is_causal` skips tiles above the diagonal, nearly half of them, in both directions; tiles on it are masked, in the
    backward again, where P is made anew. Key 0 is seen by every query, and its tile comes first, so that m is finite
    from the first tile on and m - m' never inf - inf.

    Precision: S - L is rounded to eps |L|, so a weight that is made anew is off by a factor 1 + eps |L|, the same for
    its whole row, while D comes from O. Where one key takes all weight, the naive dP - D is exactly 0 and this one eps
    times its terms. With m and l saved in place of L (FlashAttention's first form), |S - m| stands for |L|.

    Memory: saved are Q, K, V, O and L, T (E + 1) numbers beyond the inputs, in place of T S. Arrays made on the way
    have tile size, query_block * key_block, times the leading axes (a kernel takes these one by one): at most 4 at once
    forward, 6 backward. Flops: forward 2 T S (D + E) as before; backward 2 T S (3 D + 2 E) in place of
    2 T S (2 D + 2 E), as S is computed a second time. The point is traffic: the naive form writes and reads T S numbers
    several times, which takes longer than the flops.

    Source: Dao et al., "FlashAttention", 2022, algorithms 1, 2 and 4; Dao, "FlashAttention-2", 2023; the running
    maximum is from Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018.
    """

    def __init__(
        self, is_causal: bool = False, scale: float | None = None, query_block: int = 64, key_block: int = 64
    ) -> None:
        if query_block < 1 or key_block < 1:
            raise ValueError(f"TiledAttention: a block has 1 row or more, not {query_block} and {key_block}")
        self.is_causal, self.scale = is_causal, plain(scale)
        self.query_block, self.key_block = query_block, key_block

    def extra_repr(self) -> str:
        """Return the options and the blocks."""
        blocks = f"query_block={self.query_block}, key_block={self.key_block}"
        return f"is_causal={self.is_causal}, scale={self.scale}, {blocks}"

    @beyond_the_finite()
    def forward(self, query: Array, key: Array, value: Array) -> tuple[Array, tuple[Array, ...]]:
        """Return O (..., T, E) and `saved` = (query, key, value, O, L), L (..., T, 1)."""
        scale = _check(self, query, key, value)
        row = (*query.shape[:-1], 1)
        m, l = np.full(row, -np.inf, query.real.dtype), np.zeros(row, query.dtype)  # noqa: E741 - the paper's name
        o = np.zeros((*query.shape[:-1], value.shape[-1]), query.dtype)
        for t, s in self._tiles(query.shape[-2], key.shape[-2]):
            scores = self._scores(query, key, t, s, scale)
            larger = np.maximum(m[..., t, :], scores.real.max(axis=-1, keepdims=True))
            p = np.exp(scores - larger)  # (..., query_block, key_block)
            rescale = np.exp(m[..., t, :] - larger)  # 0 at the first tile, where m = -inf
            l[..., t, :] = rescale * l[..., t, :] + p.sum(axis=-1, keepdims=True)
            o[..., t, :] = rescale * o[..., t, :] + p @ value[..., s, :]
            m[..., t, :] = larger
        output = o / l
        return output, (query, key, value, output, m + np.log(l))

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: tuple[Array, ...], *, input_grad: bool = True) -> Grads:
        """Return (grad_query, grad_key, grad_value)."""
        query, key, value, output, logsumexp = saved
        check_gradient(grad_output, output.shape, output.dtype, "TiledAttention")
        scale = _check(self, query, key, value)
        grad_query = np.zeros_like(query) if input_grad else None
        grad_key, grad_value = np.zeros_like(key), np.zeros_like(value)
        d = (grad_output * output).sum(axis=-1, keepdims=True)  # (..., T, 1)
        for t, s in self._tiles(query.shape[-2], key.shape[-2]):
            g = grad_output[..., t, :]
            p = np.exp(self._scores(query, key, t, s, scale) - logsumexp[..., t, :])  # (..., query_block, key_block)
            grad_value[..., s, :] += p.mT @ g
            grad_p = g @ value[..., s, :].mT
            grad_s = p * (grad_p - d[..., t, :])
            if grad_query is not None:
                grad_query[..., t, :] += scale * (grad_s @ key[..., s, :])
            grad_key[..., s, :] += scale * (grad_s.mT @ query[..., t, :])
        return grad_query, grad_key, grad_value

    def _tiles(self, queries: int, keys: int) -> Iterator[Tile]:
        """Yield the rows and the columns of each tile that has a score to keep, row by row of tiles."""
        for first in range(0, queries, self.query_block):
            end = min(first + self.query_block, queries)
            # The last query of the tile, number end - 1, is the one that sees most keys: 0 to end - 1.
            for column in range(0, min(end, keys) if self.is_causal else keys, self.key_block):
                yield slice(first, end), slice(column, min(column + self.key_block, keys))

    def _scores(self, query: Array, key: Array, t: slice, s: slice, scale: float) -> Array:
        """Return the tile's scores, -inf where a query does not see the key."""
        scores: Array = scale * (query[..., t, :] @ key[..., s, :].mT)
        if not self.is_causal:
            return scores
        seen = np.arange(s.start, s.stop) <= np.arange(t.start, t.stop)[:, None]  # s <= t
        return np.where(seen, scores, scores.dtype.type(-np.inf))


def _check(attention: NaiveAttention | TiledAttention, query: Array, key: Array, value: Array) -> float:
    """Return the scale. Raises TypeError for other dtypes, ValueError for shapes that do not fit."""
    who = type(attention).__name__
    for name, array in [("query", query), ("key", key), ("value", value)]:
        check_array(array, f"{who}'s {name}")
        if array.dtype != query.dtype:
            raise TypeError(f"{who}: query is {query.dtype} but {name} {array.dtype}: convert one with astype")
        if array.ndim < 2 or array.shape[:-2] != query.shape[:-2]:
            raise ValueError(
                f"{who} takes query (..., T, D), key (..., S, D), value (..., S, E) with the same leading axes, "
                f"but was given {query.shape}, {key.shape}, {value.shape}"
            )
    if key.shape[-1] != query.shape[-1] or value.shape[-2] != key.shape[-2] or 0 in key.shape[-2:]:
        raise ValueError(
            f"{who} takes query (..., T, D), key (..., S, D), value (..., S, E) with S and D of 1 or above, "
            f"but was given {query.shape}, {key.shape}, {value.shape}"
        )
    return 1 / math.sqrt(query.shape[-1]) if attention.scale is None else attention.scale
