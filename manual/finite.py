"""Arithmetic that goes on where numbers are infinite, as torch's does."""

import numpy as np


def beyond_the_finite() -> np.errstate:
    """Let infinite inputs give what IEEE arithmetic gives, without a warning: inf - inf and 0 * inf are NaN.

    torch computes so as well. A finite input comes here where an intermediate is too large for its type and the result
    is not: x^2 in e^(-x^2/2) = 0, or a branch that `np.where` does not choose. It stands around lines, `with
    beyond_the_finite():`, or above a whole function, `@beyond_the_finite()`.
    """
    return np.errstate(invalid="ignore", over="ignore", divide="ignore")
