"""Average pooling: the mean of every window."""

import functools
import operator
from typing import Any

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array, check_gradient
from manual.nn.padding.ends import Ends, pad_constant, unpad
from manual.nn.pooling.base import _WindowPool
from manual.nn.windows import Sizes, gather, scatter

Saved = tuple[Array, Ends, Sizes]


class _AvgPool(_WindowPool):
    """y[p] = (1 / m[p]) sum_k x[stride p - padding + k]: the mean of each window, channel by channel.

    The padding counts as zeros. With g = dL/dy

        dy[p]/dx[q] = 1 / m[p] if q lies in window p, else 0
        dL/dx[q]    = sum of g[p] / m[p] over all windows p with q in them:

    every entry of a window gets the same share, and an entry of several windows the sum.

    The divisor m[p] is, along each axis, the number of the window's entries that lie in the input and its `padding`,
    or with `count_include_pad=False` in the input alone; over several axes their product. What sticks out behind the
    padding with `ceil_mode` is counted in neither. `divisor_override` takes the place of m[p] for every window.

    x is (N, C, *shape) or (C, *shape). `stride` is the kernel's size where none is given; `padding` is at most half of
    it.
    """

    def __init__(
        self,
        kernel_size: int | Sizes,
        stride: int | Sizes | None = None,
        padding: int | Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self._prepare(kernel_size, stride, padding, 1, ceil_mode)
        self.count_include_pad = count_include_pad
        if divisor_override is not None and operator.index(divisor_override) == 0:
            raise ValueError(f"{type(self).__name__}: divisor_override=0; give another number, or None")
        self.divisor_override = divisor_override

    def extra_repr(self) -> str:
        """Return the arguments that torch shows."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"

    def _divisor(self, shape: Sizes, counts: Sizes, dtype: np.dtype[Any]) -> Array:
        """Return m (*counts)."""
        lengths = [
            self._lengths(*numbers)
            for numbers in zip(shape, counts, self.windows.size, self.windows.stride, self.before, strict=True)
        ]
        m: Array = functools.reduce(np.multiply.outer, lengths)
        return (m if self.divisor_override is None else np.full(m.shape, self.divisor_override)).astype(dtype)

    def _lengths(self, size: int, count: int, kernel: int, stride: int, padding: int) -> Array:
        start = stride * np.arange(count) - padding
        end = np.minimum(start + kernel, size + padding)
        if self.count_include_pad:
            return end - start
        return np.minimum(end, size) - np.maximum(start, 0)

    @beyond_the_finite()
    def forward(self, input: Array) -> tuple[Array, Saved]:
        """Return y and `saved` = (the divisors, what was put before and behind, y's shape).

        Raises ValueError where no window fits.
        """
        ends = self._ends(input)
        columns = gather(pad_constant(input, ends), self.windows)  # (..., K, *counts)
        m = self._divisor(input.shape[-self.axes :], columns.shape[-self.axes :], input.dtype)
        y = columns.sum(axis=-1 - self.axes) / m
        return y, (m, ends, y.shape)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input: every entry of a window gets the window's gradient over its divisor."""
        m, ends, shape = saved
        check_gradient(grad_output, shape, m.dtype, type(self).__name__)
        if not input_grad:
            return None
        share = np.expand_dims(grad_output / m, -1 - self.axes)  # (..., 1, *counts)
        columns = np.repeat(share, np.prod(self.windows.size), axis=-1 - self.axes)
        return unpad(scatter(columns, self.windows, self.windows.reach(m.shape)), ends, "constant")


class AvgPool1d(_AvgPool):
    """The mean of every window along one axis: (N, C, L); torch has no `divisor_override` here.

        y[n,c,p] = (1 / m[p]) sum_k x[n,c, s p + k - padding]

    With one index for all axes, and its gradients, that is derived in `_AvgPool`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool1d.html
    """

    axes = 1

    def __init__(
        self,
        kernel_size: int | Sizes,
        stride: int | Sizes | None = None,
        padding: int | Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.kernel_size, self.stride, self.padding = self.windows.size, self.windows.stride, self.before


class AvgPool2d(_AvgPool):
    """The mean of every window over two axes: (N, C, H, W).

        y[n,c,i,j] = (1 / m[i,j]) sum_{u,v} x[n,c, s i + u - padding, s j + v - padding]

    With one index for all axes, and its gradients, that is derived in `_AvgPool`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html
    """

    axes = 2


class AvgPool3d(_AvgPool):
    """The mean of every window over three axes: (N, C, D, H, W).

        y[n,c,t,i,j] = (1 / m[t,i,j]) sum_{r,u,v} x[n,c, s t + r - padding, s i + u - padding, s j + v - padding]

    With one index for all axes, and its gradients, that is derived in `_AvgPool`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool3d.html
    """

    axes = 3
