"""The paddings: what their docstrings say, index by index, proved, and the code held against it."""

import numpy as np
import pytest

from manual import nn
from parity_tests.derive import prove


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        (nn.ReflectionPad1d((2, 1)), [2, 1, 0, 1, 2, 3, 2]),
        (nn.ReplicationPad1d((1, 2)), [0, 0, 1, 2, 3, 3, 3]),
        (nn.CircularPad1d((2, 1)), [2, 3, 0, 1, 2, 3, 0]),
        (nn.ConstantPad1d((1, 2), 0.5), [None, 0, 1, 2, 3, None, None]),
        (nn.CircularPad1d((-1, 2)), [1, 2, 3, 1, 2]),
    ],
    ids=lambda each: type(each).__name__,
)
def test_padding(layer, source):
    def y(x):
        return np.array([[layer.value if i is None else x[0, i] for i in source]], dtype=object)

    def backward(g, x):
        return np.array([[sum(g[0, j] for j, i in enumerate(source) if i == at) for at in range(4)]], dtype=object)

    prove(layer, y, backward, (1, 4))


def test_a_wrong_last_line_is_found():
    with pytest.raises(AssertionError, match="off by"):
        prove(nn.ReplicationPad1d((1, 0)), lambda x: x[:, [0, 0, 1]], lambda g, x: g[:, 1:], (1, 2))
