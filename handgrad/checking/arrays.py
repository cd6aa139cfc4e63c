"""What is handed in to a check: arrays by name, whatever they came as; and the digits that a tensor can hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from handgrad.checking.record import Arrays, Tensor
from handgrad.errors import UsageError


def loses_digits(t: Tensor) -> bool:
    """Return whether digits are lost in this tensor: not in a mask of ones, or in other short numbers."""
    if not t.is_floating_point() or t.dtype == torch.float64:
        return False
    return t.requires_grad or not bool((t == t.half()).all())


def arrays_of(part: Any, name: str) -> Arrays:
    """Return params or inputs as arrays of native numbers.

    Raises UsageError, in one sentence, where they are none.
    """
    if not isinstance(part, Mapping) or not all(isinstance(key, str) for key in part):
        raise UsageError(f"{name} is a {type(part).__name__}; give a dict of arrays by name")
    found = {}
    for key, value in part.items():
        try:
            array = np.asarray(value)
        except (ValueError, TypeError, RuntimeError) as error:  # ragged, or a tensor that requires a gradient
            raise UsageError(f"{name}[{key!r}] is no array ({error}); give NumPy arrays") from None
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if array.dtype.kind not in "fiub":
            raise UsageError(
                f"{name}[{key!r}] is of dtype {array.dtype}; give an array of floats, or of integers for indices"
            )
        if name == "params" and array.dtype.kind != "f":
            raise UsageError(f"params[{key!r}] is of {array.dtype}; a parameter has a gradient, so give floats")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise UsageError(f"{name}[{key!r}] holds NaN or an infinity; give finite numbers")
        found[key] = array
    return found


def wide(arrays: Arrays) -> Arrays:
    """A formula is judged in float64, whatever the precision in which it is to run."""
    return cast(arrays, np.float64)


def cast(arrays: Arrays, dtype: type) -> Arrays:
    """Return the arrays of floats in this dtype, the others as they are."""
    return {name: a.astype(dtype) if a.dtype.kind == "f" else a for name, a in arrays.items()}
