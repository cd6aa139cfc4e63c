"""The softmax and its kin: numbers along one axis that depend on one another."""

import warnings
from typing import Any

import numpy as np

from manual.module import Array, Module, check_array
from manual.nn.activation.elementwise import beyond_the_finite


def softmax(x: Array, dim: int) -> Array:
    """Return e^x_i / sum_k e^x_k along the axis `dim`.

    A constant c added to every x_k leaves the quotient as it is, since e^c cancels. With c = -max x the largest
    exponential is 1: none overflows, and the sum is at least 1.
    """
    with beyond_the_finite():
        e = np.exp(x - _largest(x, dim))
        y: Array = e / e.sum(axis=dim, keepdims=True)
    return y


def softmax_backward(grad_output: Array, y: Array, dim: int) -> Array:
    """Return y (g - sum_k g_k y_k) along the axis `dim`, for y = softmax(x, dim): the gradient with respect to x."""
    with beyond_the_finite():
        grad_input: Array = y * (grad_output - (grad_output * y).sum(axis=dim, keepdims=True))
    return grad_input


class _AlongOneAxis(Module):
    """What these share: the axis `dim`, checked as torch does.

    Without `dim`, torch takes axis 0 of arrays with 0, 1 or 3 axes and axis 1 of all others, and warns. So does this:
    what runs there runs here, and as loudly.
    """

    def __init__(self, dim: int | None = None) -> None:
        self.dim = dim

    def extra_repr(self) -> str:
        """Return the axis."""
        return f"dim={self.dim}"

    def _axis(self, x: Array) -> int:
        """Return the axis of x along which it is computed."""
        who = type(self).__name__
        check_array(x, who)
        if self.dim is None:
            axis = 0 if x.ndim in (0, 1, 3) else 1
            warnings.warn(f"{who} without dim= takes axis {axis} here: write {who}(dim={axis})", stacklevel=3)
            return axis
        axes = max(x.ndim, 1)  # a number without axes counts as one along one axis
        if not -axes <= self.dim < axes:
            raise IndexError(f"{who}(dim={self.dim}) takes {-axes} to {axes - 1} for an input of shape {x.shape}")
        return self.dim


class Softmax(_AlongOneAxis):
    """y_i = e^x_i / sum_k e^x_k along the axis `dim`: positive numbers whose sum is 1.

    Partials: with S = sum_k e^x_k, the quotient rule gives dy_i/dx_j = (i = j) e^x_i / S - e^x_i e^x_j / S^2, so

        dy_i/dx_j = y_i ((i = j) - y_j),    as a matrix: J = diag(y) - y y^T.

    It is symmetric and not diagonal: every x_j moves every y_i. With g = dL/dy,

        dL/dx_j = sum_i g_i y_i ((i = j) - y_j) = g_j y_j - y_j sum_i g_i y_i.

    Backward: grad_input = y (g - sum(g y)), the sum along `dim`. J is never built: n numbers do what n^2 would.
    Its sum along `dim` is 0, since a constant added to all x changes nothing; and where g is the same for all, it is 0.

    The output is all that is saved. A row of -inf alone is 0/0: NaN, as in torch.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax.html
    """

    def forward(self, x: Array) -> tuple[Array, tuple[Array, int]]:
        """Return y, of the shape of x, and `saved` = (y, the axis)."""
        dim = self._axis(x)
        y = softmax(x, dim)
        return y, (y, dim)

    def backward(self, grad_output: Array, saved: tuple[Array, int], *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        return softmax_backward(grad_output, *saved) if input_grad else None


def _largest(x: Array, dim: int) -> Any:
    """Return max x along the axis, which stays with length 1; -inf where there is none.

    It is a shift that cancels, and so its own derivative is left out: the real part will do.
    """
    return x.real.max(axis=dim, keepdims=True, initial=-np.inf)
