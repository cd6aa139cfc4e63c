"""SwiGLU: the last lines of the derivation, proved, and the code held against them."""

from manual import nn
from parity_tests.derive import exp, prove


def sigmoid(a):
    return 1 / (1 + exp(-a))


def formula(x, gate, up, down):
    a, b = x @ gate.T, x @ up.T
    return (a * sigmoid(a) * b) @ down.T


def backward(g, x, gate, up, down):
    a, b = x @ gate.T, x @ up.T
    p = sigmoid(a)
    s = a * p
    grad_h = g @ down
    grad_b = grad_h * s
    grad_a = grad_h * b * (p + s * (1 - p))
    return grad_a @ gate + grad_b @ up, grad_a.T @ x, grad_b.T @ x, g.T @ (s * b)


def test_swiglu():
    prove(nn.SwiGLU(1, 2, 1), formula, backward, (2, 1))
