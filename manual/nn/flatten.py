"""Flatten: axes laid end to end; Unflatten: one axis taken apart."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from manual.module import Array, Module, check_array, check_gradient

Saved = tuple[tuple[int, ...], tuple[int, ...], np.dtype[Any]]


class Flatten(Module):
    """Lay the axes from `start_dim` to `end_dim` end to end, last one fastest; the values stay.

    Every entry of y is one entry of x, so dy/dx is a permutation that moves nothing in memory:
    grad_input is grad_output in the shape of x.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Flatten.html
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def extra_repr(self) -> str:
        """Return the first and the last axis."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"

    def forward(self, x: Array) -> tuple[Array, Saved]:
        """Return y and `saved` = (the shape of x, that of y, their dtype).

        Raises IndexError for an axis that x does not have and ValueError where start_dim is behind end_dim.
        """
        check_array(x, "Flatten")
        ndim = max(x.ndim, 1)  # torch flattens a scalar to one entry
        for dim in (self.start_dim, self.end_dim):
            if not -ndim <= dim < ndim:
                raise IndexError(f"Flatten: axis {dim} for an input with {x.ndim} axes; use {-ndim} to {ndim - 1}")
        start, end = self.start_dim % ndim, self.end_dim % ndim
        if start > end:
            raise ValueError(f"Flatten: start_dim {self.start_dim} lies behind end_dim {self.end_dim}; swap them")
        flat = math.prod(x.shape[start : end + 1])  # not -1: a size of 0 elsewhere would leave it undecided
        y = x.reshape((*x.shape[:start], flat, *x.shape[end + 1 :]))
        return y, (x.shape, y.shape, y.dtype)

    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        x_shape, y_shape, dtype = saved
        check_gradient(grad_output, y_shape, dtype, "Flatten")
        return grad_output.reshape(x_shape) if input_grad else None


class Unflatten(Module):
    """Take the axis `dim` apart into axes of `unflattened_size`, last one fastest; the values stay.

    The reverse of Flatten. Every entry of y is one entry of x, so grad_input is grad_output in the shape of x.

    One of `unflattened_size` may be -1: it is what is left of the axis when the others are divided out. A negative
    `dim` counts from the last axis.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Unflatten.html
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        if not isinstance(dim, int) or isinstance(dim, bool):
            raise TypeError(f"Unflatten: dim is the number of an axis, not {dim!r}")
        if not isinstance(unflattened_size, Sequence) or not all(isinstance(size, int) for size in unflattened_size):
            raise TypeError(f"Unflatten: unflattened_size is a tuple of integers, not {unflattened_size!r}")
        sizes = unflattened_size
        if not sizes or min(sizes) < -1 or sizes.count(-1) > 1:
            raise ValueError(f"Unflatten: unflattened_size has one size or more, at most one of them -1, not {sizes}")
        self.dim, self.unflattened_size = dim, sizes

    def extra_repr(self) -> str:
        """Return the axis and its sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"

    def forward(self, x: Array) -> tuple[Array, Saved]:
        """Return y and `saved` = (the shape of x, that of y, their dtype).

        Raises IndexError for an axis that x does not have and ValueError where the sizes do not make up the axis.
        """
        check_array(x, "Unflatten")
        if not -x.ndim <= self.dim < x.ndim:
            raise IndexError(
                f"Unflatten: x has {x.ndim} axes, and none is axis {self.dim}; use {-x.ndim} to {x.ndim - 1}"
            )
        dim = self.dim % x.ndim
        known = math.prod(size for size in self.unflattened_size if size != -1)
        rest = x.shape[dim] // known if known else -1  # 0 / 0 may be any size, and nothing else makes up for a 0
        sizes = tuple(rest if size == -1 else size for size in self.unflattened_size)
        if math.prod(sizes) != x.shape[dim] or -1 in sizes:
            raise ValueError(
                f"Unflatten: {self.unflattened_size} does not multiply up to {x.shape[dim]}, axis {dim}; "
                "give sizes with this product, one of them -1 for the rest"
            )
        y = x.reshape((*x.shape[:dim], *sizes, *x.shape[dim + 1 :]))
        return y, (x.shape, y.shape, y.dtype)

    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        x_shape, y_shape, dtype = saved
        check_gradient(grad_output, y_shape, dtype, "Unflatten")
        return grad_output.reshape(x_shape) if input_grad else None
