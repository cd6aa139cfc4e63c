"""The linear layers: the last line of each derivation, proved, and the code held against it."""

from manual import nn
from parity_tests.derive import prove


def test_linear():
    prove(
        nn.Linear(3, 2),
        lambda x, weight, bias: x @ weight.T + bias,
        lambda g, x, weight, bias: (g @ weight, g.T @ x, g.sum(axis=0)),
        (4, 3),
    )
