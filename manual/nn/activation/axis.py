"""The check of `dim`, the axis along which some activations work."""

from typing import Any

import numpy as np

from manual.module import Array


def check_axis(who: str, dim: Any, x: Array) -> None:
    """Raise TypeError unless `dim` is a whole number, IndexError unless x has that axis.

    An array without axes counts as one with a single axis of length 1, as in torch.
    """
    if isinstance(dim, bool) or not isinstance(dim, int | np.integer):
        raise TypeError(f"{who}(dim={dim!r}): dim is an axis, a whole number such as -1")
    axes = max(x.ndim, 1)
    if not -axes <= dim < axes:
        raise IndexError(f"{who}(dim={dim}): an input of shape {x.shape} takes dim={-axes} to {axes - 1}")
