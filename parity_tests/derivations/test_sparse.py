"""Embedding: rows that are looked up are a product with one-hot rows, and the gradient is its transpose's.

`prove` gives a module arrays of numbers; an index has no derivative, so it is fixed here, once with a repetition.
"""

import numpy as np

from manual import nn
from parity_tests.derive import prove

INDICES = np.array([2, 0, 2, 1, 2])
H = (INDICES[:, None] == np.arange(4)).astype(int)  # (5, 4), one-hot


class At(nn.Embedding):
    """The layer at fixed indices."""

    def forward(self):
        return super().forward(INDICES)

    def backward(self, grad_output, saved):
        super().backward(grad_output, saved)
        return ()


def test_embedding():
    prove(At(4, 2), lambda weight: H @ weight, lambda g, weight: H.T @ g)
