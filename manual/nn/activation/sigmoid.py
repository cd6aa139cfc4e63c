"""The sigmoid and its integrals."""

import numpy as np

from manual.module import Array, Module, check_array


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + e^-x), element by element, without overflow for any x.

    e^-x overflows for x below -709 in float64. For x < 0 both parts are multiplied by e^x, which gives
    e^x / (1 + e^x): the exponential taken is never above 1.
    """
    positive = x.real >= 0
    e = np.exp(np.where(positive, -x, x))
    result: Array = np.where(positive, 1, e) / (1 + e)
    return result


class Sigmoid(Module):
    """y = sigmoid(x) = 1 / (1 + e^-x), for x of any shape.

    Partials: dy/dx = e^-x / (1 + e^-x)^2. With 1 - y = e^-x / (1 + e^-x) that is y (1 - y), so the
    output is all that needs to be saved.

    Backward: grad_input = grad_output * y * (1 - y).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Sigmoid.html
    """

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return y and `saved` = y, both of the shape of x."""
        check_array(x, "Sigmoid")
        y = sigmoid(x)
        return y, y

    def backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        if not input_grad:
            return None
        y = saved
        grad_input: Array = grad_output * y * (1 - y)
        return grad_input
