"""Windows that slide over the last axes of an array: what convolution and pooling are made of.

Along one axis, window p has the entries k = 0 .. size - 1, and entry k lies at

    q = stride * p + dilation * k.

Over several axes p, k and q are tuples, and the formula holds for each axis by itself. Two operations follow:

    gather     columns[..., k, p] = x[..., stride p + dilation k]
    scatter    x[..., q] = sum of columns[..., k, p] over all k, p with stride p + dilation k = q

Each is the other's backward. With g = dL/dcolumns, dL/dx[q] = sum_{k,p} g[k,p] dcolumns[k,p]/dx[q]; the last factor is
1 where stride p + dilation k = q and 0 elsewhere, so what is left is scatter(g). Where windows overlap, several (k, p)
meet in one q, and their gradients add up: assigned instead of added, all but the last would be lost.

Both loop over the few offsets k. For one k, the entries of all windows are a slice with a step, so nothing loops over
positions or samples. `columns` is what is known as im2col, scatter as col2im.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from manual.module import Array, check_array

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """Windows of `size` entries that lie `dilation` apart, one every `stride` entries; each has one number an axis."""

    size: Sizes
    stride: Sizes
    dilation: Sizes

    @property
    def axes(self) -> int:
        """The number of axes."""
        return len(self.size)

    @property
    def span(self) -> Sizes:
        """From the first entry of a window to its last, both included: dilation (size - 1) + 1."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.size, self.dilation, strict=True))

    def counts(self, shape: Sizes) -> Sizes:
        """How many windows fit into an array of this shape; 0 or below where not one does."""
        return tuple((n - span) // s + 1 for n, span, s in zip(shape, self.span, self.stride, strict=True))

    def reach(self, counts: Sizes) -> Sizes:
        """The shape that so many windows take up: stride (count - 1) + span."""
        return tuple(s * (p - 1) + span for p, s, span in zip(counts, self.stride, self.span, strict=True))

    def places(self, counts: Sizes) -> Iterator[tuple[Any, ...]]:
        """Yield, for every offset k in scan order, the index of the entry k of all windows."""
        for offset in np.ndindex(self.size):
            axes = zip(np.multiply(self.dilation, offset), self.stride, counts, strict=True)
            yield ..., *(slice(first, first + s * (p - 1) + 1, s) for first, s, p in axes)


def gather(x: Array, windows: Windows) -> Array:
    """Return columns (..., K, *counts) of x (..., *shape): entry k of window p is x[..., stride p + dilation k]."""
    counts = windows.counts(x.shape[-windows.axes :])
    return np.stack([x[place] for place in windows.places(counts)], axis=-1 - windows.axes)


def scatter(columns: Array, windows: Windows, shape: Sizes) -> Array:
    """Return x (..., *shape), in which every entry of columns (..., K, *counts) is added where gather took it from."""
    x = np.zeros((*columns.shape[: -1 - windows.axes], *shape), columns.dtype)
    by_offset = np.moveaxis(columns, -1 - windows.axes, 0)  # (K, ..., *counts)
    for column, place in zip(by_offset, windows.places(columns.shape[-windows.axes :]), strict=True):
        x[place] += column
    return x


# ------------------------------------------------------------------ at the door


def check_axes(x: Array, who: str, axes: int, dtype: np.dtype[Any] | None = None) -> None:
    """Raise TypeError unless x is of floats, ValueError unless its shape is (N, C, *axes) or (C, *axes)."""
    check_array(x, who, dtype)
    if x.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"{who} takes (N, C, ...) or (C, ...) with {axes} axes behind C, but was given an input of shape {x.shape}"
        )


def check_not_empty(x: Array, who: str, axes: int) -> None:
    """Raise ValueError where an axis other than the batch axis has size 0."""
    if 0 in x.shape[-1 - axes :]:
        raise ValueError(f"{who} takes no input of shape {x.shape}: only the batch may be empty")
