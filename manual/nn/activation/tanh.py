"""The hyperbolic tangent and what is made of it."""

import numpy as np

from manual.module import Array, Module, check_array


class Tanh(Module):
    """y = tanh(x) = (e^x - e^-x) / (e^x + e^-x), for x of any shape.

    Partials: by the quotient rule, dy/dx = ((e^x + e^-x)^2 - (e^x - e^-x)^2) / (e^x + e^-x)^2 = 1 - y^2, so the
    output is all that needs to be saved.

    Backward: grad_input = grad_output * (1 - y^2), written (1 - y) (1 + y): near y = +-1 the square would be rounded
    before the difference is taken, while 1 - y is exact there.

    tanh(x) = 2 sigmoid(2x) - 1. `np.tanh` is used, since that difference cancels near 0, and e^x overflows.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanh.html
    """

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return y and `saved` = y, both of the shape of x."""
        check_array(x, "Tanh")
        y = np.tanh(x)
        return y, y

    def backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        if not input_grad:
            return None
        y = saved
        grad_input: Array = grad_output * ((1 - y) * (1 + y))
        return grad_input
