"""The hyperbolic tangent, and Softsign, which is like it without an exponential."""

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_array, check_gradient
from manual.nn.activation.elementwise import Elementwise


def tanh(x: Array) -> Array:
    """Return tanh(x), element by element; in float32 rounded from float64's.

    NumPy's tanh of float32 is off by up to 1.4 units in the last place (torch's by 0.5), and the slope 1 - y^2
    multiplies this by 2 / (1 - y^2), in a recurrent network again at every step back through time.
    """
    y: Array = np.tanh(x, dtype=np.result_type(x.dtype, np.float64)).astype(x.dtype)
    return y


class Tanh(Module):
    """y = tanh(x) = (e^x - e^-x) / (e^x + e^-x), for x of any shape.

    Partials: by the quotient rule, dy/dx = ((e^x + e^-x)^2 - (e^x - e^-x)^2) / (e^x + e^-x)^2 = 1 - y^2, so the
    output is all that needs to be saved.

    Backward: grad_input = grad_output * (1 - y^2), written (1 - y) (1 + y). Near y = +-1 the rounding of y^2 would be
    large beside the small difference; of the two factors the small one is exact there, and the other is near 2.

    tanh(x) = 2 sigmoid(2x) - 1, but that difference cancels near 0, and e^x overflows; `np.tanh` does neither.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanh.html
    """

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return y and `saved` = y, both of the shape of x."""
        check_array(x, "Tanh")
        y = tanh(x)
        return y, y

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        y = saved
        check_gradient(grad_output, y.shape, y.dtype, "Tanh")
        if not input_grad:
            return None
        grad_input: Array = grad_output * ((1 - y) * (1 + y))
        return grad_input


class Tanhshrink(Elementwise):
    """y = x - tanh(x).

    Partials: dy/dx = 1 - (1 - tanh(x)^2) = tanh(x)^2.

    Backward: grad_input = grad_output * tanh(x)^2.

    Near 0, y is about x^3/3 while x and tanh(x) are about x: the difference keeps its absolute accuracy, eps |x|, and
    loses the relative one, as in torch. The gradient has both.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Tanhshrink.html
    """

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        y: Array = x - tanh(x)
        return y

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        grad_input: Array = grad_output * tanh(x) ** 2
        return grad_input


class Softsign(Elementwise):
    """y = x / (1 + |x|).

    Partials: with |x|' = sign(x), the quotient rule gives dy/dx = (1 + |x| - x sign(x)) / (1 + |x|)^2, and since
    x sign(x) = |x| that is 1 / (1 + |x|)^2. There is no kink at 0: both sides are 1.

    Backward: grad_input = grad_output / (1 + |x|)^2, divided twice, so that the square does not overflow.

    At +-inf, y is inf/inf = NaN, as in torch. The gradient is 0 there, its limit; torch, which composes it of the
    quotient's two terms, has NaN.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softsign.html
    """

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        y: Array = x / (1 + x * np.sign(x.real))
        return y

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        d = 1 + np.abs(x)
        grad_input: Array = grad_output / d / d
        return grad_input
