"""Pieces of straight lines: functions that are cut off at both ends, and those made of them."""

import numpy as np

from manual.module import Array, unsupported
from manual.nn.activation.elementwise import Elementwise


class Hardtanh(Elementwise):
    """y = x, held between a = `min_val` and b = `max_val`.

    Partials: dy/dx = 1 for a < x < b and 0 outside. At x = a and x = b, where the sides differ, torch takes 0.

    Backward: grad_input = 0 where x <= a or x >= b, grad_output elsewhere.

    For NaN torch gives grad_output or 0, depending on where in the array it stands; here it is grad_output.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardtanh.html
    """

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: None = None,
        max_value: None = None,
    ) -> None:
        # min_value and max_value are old names of min_val and max_val, on which torch warns.
        unsupported("Hardtanh", inplace=inplace or None, min_value=min_value, max_value=max_value)
        if not max_val > min_val:
            raise ValueError(f"Hardtanh(min_val={min_val}, max_val={max_val}): max_val must be above min_val")
        self.min_val, self.max_val = float(min_val), float(max_val)

    def extra_repr(self) -> str:
        """Return the two bounds."""
        return f"min_val={self.min_val}, max_val={self.max_val}"

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return np.where(x.real <= self.min_val, self.min_val, np.where(x.real >= self.max_val, self.max_val, x))

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        return np.where((x <= self.min_val) | (x >= self.max_val), 0, grad_output)


class ReLU6(Hardtanh):
    """y = min(max(x, 0), 6): Hardtanh with the bounds 0 and 6.

    Partials: dy/dx = 1 for 0 < x < 6 and 0 elsewhere, at 0 and at 6 too.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU6.html
    """

    def __init__(self, inplace: bool = False) -> None:
        unsupported("ReLU6", inplace=inplace or None)
        super().__init__(0.0, 6.0)

    def extra_repr(self) -> str:
        """Return nothing: the bounds are the name."""
        return ""


def hardsigmoid(x: Array) -> Array:
    """Return x/6 + 1/2, held between 0 and 1."""
    return np.where(x.real <= -3, 0, np.where(x.real >= 3, 1, x / 6 + 0.5))


class Hardsigmoid(Elementwise):
    """y = x/6 + 1/2, held between 0 and 1: a sigmoid of three straight lines.

    Partials: dy/dx = 1/6 for -3 < x < 3 and 0 outside. At x = -3 and x = 3 torch takes 0; for NaN too.
    In float64 torch multiplies by a 1/6 of float32, which is off by 3e-8.

    Backward: grad_input = grad_output / 6 where -3 < x < 3, 0 elsewhere.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardsigmoid.html
    """

    def __init__(self, inplace: bool = False) -> None:
        unsupported("Hardsigmoid", inplace=inplace or None)

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return hardsigmoid(x)

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        return np.where((x > -3) & (x < 3), grad_output / 6, 0)


class Hardswish(Elementwise):
    """y = x h(x), with h = Hardsigmoid: 0 up to -3, x from 3 on, and x (x + 3)/6 between.

    Partials: dy/dx = 0 for x < -3, 1 for x > 3, and between them, by the product rule, (2x + 3)/6 = x/3 + 1/2. That is
    -1/2 at -3 and 3/2 at 3, so that there are kinks; torch takes 0 at -3 and 1 at 3.

    Backward: grad_input = 0 where x <= -3, grad_output where x >= 3, grad_output * (x/3 + 1/2) between.

    At -inf, y is -inf * 0 = NaN, as in torch. For NaN torch gives grad_output, in float64 also NaN, depending on where
    in the array it stands; here it is grad_output.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardswish.html; Howard et al. 2019,
    https://arxiv.org/abs/1905.02244
    """

    def __init__(self, inplace: bool = False) -> None:
        unsupported("Hardswish", inplace=inplace or None)

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        y: Array = x * hardsigmoid(x)
        return y

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        return np.where(x <= -3, 0, np.where(x < 3, grad_output * (x / 3 + 0.5), grad_output))


class Threshold(Elementwise):
    """y = x for x > `threshold`, and `value` elsewhere.

    Partials: dy/dx = 1 for x > threshold and 0 below. At x = threshold, where y jumps, torch takes 0.

    Backward: grad_input = 0 where x <= threshold, grad_output elsewhere. NaN is not <= threshold: it passes, and
    so does its gradient.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Threshold.html
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        unsupported("Threshold", inplace=inplace or None)
        self.threshold, self.value = float(threshold), float(value)

    def extra_repr(self) -> str:
        """Return the two numbers."""
        return f"threshold={self.threshold}, value={self.value}"

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return np.where(x.real <= self.threshold, self.value, x)

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        return np.where(x <= self.threshold, 0, grad_output)
