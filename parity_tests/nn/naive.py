"""Convolution and pooling as their formulas say it: plain Python over every index of every sum.

Slow, and without a thought about memory: what the layers, which slide slices over whole arrays, are held against. An
input is (N, C, *shape); `terms` names the places that one window joins.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Numbers = Sequence[int]
Place = tuple[int, ...]


def terms(shape: Numbers, counts: Numbers, size: Numbers, stride: Numbers, padding: Numbers, dilation: Numbers) -> Any:
    """Yield (p, k, q): entry k of window p is the entry q of the array; those in the padding are left out."""
    for p in product(*map(range, counts)):
        for k in product(*map(range, size)):
            q = tuple(s * i + d * j - e for i, j, s, d, e in zip(p, k, stride, dilation, padding, strict=True))
            if all(0 <= i < n for i, n in zip(q, shape, strict=True)):
                yield p, k, q


def _channels(outer: int, inner: int, groups: int) -> Iterator[tuple[int, int, int]]:
    """Yield (o, c, c in its group): the channels that meet; `inner` counts those of one group."""
    for o in range(outer):
        group = o // (outer // groups)
        for c in range(inner):
            yield o, group * inner + c, c


def conv(x: Array, weight: Array, g: Array, *, groups: int, **windows: Any) -> tuple[Array, Array, Array]:
    """Return y, dL/dx and dL/dweight of a convolution without bias, g = dL/dy."""
    y, grad_x, grad_weight = np.zeros_like(g), np.zeros_like(x), np.zeros_like(weight)
    for p, k, q in terms(x.shape[2:], g.shape[2:], weight.shape[2:], **windows):
        for n in range(len(x)):
            for o, c, i in _channels(*weight.shape[:2], groups):
                y[n, o, *p] += weight[o, i, *k] * x[n, c, *q]
                grad_x[n, c, *q] += weight[o, i, *k] * g[n, o, *p]
                grad_weight[o, i, *k] += g[n, o, *p] * x[n, c, *q]
    return y, grad_x, grad_weight


def conv_transpose(x: Array, weight: Array, g: Array, *, groups: int, **windows: Any) -> tuple[Array, Array, Array]:
    """Return y, dL/dx and dL/dweight of a transposed convolution without bias, g = dL/dy."""
    y, grad_x, grad_weight = np.zeros_like(g), np.zeros_like(x), np.zeros_like(weight)
    for p, k, q in terms(g.shape[2:], x.shape[2:], weight.shape[2:], **windows):
        for n in range(len(x)):
            for o, c, i in _channels(*weight.shape[:2], groups):
                y[n, c, *q] += weight[o, i, *k] * x[n, o, *p]
                grad_x[n, o, *p] += weight[o, i, *k] * g[n, c, *q]
                grad_weight[o, i, *k] += x[n, o, *p] * g[n, c, *q]
    return y, grad_x, grad_weight


def max_pool(x: Array, g: Array, size: Numbers, **windows: Any) -> tuple[Array, Array, Array]:
    """Return y, dL/dx and the flat index of each window's winner."""
    y, grad_x, indices = np.zeros_like(g), np.zeros_like(x), np.full(g.shape, -1)
    for n, c in np.ndindex(*x.shape[:2]):
        for p, _, q in terms(x.shape[2:], g.shape[2:], size, **windows):
            if indices[n, c, *p] < 0 or x[n, c, *q] > y[n, c, *p] or np.isnan(x[n, c, *q]):
                y[n, c, *p], indices[n, c, *p] = x[n, c, *q], np.ravel_multi_index(q, x.shape[2:])
        for p in np.ndindex(*g.shape[2:]):
            grad_x[n, c, *np.unravel_index(indices[n, c, *p], x.shape[2:])] += g[n, c, *p]
    return y, grad_x, indices


def sum_pool(x: Array, g: Array, size: Numbers, **windows: Any) -> tuple[Array, Array, Array]:
    """Return the sum of every window, its dL/dx, and how many entries of the input each window has."""
    y, grad_x, entries = np.zeros_like(g), np.zeros_like(x), np.zeros(g.shape[2:])
    for p, _, q in terms(x.shape[2:], g.shape[2:], size, **windows):
        y[:, :, *p] += x[:, :, *q]
        grad_x[:, :, *q] += g[:, :, *p]
        entries[p] += 1
    return y, grad_x, entries
