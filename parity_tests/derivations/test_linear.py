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


def test_bilinear():
    """Axes n, o, i, j, in this order; each gradient sums over those that its operand lacks."""

    def laid_out(x1, x2, weight):
        return x1[:, None, :, None], x2[:, None, None, :], weight[None, :, :, :]

    def y(x1, x2, weight, bias):
        a, b, W = laid_out(x1, x2, weight)
        return (a * W * b).sum((2, 3)) + bias

    def backward(g, x1, x2, weight, bias):
        a, b, W = laid_out(x1, x2, weight)
        G = g[:, :, None, None]
        return (G * W * b).sum((1, 3)), (G * a * W).sum((1, 2)), (G * a * b).sum(0), g.sum(0)

    prove(nn.Bilinear(2, 3, 1), y, backward, (2, 2), (2, 3))
