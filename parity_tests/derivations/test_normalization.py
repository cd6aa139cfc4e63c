"""Normalisation within a sample: the last line of each derivation, proved, and the code held against it."""

import sympy

from manual import nn
from parity_tests.derive import prove, sqrt

EPS = sympy.Rational(1, 8)


def standardized(x, axis=-1):
    n = x.shape[axis]
    mean = x.sum(axis, keepdims=True) / n
    var = ((x - mean) ** 2).sum(axis, keepdims=True) / n
    rstd = 1 / sqrt(var + EPS)
    return (x - mean) * rstd, rstd


def grad_of_standardized(G, x, axis=-1):
    n = x.shape[axis]
    xhat, rstd = standardized(x, axis)
    return rstd / n * (n * G - G.sum(axis, keepdims=True) - xhat * (G * xhat).sum(axis, keepdims=True))


def test_layer_norm():
    prove(
        nn.LayerNorm(3, eps=float(EPS)),
        lambda x, weight, bias: standardized(x)[0] * weight + bias,
        lambda g, x, weight, bias: (
            grad_of_standardized(g * weight, x),
            (g * standardized(x)[0]).sum(axis=0),
            g.sum(axis=0),
        ),
        (2, 3),
    )
