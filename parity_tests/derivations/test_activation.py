"""The activations: the last line of each derivation, proved, and the code held against it."""

import pytest

from manual import nn
from parity_tests.derive import exp, prove


def test_sigmoid():
    def y(x):
        return 1 / (1 + exp(-x))

    prove(nn.Sigmoid(), y, lambda g, x: g * y(x) * (1 - y(x)), (2, 3))


def test_a_wrong_last_line_is_found():
    with pytest.raises(AssertionError, match="off by"):
        prove(nn.Sigmoid(), lambda x: 1 / (1 + exp(-x)), lambda g, x: g * (1 - x), (2,))
