"""The losses: the last line of each derivation, proved, and the code held against it."""

from manual import nn
from parity_tests.derive import exp, log, prove


def test_mse():
    prove(
        nn.MSELoss(),
        lambda x, t: ((x - t) ** 2).sum() / 6,
        lambda g, x, t: (g * 2 * (x - t) / 6, -g * 2 * (x - t) / 6),
        (2, 3),
        (2, 3),
    )


def test_bce_with_logits():
    def p(x):
        return 1 / (1 + exp(-x))

    prove(
        nn.BCEWithLogitsLoss(reduction="sum"),
        lambda x, t: -(t * log(p(x)) + (1 - t) * log(1 - p(x))).sum(),
        lambda g, x, t: (g * (p(x) - t), -g * x),
        (3,),
        (3,),
    )
