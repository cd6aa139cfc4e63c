"""The Gaussian error linear unit, exact and by tanh."""

import math

import numpy as np

from manual.module import Array
from manual.nn.activation.elementwise import Elementwise
from manual.nn.activation.erf import erfc
from manual.nn.activation.sigmoid import sigmoid

TANH_SCALE = math.sqrt(2 / math.pi)
TANH_CUBIC = 0.044715
HELD = 64.0


def gelu(x: Array, approximate: str = "none") -> Array:
    """Return x Phi(x), Phi by the error function or, with approximate='tanh', by the tanh of a cubic."""
    y: Array = x * (normal_cdf(x) if approximate == "none" else sigmoid(2 * _cubic(x)))
    return y


def normal_cdf(x: Array) -> Array:
    """Return Phi(x) = (1 + erf(x / sqrt 2)) / 2, the probability that a standard normal number is below x.

    For x << 0 erf is near -1 and the sum cancels: at x = -9, 1e-19 would become 0. With 1 + erf(z) = erfc(-z) no
    difference is left to take, and Phi keeps its relative accuracy down to the smallest number.
    """
    return 0.5 * erfc(-x / math.sqrt(2))


def normal_pdf(x: Array) -> Array:
    """Return phi(x) = e^(-x^2/2) / sqrt(2 pi), the derivative of Phi."""
    density: Array = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return density


class GELU(Elementwise):
    """y = x Phi(x), with Phi the distribution function of the standard normal: x times the chance of a number below x.

    approximate='none'. Phi(x) = (1 + erf(x / sqrt 2)) / 2, and Phi' = phi(x) = e^(-x^2/2) / sqrt(2 pi). By the
    product rule

        dy/dx = Phi(x) + x phi(x).

    approximate='tanh'. Phi is replaced by (1 + tanh u) / 2 with u = sqrt(2/pi) (x + 0.044715 x^3), which is off by up
    to 2e-4, and y by 5e-4. Since (1 + tanh u) / 2 = 1 / (1 + e^-2u) = s, with s = sigmoid(2u), this is y = x s. With
    s' = s (1 - s)

        dy/dx = s + x s (1 - s) 2 u',    2 u' = 2 sqrt(2/pi) (1 + 3 * 0.044715 x^2),

    where 1 - s is computed as sigmoid(-2u), which keeps its digits for x >> 0.

    The two have different derivatives: a backward of one for the forward of the other is off by up to 1e-3, which
    looks like rounding in float16.

    Neither form takes a difference that cancels for x << 0, where 1 + erf and 1 + tanh would: y keeps its relative
    accuracy, which torch's does not. From |x| = 64 on, s is 0 or 1 in every precision, and x^2 is held there so
    that the slope has no 0 * inf. At -inf, y is -inf * 0 = NaN, as in torch, and at both infinities so is the gradient.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GELU.html; Hendrycks and Gimpel 2016,
    https://arxiv.org/abs/1606.08415
    """

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU(approximate={approximate!r}): use 'none' or 'tanh'")
        self.approximate = approximate

    def extra_repr(self) -> str:
        """Return which form is used."""
        return f"approximate={self.approximate!r}"

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return gelu(x, self.approximate)

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        if self.approximate == "none":
            slope = normal_cdf(x) + x * normal_pdf(x)
        else:
            s, one_minus_s = sigmoid(2 * _cubic(x)), sigmoid(-2 * _cubic(x))
            slope = s + x * (s * one_minus_s) * (2 * TANH_SCALE * (1 + 3 * TANH_CUBIC * np.clip(x, -HELD, HELD) ** 2))
        grad_input: Array = grad_output * slope
        return grad_input


def _cubic(x: Array) -> Array:
    """Return u = sqrt(2/pi) (x + 0.044715 x^3)."""
    return TANH_SCALE * (x + TANH_CUBIC * x * x * x)
