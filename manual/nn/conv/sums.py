"""Convolution and transposed convolution in one, two and three dimensions, from one sum.

Both relate an array on a fine grid q to one on a coarse grid p, whose points are the windows (`manual/nn/windows.py`):
q = stride p + dilation k. Take the number

    F(coarse, weight, fine) = sum_{n,o,p,c,k} coarse[n,o,p] weight[o,c,k] fine[n,c, stride p + dilation k]

It is linear in each of the three, so a derivative with respect to one is a sum over the other two:

    correlate            dF/dcoarse[n,o,p] = sum_{c,k} weight[o,c,k] fine[n,c, stride p + dilation k]
    spread               dF/dfine[n,c,q]   = sum over o and all (k, p) with stride p + dilation k = q
                                             of weight[o,c,k] coarse[n,o,p]
    correlate_both       dF/dweight[o,c,k] = sum_{n,p} coarse[n,o,p] fine[n,c, stride p + dilation k]

A convolution maps fine to coarse: y = correlate(x). With g = dL/dy and y linear in x and in the weight, the gradients
of the loss are those of sum(g y) = F(g, weight, x): dL/dx = spread(g), dL/dweight = correlate_both(g, x).

A transposed convolution maps coarse to fine: y = spread(x), now sum(g y) = F(x, weight, g), and dL/dx = correlate(g),
dL/dweight = correlate_both(x, g). Each one's forward is the other's backward, with the same weight.

As matrices: gather lays the windows of `fine` out as columns[n, (c,k), p], and with the weight as W[o, (c,k)]
correlate is W columns, spread is scatter(W^T coarse), correlate_both is sum_n coarse columns^T. With `groups` G, the
channels on both sides are cut into G equal parts, and each part of one side meets that of the same number alone: G
smaller matrices, side by side.
"""

import math

from manual.module import Array
from manual.nn.windows import Sizes, Windows, gather, scatter


def correlate(fine: Array, weight: Array, windows: Windows, groups: int) -> Array:
    """Return coarse (..., O, *counts) of fine (..., C, *shape) and weight (O, C / groups, *size)."""
    columns = _columns(fine, windows)  # (..., C K, *counts)
    y: Array = _matrices(weight, groups) @ _parts(columns, groups, windows.axes)  # (..., G, O/G, P)
    return y.reshape(*fine.shape[: -1 - windows.axes], len(weight), *columns.shape[-windows.axes :])


def spread(coarse: Array, weight: Array, windows: Windows, groups: int, shape: Sizes) -> Array:
    """Return fine (..., C, *shape) of coarse (..., O, *counts) and weight (O, C / groups, *size)."""
    columns = _matrices(weight, groups).mT @ _parts(coarse, groups, windows.axes)  # (..., G, C/G K, P)
    samples, counts = coarse.shape[: -1 - windows.axes], coarse.shape[-windows.axes :]
    columns = columns.reshape(*samples, weight.shape[1] * groups, math.prod(windows.size), *counts)
    return scatter(columns, windows, shape)


def correlate_both(coarse: Array, fine: Array, windows: Windows, groups: int) -> Array:
    """Return dF/dweight (O, C / groups, *size) of coarse (..., O, *counts) and fine (..., C, *shape)."""
    columns = _parts(_columns(fine, windows), groups, windows.axes)  # (..., G, C/G K, P)
    products: Array = _parts(coarse, groups, windows.axes) @ columns.mT  # (..., G, O/G, C/G K)
    total: Array = products.sum(axis=tuple(range(products.ndim - 3)))  # over the samples: all met the same weight
    outer, inner = coarse.shape[-1 - windows.axes], fine.shape[-1 - windows.axes]
    return total.reshape(outer, inner // groups, *windows.size)


def _columns(fine: Array, windows: Windows) -> Array:
    """Return the windows of fine (..., C, *shape) as (..., C K, *counts)."""
    columns = gather(fine, windows)  # (..., C, K, *counts)
    rows = fine.shape[-1 - windows.axes] * math.prod(windows.size)
    return columns.reshape(*fine.shape[: -1 - windows.axes], rows, *columns.shape[-windows.axes :])


def _parts(x: Array, groups: int, axes: int) -> Array:
    """Return x (..., rows, *counts) as one matrix a group: (..., G, rows / G, P)."""
    rows, counts = x.shape[-1 - axes], x.shape[-axes:]
    return x.reshape(*x.shape[: -1 - axes], groups, rows // groups, math.prod(counts))


def _matrices(weight: Array, groups: int) -> Array:
    """Return weight (O, C / groups, *size) as one matrix a group: (G, O / G, C/G K)."""
    return weight.reshape(groups, len(weight) // groups, -1)
