"""Gates: x times a number between 0 and 1 that x itself, or its other half, gives."""

from manual.module import Array, unsupported
from manual.nn.activation.elementwise import Elementwise
from manual.nn.activation.sigmoid import sigmoid


def silu(x: Array) -> Array:
    """Return x sigmoid(x)."""
    return x * sigmoid(x)


class SiLU(Elementwise):
    """y = x s, with s = sigmoid(x); also called swish.

    Partials: by the product rule, with s' = s (1 - s),

        dy/dx = s + x s (1 - s) = s (1 + x (1 - s)).

    Backward: grad_input = grad_output * s * (1 + x (1 - s)).

    At -inf, y is -inf * 0 = NaN, as in torch, and at both infinities so is the gradient.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SiLU.html
    """

    def __init__(self, inplace: bool = False) -> None:
        unsupported("SiLU", inplace=inplace or None)

    def value(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return silu(x)

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        s = sigmoid(x)
        grad_input: Array = grad_output * s * (1 + x * (1 - s))
        return grad_input
