"""Dropout: the derivation, proved, and the code held against it, for the mask of a seed."""

import numpy as np

from manual import nn
from parity_tests.derive import prove


def test_dropout():
    m = (np.random.default_rng(3).random((2, 3)) >= 0.25).astype(int)
    assert 0 < m.sum() < 6
    prove(
        nn.Dropout(0.25, generator=np.random.default_rng(3)),
        lambda x: m * x / (1 - 0.25),
        lambda g, x: g * m / (1 - 0.25),
        (2, 3),
    )
