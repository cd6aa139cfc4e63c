"""Gates: x times a number between 0 and 1 that x itself, or its other half, gives."""

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_array, check_gradient, unsupported
from manual.nn.activation.axis import check_axis
from manual.nn.activation.elementwise import Elementwise
from manual.nn.activation.sigmoid import sigmoid, softplus
from manual.nn.activation.tanh import tanh


def silu(x: Array) -> Array:
    """Return x sigmoid(x)."""
    return x * sigmoid(x)


class SiLU(Elementwise):
    """y = x s, with s = sigmoid(x); also called swish.

    Partials: by the product rule, with s' = s (1 - s),

        dy/dx = s + x s (1 - s) = s (1 + x (1 - s)).

    Backward: grad_input = grad_output * s * (1 + x (1 - s)).

    At -inf, y is -inf * 0 = NaN, as in torch, and at both infinities so is the gradient.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SiLU.html; Elfwing et al. 2017,
    https://arxiv.org/abs/1702.03118; as swish: Ramachandran et al. 2017, https://arxiv.org/abs/1710.05941
    """

    def __init__(self, inplace: bool = False) -> None:
        unsupported("SiLU", inplace=inplace or None)

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return silu(x)

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        s = sigmoid(x)
        grad_input: Array = grad_output * (s * (1 + x * (1 - s)))
        return grad_input


class Mish(Elementwise):
    """y = x t, with t = tanh(softplus(x)) and softplus(x) = log(1 + e^x).

    Partials: softplus' = sigmoid and tanh' = 1 - tanh^2, so that t' = (1 - t^2) sigmoid(x), and by the product rule

        dy/dx = t + x (1 - t^2) sigmoid(x).

    Backward: grad_input = grad_output * (t + x (1 - t^2) sigmoid(x)), with 1 - t^2 written (1 - t) (1 + t), since 1 - t
    is exact near t = 1 and t^2 is not.

    At -inf, y is -inf * 0 = NaN, as in torch, and at both infinities so is the gradient.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Mish.html; Misra 2019,
    https://arxiv.org/abs/1908.08681
    """

    def __init__(self, inplace: bool = False) -> None:
        unsupported("Mish", inplace=inplace or None)

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        y: Array = x * tanh(softplus(x))
        return y

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        t = tanh(softplus(x))
        grad_input: Array = grad_output * (t + x * ((1 - t) * (1 + t) * sigmoid(x)))
        return grad_input


class GLU(Module):
    """y = a s, with s = sigmoid(b), where a and b are the first and the second half of x along the axis `dim`.

    Partials: dy/da = s, dy/db = a s (1 - s), entry by entry.

    Backward: with g = dL/dy, the halves of grad_input are g s and g a s (1 - s).

    The axis `dim` has an even length 2n, and n in y. Unlike SiLU, where the gate is x itself, a can grow while the gate
    stays open: along a the path is linear.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GLU.html; Dauphin et al. 2017,
    https://arxiv.org/abs/1612.08083
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def extra_repr(self) -> str:
        """Return the axis."""
        return f"dim={self.dim}"

    def forward(self, x: Array) -> tuple[Array, tuple[Array, Array]]:
        """Return y, half as long as x along `dim`, and `saved` = (a, s).

        Raises ValueError for an odd length and IndexError for an axis that x does not have.
        """
        check_array(x, "GLU")
        if x.ndim == 0:
            raise ValueError("GLU halves an axis, but a number has none: reshape it")
        check_axis("GLU", self.dim, x)
        if x.shape[self.dim] % 2:
            raise ValueError(f"GLU(dim={self.dim}) halves that axis of {x.shape}: its length must be even")
        a, b = np.split(x, 2, axis=self.dim)
        s = sigmoid(b)
        with beyond_the_finite():
            return a * s, (a, s)

    def backward(self, grad_output: Array, saved: tuple[Array, Array], *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        a, s = saved
        check_gradient(grad_output, a.shape, a.dtype, "GLU")
        if not input_grad:
            return None
        with beyond_the_finite():
            return np.concatenate([grad_output * s, grad_output * a * (s * (1 - s))], axis=self.dim)
