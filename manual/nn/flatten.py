"""Flatten: axes laid end to end."""

import math

from manual.module import Array, Module, check_array


class Flatten(Module):
    """Lay the axes from `start_dim` to `end_dim` end to end, last one fastest; the values stay.

    Every entry of y is one entry of x, so dy/dx is a permutation that moves nothing in memory:
    grad_input is grad_output in the shape of x.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Flatten.html
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Array) -> tuple[Array, tuple[int, ...]]:
        """Return y and `saved` = the shape of x.

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
        return x.reshape((*x.shape[:start], flat, *x.shape[end + 1 :])), x.shape

    def backward(self, grad_output: Array, saved: tuple[int, ...], *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        return grad_output.reshape(saved) if input_grad else None
