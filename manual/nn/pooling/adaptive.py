"""Adaptive pooling: as many windows as the output has places, spread over the input.

Along an axis of size S with O places, window p takes the entries q with

    floor(p S / O) <= q < ceil((p + 1) S / O).

Neighbours share an entry where O does not divide S, and with O > S entries are repeated. An axis of the output whose
size is given as None keeps the input's. The windows differ in size, so the code goes through the places of the output,
and for each takes its window of all samples and channels at once.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from manual.arguments import whole_numbers
from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_gradient, plain
from manual.nn.pooling.maximum import Saved, add_at, flat_indices, gradient_of_largest, places_of
from manual.nn.windows import Sizes, check_axes, check_not_empty

Place = tuple[Any, ...]  # the index of a window's entries in x, or of its place in y


class _AdaptivePool(Module):
    axes: int

    def __init__(self, output_size: int | tuple[int | None, ...]) -> None:
        who, given = type(self).__name__, plain(output_size)
        if given is None:
            raise TypeError(f"{who}: output_size=None; give a number, or a tuple in which None keeps the input's size")
        sizes = given if isinstance(given, tuple) else (given,) * self.axes
        if len(sizes) != self.axes:
            raise ValueError(f"{who}: output_size={given!r} has {len(sizes)} numbers; give one number, or {self.axes}")
        known = tuple(size for size in sizes if size is not None)
        whole_numbers(who, 0, len(known), output_size=known)
        self.output_size, self.sizes = given, sizes

    def extra_repr(self) -> str:
        """Return the output's size."""
        return f"output_size={self.output_size}"

    def _counts(self, shape: Sizes) -> Sizes:
        return tuple(n if size is None else size for n, size in zip(shape, self.sizes, strict=True))


def windows_of(shape: Sizes, counts: Sizes) -> Iterator[tuple[Place, Place]]:
    """Yield the place of every window in the output, and the index of its entries in the input."""
    for place in np.ndindex(counts):
        axes = zip(place, shape, counts, strict=True)
        # from floor(p n / count) to ceil((p + 1) n / count)
        yield (..., *place), (..., *(slice(p * n // count, -(-(p + 1) * n // count)) for p, n, count in axes))


class _AdaptiveAvgPool(_AdaptivePool):
    """y[p] = (1 / m[p]) sum of x[q] over the m[p] entries q of window p, channel by channel.

    dy[p]/dx[q] = 1 / m[p] in the window and 0 outside, so that with g = dL/dy

        dL/dx[q] = sum of g[p] / m[p] over all windows p with q in them.

    x is (N, C, *shape) or (C, *shape), y has `output_size` in the place of shape.
    """

    @beyond_the_finite()
    def forward(self, input: Array) -> tuple[Array, tuple[Sizes, np.dtype[Any]]]:
        """Return y and `saved` = (the input's shape, its dtype).

        ValueError for another number of axes, or an empty one.
        """
        check_axes(input, type(self).__name__, self.axes)
        check_not_empty(input, type(self).__name__, self.axes)
        shape = input.shape[-self.axes :]
        counts = self._counts(shape)
        y = np.empty((*input.shape[: -self.axes], *counts), input.dtype)
        last = tuple(range(-self.axes, 0))
        for place, window in windows_of(shape, counts):
            y[place] = input[window].mean(axis=last)
        return y, (input.shape, input.dtype)

    @beyond_the_finite()
    def backward(
        self, grad_output: Array, saved: tuple[Sizes, np.dtype[Any]], *, input_grad: bool = True
    ) -> Array | None:
        """Return grad_input: every entry of a window gets the window's gradient over the number of its entries."""
        input_shape, dtype = saved
        shape = input_shape[-self.axes :]
        counts = self._counts(shape)
        check_gradient(grad_output, (*input_shape[: -self.axes], *counts), dtype, type(self).__name__)
        if not input_grad:
            return None
        grad_input = np.zeros(input_shape, dtype)
        for place, window in windows_of(shape, counts):
            size = math.prod(grad_input[window].shape[-self.axes :])
            share = grad_output[place] / dtype.type(size)
            grad_input[window] += share.reshape(*share.shape, *(1,) * self.axes)
        return grad_input


class _AdaptiveMaxPool(_AdaptivePool):
    """y[p] = the largest x[q] of window p, channel by channel.

    With i(p) the place of that entry, y[p] = x[i(p)], and with g = dL/dy

        dL/dx[q] = sum of g[p] over all windows p with i(p) = q.

    Of equal entries the first in scan order wins, of NaN the last, as in MaxPool. With `return_indices` the output is
    (y, i), i flat indices over `shape`. x is (N, C, *shape) or (C, *shape), y has `output_size` in the place of shape.
    """

    def __init__(self, output_size: int | tuple[int | None, ...], return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Array) -> tuple[Any, Saved]:
        """Return y, or (y, indices), and `saved` = (the largest entries' indices, the pooled axes' shape, the dtype).

        ValueError for another number of axes, or an empty one.
        """
        check_axes(input, type(self).__name__, self.axes)
        check_not_empty(input, type(self).__name__, self.axes)
        samples, shape = input.shape[: -self.axes], input.shape[-self.axes :]
        indices = np.empty((*samples, *self._counts(shape)), np.int64)
        numbers = flat_indices(shape)
        for place, window in windows_of(shape, self._counts(shape)):
            number = numbers[window].reshape(-1)
            indices[place] = number[_largest(input[window].reshape(*samples, number.size))]
        y = input.reshape(-1)[places_of(indices, shape)]
        return (y, indices) if self.return_indices else y, (indices, shape, y.dtype)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input: every entry of the output's gradient is added where the largest entry was."""
        g = gradient_of_largest(grad_output, saved, self.return_indices, type(self).__name__)
        indices, shape, _ = saved
        return add_at(g, indices, shape) if input_grad else None


def _largest(x: Array) -> Array:
    """Return the index of the largest entry of the last axis: the first of equal ones, the last NaN."""
    nan = np.isnan(x)
    last_nan = x.shape[-1] - 1 - nan[..., ::-1].argmax(axis=-1)
    largest: Array = np.where(nan.any(axis=-1), last_nan, x.real.argmax(axis=-1))
    return largest


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean of `output_size` windows over one axis: (N, C, L).

    Where the windows lie stands at the top of this file; the gradients are derived in `_AdaptiveAvgPool`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool1d.html
    """

    axes = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The mean of `output_size` windows over two axes: (N, C, H, W).

    Where the windows lie stands at the top of this file; the gradients are derived in `_AdaptiveAvgPool`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html
    """

    axes = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The mean of `output_size` windows over three axes: (N, C, D, H, W).

    Where the windows lie stands at the top of this file; the gradients are derived in `_AdaptiveAvgPool`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool3d.html
    """

    axes = 3


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest entry of `output_size` windows over one axis: (N, C, L).

    Where the windows lie stands at the top of this file; the gradients are derived in `_AdaptiveMaxPool`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool1d.html
    """

    axes = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest entry of `output_size` windows over two axes: (N, C, H, W).

    Where the windows lie stands at the top of this file; the gradients are derived in `_AdaptiveMaxPool`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html
    """

    axes = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest entry of `output_size` windows over three axes: (N, C, D, H, W).

    Where the windows lie stands at the top of this file; the gradients are derived in `_AdaptiveMaxPool`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool3d.html
    """

    axes = 3
