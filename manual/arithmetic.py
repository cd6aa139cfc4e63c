"""Arithmetic that many layers share: beyond the finite numbers, and a sum that errs little."""

import math
from collections.abc import Sequence

import numpy as np

from manual.module import Array


def beyond_the_finite() -> np.errstate:
    """Let infinite inputs give what IEEE arithmetic gives, without a warning: inf - inf and 0 * inf are NaN.

    torch computes so as well. A finite input comes here where an intermediate is too large for its type and the result
    is not: x^2 in e^(-x^2/2) = 0, or a branch that `np.where` does not choose. It stands around lines, `with
    beyond_the_finite():`, or above a whole function, `@beyond_the_finite()`.
    """
    return np.errstate(invalid="ignore", over="ignore", divide="ignore")


def sum_over(x: Array, axes: Sequence[int]) -> Array:
    """Return the sum of x over `axes`, numbers from 0 on: over the samples, of a gradient that all of them share.

    As a product with ones: BLAS adds in blocks, and fast, while `x.sum(axis=0)` adds row after row into one number. Of
    1,000 rows in float32 that errs by one eps times the sum of magnitudes, the product by a third of it.
    """
    kept = tuple(axis for axis in range(x.ndim) if axis not in axes)
    shape = tuple(x.shape[axis] for axis in kept)
    rows = x.transpose(*axes, *kept).reshape(math.prod(x.shape[axis] for axis in axes), math.prod(shape))  # (N, K)
    total: Array = (np.ones(len(rows), x.dtype) @ rows).reshape(shape)
    return total
