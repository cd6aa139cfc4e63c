"""The softmax and its kin: numbers along one axis that depend on one another."""

import warnings
from typing import Any

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_array, check_gradient
from manual.nn.activation.axis import check_axis

Saved = tuple[Array, int]  # the output, and the axis


def softmax(x: Array, dim: int) -> Array:
    """Return e^x_i / sum_k e^x_k along the axis `dim`.

    A constant c added to every x_k leaves the quotient as it is, since e^c cancels. With c = -max x the largest
    exponential is 1: none overflows, and the sum is at least 1. A row of -inf alone is NaN, as in torch.
    """
    with beyond_the_finite():
        e = np.exp(x - _largest(x, dim))
        y: Array = e / e.sum(axis=dim, keepdims=True)
    return y


def softmax_backward(grad_output: Array, y: Array, dim: int) -> Array:
    """Return y (g - sum_k g_k y_k) along the axis `dim`: the gradient for x, of y = softmax(x, dim) and g = dL/dy."""
    with beyond_the_finite():
        grad_input: Array = y * (grad_output - (grad_output * y).sum(axis=dim, keepdims=True))
    return grad_input


def log_softmax(x: Array, dim: int) -> Array:
    """Return x_i - log sum_k e^x_k along the axis `dim`; max x is subtracted first, so that nothing overflows."""
    with beyond_the_finite():
        shifted = x - _largest(x, dim)
        y: Array = shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))
    return y


def _largest(x: Array, dim: int) -> Any:
    """Return max x along the axis, which stays with length 1; -inf where it is empty.

    What is added to all x_k has no effect, so that its own derivative has none. NumPy orders complex numbers by their
    real part.
    """
    return x.max(axis=dim, keepdims=True, initial=-np.inf)


class _AlongOneAxis(Module):
    """What these share: the axis `dim`.

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
        dim = self.dim
        if dim is None:
            dim = 0 if x.ndim in (0, 1, 3) else 1
            warnings.warn(f"{who} without dim= takes axis {dim} of {x.shape}: write {who}(dim={dim})", stacklevel=3)
        check_axis(who, dim, x)
        return dim


class Softmax(_AlongOneAxis):
    """y_i = e^x_i / sum_k e^x_k along the axis `dim`: numbers from 0 to 1 whose sum is 1.

    Partials: with S = sum_k e^x_k, the quotient rule gives dy_i/dx_j = [i = j] e^x_i / S - e^x_i e^x_j / S^2, so

        dy_i/dx_j = y_i ([i = j] - y_j),    as a matrix: J = diag(y) - y y^T,

    where [i = j] is 1 for i = j and 0 otherwise.

    It is symmetric and not diagonal: every x_j moves every y_i. With g = dL/dy,

        dL/dx_j = sum_i g_i y_i ([i = j] - y_j) = g_j y_j - y_j sum_i g_i y_i.

    Backward: grad_input = y (g - sum(g y)), the sum along `dim`. J is never built: two passes over n numbers do what
    n^2 would. grad_input sums to 0 along `dim`, since a constant added to all x changes nothing; and where g is the
    same for all i, it is 0, since the y_i sum to 1. A test with g = 1 therefore sees nothing.

    The output is all that is saved of the numbers.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax.html
    """

    def forward(self, x: Array) -> tuple[Array, Saved]:
        """Return y, of the shape of x, and `saved` = (y, the axis)."""
        dim = self._axis(x)
        y = softmax(x, dim)
        return y, (y, dim)

    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        y, dim = saved
        check_gradient(grad_output, y.shape, y.dtype, "Softmax")
        return softmax_backward(grad_output, y, dim) if input_grad else None


class Softmin(_AlongOneAxis):
    """y_i = e^-x_i / sum_k e^-x_k along the axis `dim`: the softmax of -x.

    Partials: dy_i/dx_j = -y_i ([i = j] - y_j), the softmax's times the inner derivative -1.

    Backward: grad_input = -y (g - sum(g y)), the sum along `dim`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmin.html
    """

    def forward(self, x: Array) -> tuple[Array, Saved]:
        """Return y, of the shape of x, and `saved` = (y, the axis)."""
        dim = self._axis(x)
        y = softmax(-x, dim)
        return y, (y, dim)

    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        y, dim = saved
        check_gradient(grad_output, y.shape, y.dtype, "Softmin")
        return -softmax_backward(grad_output, y, dim) if input_grad else None


class LogSoftmax(_AlongOneAxis):
    """y_i = log(e^x_i / sum_k e^x_k) = x_i - log sum_k e^x_k along the axis `dim`.

    Partials: the derivative of log sum_k e^x_k for x_j is e^x_j / sum_k e^x_k = p_j, the softmax, so

        dy_i/dx_j = [i = j] - p_j,    with p = e^y and [i = j] as in Softmax.

    With g = dL/dy, dL/dx_j = sum_i g_i ([i = j] - p_j) = g_j - p_j sum_i g_i.

    Backward: grad_input = g - e^y sum(g), the sum along `dim`. With the loss -y_t for one class t, g is -1 at t and 0
    elsewhere, and this is p - onehot(t).

    Stable: with m = max x, log sum e^x = m + log sum e^(x - m), where no exponential is above 1 and the sum is at least
    1. The log of a softmax would be -inf wherever the softmax is rounded to 0; x - m - log sum e^(x - m) is not.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSoftmax.html
    """

    def forward(self, x: Array) -> tuple[Array, Saved]:
        """Return y, of the shape of x, and `saved` = (y, the axis)."""
        dim = self._axis(x)
        y = log_softmax(x, dim)
        return y, (y, dim)

    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        y, dim = saved
        check_gradient(grad_output, y.shape, y.dtype, "LogSoftmax")
        if not input_grad:
            return None
        with beyond_the_finite():
            grad_input: Array = grad_output - np.exp(y) * grad_output.sum(axis=dim, keepdims=True)
        return grad_input


class Softmax2d(Module):
    """The softmax over the channels of every place of a picture: x is (N, C, H, W) or (C, H, W), the axis is C.

    y[n,c,h,w] = e^x[n,c,h,w] / sum_k e^x[n,k,h,w].

    Backward: grad_input = y (g - sum(g y)), the sum over the channels, as derived in Softmax.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softmax2d.html
    """

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return y, of the shape of x, and `saved` = y. Raises ValueError unless x has 3 or 4 axes."""
        check_array(x, "Softmax2d")
        if x.ndim not in (3, 4):
            raise ValueError(f"Softmax2d takes (N, C, H, W) or (C, H, W), but was given an input of shape {x.shape}")
        y = softmax(x, -3)
        return y, y

    def backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        y = saved
        check_gradient(grad_output, y.shape, y.dtype, "Softmax2d")
        return softmax_backward(grad_output, y, -3) if input_grad else None
