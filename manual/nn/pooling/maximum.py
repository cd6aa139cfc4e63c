"""Max pooling: the largest entry of every window."""

import math
from typing import Any

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array, check_gradient
from manual.nn.gradients import check_pair
from manual.nn.padding.ends import pad_constant
from manual.nn.pooling.base import _WindowPool
from manual.nn.windows import Sizes

Saved = tuple[Array, Sizes, np.dtype[Any]]


def flat_indices(shape: Sizes) -> Array:
    """Return the number of every place of an array of this shape, the last axis counted fastest."""
    return np.arange(math.prod(shape)).reshape(shape)


def places_of(indices: Array, shape: Sizes) -> Array:
    """Return where flat indices over `shape`, (..., *counts), lie in an array (..., *shape) that is laid end to end."""
    samples = indices.shape[: -len(shape)]
    first = math.prod(shape) * flat_indices(samples)  # where each sample starts
    return first.reshape(*samples, *(1,) * len(shape)) + indices


def add_at(grad_output: Array, indices: Array, shape: Sizes) -> Array:
    """Return x (..., *shape), where every entry of grad_output is added at its flat index over `shape`."""
    x = np.zeros((*grad_output.shape[: -len(shape)], *shape), grad_output.dtype)
    np.add.at(x.reshape(-1), places_of(indices, shape).reshape(-1), grad_output.reshape(-1))
    return x


def gradient_of_largest(grad_output: Any, saved: Saved, return_indices: bool, who: str) -> Array:
    """Return the gradient of y: indices have none. Raises TypeError or ValueError for one that is not of y."""
    indices, _, dtype = saved
    if return_indices:
        check_pair(grad_output, who)
    g: Array = grad_output[0] if return_indices else grad_output
    check_gradient(g, indices.shape, dtype, who)
    return g


class _MaxPool(_WindowPool):
    """y[p] = max_k x[stride p - padding + dilation k]: the largest entry of each window, channel by channel.

    With i(p) the place of that entry, y[p] = x[i(p)], and with g = dL/dy

        dy[p]/dx[q] = 1 if q = i(p), else 0        dL/dx[q] = sum of g[p] over all windows p with i(p) = q:

    the gradient goes to the entry that won. Where windows overlap one entry may win in several, and gets the sum.

    The derivative is that of x[i(p)] wherever no other entry of the window is as large. Of equal ones the first in scan
    order wins, as in torch, and gets all of g; any split of g between them would be a subgradient too. A NaN wins over
    every number, so that it is seen behind the layer, and over a NaN before it. Padding never wins, not even in a
    window of -inf, so that every index is one of x.

    x is (N, C, *shape) or (C, *shape). `stride` is the kernel's size where none is given; `padding` is at most half of
    it. With `ceil_mode` a last window may stick out (`base.py`). With `return_indices` the output is (y, i), i of the
    shape of y: flat indices over `shape`, the last axis counted fastest.
    """

    def __init__(
        self,
        kernel_size: int | Sizes,
        stride: int | Sizes | None = None,
        padding: int | Sizes = 0,
        dilation: int | Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        self._prepare(kernel_size, stride, padding, dilation, ceil_mode)
        self.return_indices = return_indices

    def extra_repr(self) -> str:
        """Return the arguments."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )

    def forward(self, input: Array) -> tuple[Any, Saved]:
        """Return y, or (y, indices), and `saved` = (the largest entries' indices, the pooled axes' shape, the dtype).

        Raises ValueError where no window fits, or where one would lie in padding alone.
        """
        ends, shape = self._ends(input), input.shape[-self.axes :]
        padded = pad_constant(input, ends)
        numbers = pad_constant(flat_indices(shape), ends, -1)  # -1: padding
        counts = self.windows.counts(numbers.shape)
        y = np.zeros((*input.shape[: -self.axes], *counts), input.dtype)
        indices = np.full(y.shape, -1)
        for place in self.windows.places(counts):
            entry, number = padded[place], numbers[place]
            larger = (indices < 0) | (entry.real > y.real) | np.isnan(entry)
            wins = (number >= 0) & larger
            y, indices = np.where(wins, entry, y), np.where(wins, number, indices)
        if (indices < 0).any():  # torch hands out an index outside of the input here
            raise ValueError(f"{type(self).__name__}: a window has padding alone; give less padding or dilation")
        return (y, indices) if self.return_indices else y, (indices, shape, y.dtype)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input: every entry of the output's gradient is added where the largest entry was."""
        g = gradient_of_largest(grad_output, saved, self.return_indices, type(self).__name__)
        indices, shape, _ = saved
        return add_at(g, indices, shape) if input_grad else None


class MaxPool1d(_MaxPool):
    """The largest entry of every window over one axis: (N, C, L).

        y[n,c,p] = max_k x[n,c, s p + d k - padding]

    With one index for all axes, and its gradients, that is derived in `_MaxPool`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool1d.html
    """

    axes = 1


class MaxPool2d(_MaxPool):
    """The largest entry of every window over two axes: (N, C, H, W).

        y[n,c,i,j] = max_{u,v} x[n,c, s i + d u - padding, s j + d v - padding]

    With one index for all axes, and its gradients, that is derived in `_MaxPool`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html
    """

    axes = 2


class MaxPool3d(_MaxPool):
    """The largest entry of every window over three axes: (N, C, D, H, W).

        y[n,c,t,i,j] = max_{r,u,v} x[n,c, s t + d r - padding, s i + d u - padding, s j + d v - padding]

    With one index for all axes, and its gradients, that is derived in `_MaxPool`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool3d.html
    """

    axes = 3
