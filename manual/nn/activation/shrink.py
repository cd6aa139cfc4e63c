"""Shrinkage: what is near 0 becomes 0."""

import numpy as np

from manual.module import Array
from manual.nn.activation.elementwise import Elementwise


class Hardshrink(Elementwise):
    """y = 0 for -l <= x <= l, and x elsewhere, with l = `lambd`.

    Partials: dy/dx = 0 for |x| < l and 1 outside. At x = -l and x = l, where y jumps, torch takes 0.

    Backward: grad_input = 0 where |x| <= l, grad_output elsewhere.

    For NaN torch gives grad_output or 0, depending on where in the array it stands; here it is grad_output.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardshrink.html
    """

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = float(lambd)

    def extra_repr(self) -> str:
        """Return lambda."""
        return f"{self.lambd}"

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return np.where((x.real >= -self.lambd) & (x.real <= self.lambd), 0, x)

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        return np.where(np.abs(x) <= self.lambd, 0, grad_output)


class Softshrink(Elementwise):
    """y = x - l for x > l, x + l for x < -l, and 0 between, with l = `lambd`, 0 or above.

    It is the z that minimises (z - x)^2 / 2 + l |z|: the step of a lasso.

    Partials: dy/dx = 1 for |x| > l and 0 for |x| < l. At x = -l and x = l, where the sides differ, torch takes 0.

    Backward: grad_input = 0 where |x| <= l, grad_output elsewhere.

    For NaN torch gives grad_output or 0, depending on where in the array it stands; here it is grad_output.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Softshrink.html
    """

    def __init__(self, lambd: float = 0.5) -> None:
        if not lambd >= 0:
            raise ValueError(f"Softshrink(lambd={lambd}): lambd must be 0 or above")
        self.lambd = float(lambd)

    def extra_repr(self) -> str:
        """Return lambda."""
        return f"{self.lambd}"

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        near = (x.real >= -self.lambd) & (x.real <= self.lambd)
        return np.where(near, 0, x - np.copysign(self.lambd, x.real))

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        return np.where(np.abs(x) <= self.lambd, 0, grad_output)
