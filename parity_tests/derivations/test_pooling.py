"""The poolings: what their docstrings say, index by index, proved, and the code held against it."""

import numpy as np
import pytest

from manual import nn
from parity_tests.derive import prove, where

ZERO = np.array([[0]], dtype=object)


def test_max_pool1d():
    def y(x):
        return where(lambda d: d > 0, x[:, 1:], x[:, :-1], x[:, 1:] - x[:, :-1])

    def backward(g, x):
        second = where(lambda d: d > 0, 1, 0, x[:, 1:] - x[:, :-1])
        return np.concatenate([g * (1 - second), ZERO], 1) + np.concatenate([ZERO, g * second], 1)

    prove(nn.MaxPool1d(2, stride=1), y, backward, (1, 3))


@pytest.mark.parametrize(("count", "divisors"), [(True, [2, 2, 2]), (False, [1, 2, 1])], ids=["all", "input alone"])
def test_avg_pool1d(count, divisors):
    """Windows (padding, 0), (1, 2) and (3, padding)."""
    windows = [[0], [1, 2], [3]]

    def y(x):
        return np.array([[sum(x[0, q] for q in w) / m for w, m in zip(windows, divisors, strict=True)]], dtype=object)

    def backward(g, x):
        return np.array([[g[0, 0] / divisors[0], g[0, 1] / 2, g[0, 1] / 2, g[0, 2] / divisors[2]]], dtype=object)

    prove(nn.AvgPool1d(2, padding=1, count_include_pad=count), y, backward, (1, 4))


def test_adaptive_avg_pool1d():
    """An axis of 5 to 3: 0..1, 1..3, 3..4."""
    windows = [[0, 1], [1, 2, 3], [3, 4]]

    def y(x):
        return np.array([[sum(x[0, q] for q in w) / len(w) for w in windows]], dtype=object)

    def backward(g, x):
        shares = [[g[0, p] / len(w) for p, w in enumerate(windows) if q in w] for q in range(5)]
        return np.array([[sum(share) for share in shares]], dtype=object)

    prove(nn.AdaptiveAvgPool1d(3), y, backward, (1, 5))
