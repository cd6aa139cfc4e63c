"""Rectifiers: the identity above 0, a line of another slope below."""

import numpy as np

from manual.module import Array, unsupported
from manual.nn.activation.elementwise import Elementwise


def relu(x: Array) -> Array:
    """Return x where it is above 0, and 0 elsewhere; NaN stays."""
    return np.where(x.real <= 0, 0, x)


class ReLU(Elementwise):
    """y = max(x, 0).

    Partials: dy/dx = 1 for x > 0 and 0 for x < 0. At x = 0 (and at -0) the two sides differ; torch takes 0.

    Backward: grad_input = grad_output where x > 0, 0 elsewhere. NaN is not <= 0: it passes, and so does its gradient.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html
    """

    def __init__(self, inplace: bool = False) -> None:
        unsupported("ReLU", inplace=inplace or None)

    def value(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return relu(x)

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output where x > 0."""
        return np.where(x.real <= 0, 0, grad_output)
