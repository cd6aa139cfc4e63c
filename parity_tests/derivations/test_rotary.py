"""RotaryEmbedding: the transpose of a rotation is the rotation by the negative angle, proved on symbols."""

import numpy as np
import pytest
import sympy

from manual import nn
from parity_tests.derive import prove


def turned(x, offset, interleaved, direction):
    """base = 100 and d = 4: the speeds are 1 and 1/10, exactly."""
    y = np.empty_like(x)
    for t in range(x.shape[0]):
        for i, speed in enumerate([sympy.Integer(1), sympy.Rational(1, 10)]):
            angle = direction * (offset + t) * speed
            one, two = (2 * i, 2 * i + 1) if interleaved else (i, i + 2)
            y[t, one] = x[t, one] * sympy.cos(angle) - x[t, two] * sympy.sin(angle)
            y[t, two] = x[t, one] * sympy.sin(angle) + x[t, two] * sympy.cos(angle)
    return y


@pytest.mark.parametrize("interleaved", [True, False])
def test_rotary(interleaved):
    prove(
        nn.RotaryEmbedding(4, base=100.0, interleaved=interleaved),
        lambda x: turned(x, 0, interleaved, 1),
        lambda g, x: turned(g, 0, interleaved, -1),
        (3, 4),
    )
