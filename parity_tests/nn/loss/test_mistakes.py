"""The mistakes that cross-entropy invites, planted one at a time: each is found."""

import numpy as np
import pytest

from manual import nn as by_hand
from parity_tests.nn.loss.sides import classes
from parity_tests.parity import check, normal, of, probabilities

SHAPE, IGNORED, SMOOTHING = (6, 3), 1, 0.2
WEIGHT = probabilities(3)
TARGET = classes(SHAPE, ignored=IGNORED)
COUNTED = TARGET != IGNORED
ONEHOT = np.arange(3) == TARGET[:, None]


def counted_weights(w):
    return w[TARGET[COUNTED]].sum()


# What backward returns in the place of the right gradient; p is the softmax, w the weights, g the upstream gradient.
MISTAKES = {
    "no mistake": lambda right, p, w, g: right,
    "the sum's gradient": lambda right, p, w, g: right * counted_weights(w),
    "divided by N": lambda right, p, w, g: right * counted_weights(w) / 6,
    "divided by the number that counts": lambda right, p, w, g: right * counted_weights(w) / COUNTED.sum(),
    "divided by all weights": lambda right, p, w, g: right * counted_weights(w) / w[TARGET].sum(),
    "sign": lambda right, p, w, g: -right,
    "without smoothing": lambda right, p, w, g: (
        g * COUNTED[:, None] * w[TARGET][:, None] * (p - ONEHOT) / counted_weights(w)
    ),
    "the mask lost": lambda right, p, w, g: np.where(
        COUNTED[:, None], right, g * w[TARGET][:, None] * (p - ONEHOT) / counted_weights(w)
    ),
    "one at the next class": lambda right, p, w, g: (
        right + g * (1 - SMOOTHING) * (COUNTED * w[TARGET])[:, None] * (ONEHOT * 1.0 - np.roll(ONEHOT, 1, 1)) / 6
    ),
    "times p (1 - p)": lambda right, p, w, g: right * p * (1 - p),
    "the softmax alone": lambda right, p, w, g: p * g,
    "batch and classes exchanged": lambda right, p, w, g: right - right.sum(0, keepdims=True) / 6,
    "nothing": lambda right, p, w, g: 0 * right,
    "the upstream gradient ignored": lambda right, p, w, g: right / g,
    "one part in 1e12 off": lambda right, p, w, g: right * (1 + 1e-12),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_cross_entropy(mistake):
    class Planted(by_hand.CrossEntropyLoss):
        def backward(self, grad_output, saved, *, input_grad=True):
            right, none = super().backward(grad_output, saved, input_grad=input_grad)
            return (MISTAKES[mistake](right, np.exp(saved[0]), self.weight, grad_output) if input_grad else None), none

    def build(nn):
        kind = Planted if nn is by_hand else nn.CrossEntropyLoss
        return kind(of(nn, WEIGHT), ignore_index=IGNORED, label_smoothing=SMOOTHING)

    if mistake == "no mistake":
        check(build, 2 * normal(*SHAPE), TARGET)
    else:
        with pytest.raises(AssertionError):
            check(build, 2 * normal(*SHAPE), TARGET)
