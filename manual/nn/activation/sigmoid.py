"""The sigmoid, its integral Softplus, and its logarithm."""

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_array, check_gradient
from manual.nn.activation.elementwise import Elementwise


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

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        y = saved
        check_gradient(grad_output, y.shape, y.dtype, "Sigmoid")
        if not input_grad:
            return None
        grad_input: Array = grad_output * y * (1 - y)
        return grad_input


def softplus(x: Array) -> Array:
    """Return log(1 + e^x), element by element, without overflow for any x.

    e^x overflows for x above 709 in float64. For x >= 0, log(1 + e^x) = x + log(1 + e^-x): the exponential taken is
    never above 1. log(1 + e) is `np.log1p`, which keeps an e that is small beside 1.
    """
    larger, rest = softplus_parts(x)
    result: Array = larger + rest
    return result


def softplus_parts(x: Array) -> tuple[Array, Array]:
    """Return max(x, 0) and log(1 + e^-|x|), element by element: their sum is log(1 + e^x)."""
    positive = x.real >= 0
    return np.where(positive, x, 0), np.log1p(np.exp(np.where(positive, -x, x)))


class Softplus(Elementwise):
    """y = log(1 + e^(b x)) / b, with b = `beta`, and y = x where b x > `threshold`.

    Partials: dy/dx = (1/b) b e^(b x) / (1 + e^(b x)) = sigmoid(b x), and 1 where b x > threshold.

    Backward: grad_input = grad_output * sigmoid(b x), and grad_output where b x > threshold.

    At the threshold of 20, y jumps by e^-20 / b = 2e-9 / b and its derivative by 2e-9: this is how torch keeps away
    from an e^(b x) that overflows. The form here does not overflow; it takes the straight line where torch does, to be
    the same function.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softplus.html
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = float(beta), float(threshold)

    def extra_repr(self) -> str:
        """Return beta and the threshold."""
        return f"beta={self.beta}, threshold={self.threshold}"

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        z = self.beta * x
        return np.where(z.real > self.threshold, x, softplus(z) / self.beta)

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        z = self.beta * x
        return np.where(z > self.threshold, grad_output, grad_output * sigmoid(z))


class LogSigmoid(Elementwise):
    """y = log sigmoid(x) = log(1 / (1 + e^-x)) = -softplus(-x).

    Partials: dy/dx = softplus'(-x) = sigmoid(-x), which is 1 - sigmoid(x) without the difference.

    Backward: grad_input = grad_output * sigmoid(-x).

    The logarithm of a sigmoid would be -inf below x = -745 (float64), where the sigmoid is rounded to 0; this is x
    there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSigmoid.html
    """

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return -softplus(-x)

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        return grad_output * sigmoid(-x)
