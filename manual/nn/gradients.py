"""The upstream gradient of an output that is no single array with axes: of a number, or of a pair."""

from typing import Any

import numpy as np

from manual.module import Array, check_gradient


def gradient_of_loss(grad_output: Any, shape: tuple[int, ...], dtype: np.dtype[Any], who: str) -> Array:
    """Return the gradient for a loss as an array of `dtype`; for a loss without axes, any real number is one.

    Raises TypeError or ValueError as `check_gradient` does.
    """
    if shape == () and isinstance(grad_output, int | float | np.ndarray | np.generic):
        number = np.asarray(grad_output)
        if number.dtype.kind in "iuf":
            grad_output = number.astype(dtype)
    check_gradient(grad_output, shape, dtype, who)
    gradient: Array = grad_output
    return gradient


def check_pair(grad_output: Any, who: str) -> None:
    """Raise TypeError unless there is a gradient, or None, for each of two outputs."""
    if not isinstance(grad_output, tuple | list) or len(grad_output) != 2:
        given = len(grad_output) if isinstance(grad_output, tuple | list) else type(grad_output).__name__
        raise TypeError(
            f"{who}: backward takes a pair of gradients, as forward returns a pair, not {given}: give None for an "
            "output that is not used"
        )
