"""Exponential linear units: the identity above 0, an exponential that levels off below.

All three are s x for x > 0 and s a (e^(x/b) - 1) elsewhere: ELU has s = b = 1; CELU s = 1 and b = a; SELU b = 1, and
constants for s and a. e^z - 1 is `np.expm1`: near 0 the difference would cancel. For large x > 0 the exponential is
infinite, and not chosen.
"""

import numpy as np

from manual.module import Array, unsupported
from manual.nn.activation.elementwise import Elementwise

# The fixed point of Klambauer et al.: with these, and weights of variance 1/n, mean 0 and variance 1 stay 0 and 1.
SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


class ELU(Elementwise):
    """y = x for x > 0 and a (e^x - 1) elsewhere, with a = `alpha`.

    Partials: dy/dx = 1 for x > 0 and a e^x for x < 0. At x = 0 (and at -0) torch takes a; for a = 1 there is no kink.

    Backward: grad_input = grad_output where x > 0, grad_output * a e^x elsewhere. That is also grad_output * (y + a),
    which needs no exponential; but y + a cancels where y is near -a, so that the small gradients there would be noise.

    For NaN torch gives grad_output or NaN, depending on where in the array it stands; here it is grad_output.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ELU.html; Clevert et al. 2015,
    https://arxiv.org/abs/1511.07289
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        unsupported("ELU", inplace=inplace or None)
        self.alpha = float(alpha)

    def extra_repr(self) -> str:
        """Return alpha."""
        return f"alpha={self.alpha}"

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return np.where(x.real > 0, x, self.alpha * np.expm1(x))

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        return np.where(x <= 0, grad_output * (self.alpha * np.exp(x)), grad_output)


class CELU(Elementwise):
    """y = x for x > 0 and a (e^(x/a) - 1) elsewhere, with a = `alpha`, not 0.

    Partials: dy/dx = 1 for x > 0 and a (1/a) e^(x/a) = e^(x/a) for x < 0. Both are 1 at x = 0: there is no kink,
    whatever a is, which is what the division by a is for.

    Backward: grad_input = grad_output where x > 0, grad_output * e^(x/a) elsewhere. torch rounds the a of its backward
    to float32, in float64 too: its gradient is off by up to 6e-8 (1 + |x/a|) where float32 does not have a.

    For NaN torch gives grad_output or NaN, depending on where in the array it stands; here it is grad_output.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CELU.html; Barron 2017,
    https://arxiv.org/abs/1704.07483
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        unsupported("CELU", inplace=inplace or None)
        if alpha == 0:
            raise ValueError("CELU(alpha=0) divides by alpha: use another number, or ReLU, which is its limit")
        self.alpha = float(alpha)

    def extra_repr(self) -> str:
        """Return alpha."""
        return f"alpha={self.alpha}"

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return np.where(x.real > 0, x, self.alpha * np.expm1(x / self.alpha))

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        return np.where(x <= 0, grad_output * np.exp(x / self.alpha), grad_output)


class SELU(Elementwise):
    """y = s x for x > 0 and s a (e^x - 1) elsewhere, with a = 1.67326... and s = 1.05070...

    Partials: dy/dx = s for x > 0 and s a e^x for x < 0. At x = 0 (and at -0) torch takes s a = 1.758.

    Backward: grad_input = grad_output * s where x > 0, grad_output * s a e^x elsewhere.

    For NaN torch gives s grad_output or NaN, depending on where in the array it stands; here it is s grad_output.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SELU.html; Klambauer et al. 2017,
    https://arxiv.org/abs/1706.02515
    """

    def __init__(self, inplace: bool = False) -> None:
        unsupported("SELU", inplace=inplace or None)

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return SELU_SCALE * np.where(x.real > 0, x, SELU_ALPHA * np.expm1(x))

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        return grad_output * (SELU_SCALE * np.where(x <= 0, SELU_ALPHA * np.exp(x), 1))
