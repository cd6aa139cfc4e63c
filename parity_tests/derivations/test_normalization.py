"""The norms: the last line of each derivation, proved, and the code held against it."""

import numpy as np
import pytest
import sympy

from manual import nn
from parity_tests.derive import prove, sqrt

EPS = sympy.Rational(1, 8)


def mean(x, axes):
    n = np.prod([x.shape[axis] for axis in axes])
    for axis in axes:
        x = x.sum(axis, keepdims=True)
    return x / sympy.Integer(int(n))


def standardized(x, axes):
    rstd = 1 / sqrt(mean((x - mean(x, axes)) ** 2, axes) + EPS)
    return (x - mean(x, axes)) * rstd, rstd


def grad_of_standardized(G, x, axes):
    xhat, rstd = standardized(x, axes)
    return rstd * (G - mean(G, axes) - xhat * mean(G * xhat, axes))


def test_layer_norm():
    """With the sums written out, (1/n) rstd (n G - sum G - xhat sum G xhat)."""

    def grad_x(G, x):
        xhat, rstd = standardized(x, (1,))
        return rstd / 3 * (3 * G - G.sum(1, keepdims=True) - xhat * (G * xhat).sum(1, keepdims=True))

    prove(
        nn.LayerNorm(3, eps=float(EPS)),
        lambda x, weight, bias: standardized(x, (1,))[0] * weight + bias,
        lambda g, x, weight, bias: (grad_x(g * weight, x), (g * standardized(x, (1,))[0]).sum(0), g.sum(0)),
        (2, 3),
        symbolic=False,
    )


def test_rms_norm():
    def rrms(x):
        return 1 / sqrt(mean(x**2, (1,)) + EPS)

    def backward(g, x, weight):
        G, xhat = g * weight, x * rrms(x)
        return rrms(x) * (G - xhat * mean(G * xhat, (1,))), (g * xhat).sum(0)

    prove(nn.RMSNorm(3, eps=float(EPS)), lambda x, weight: x * rrms(x) * weight, backward, (2, 3), symbolic=False)


def test_group_norm():
    """Two groups of two channels: statistics over (channels of the group, positions), weight inside the sums."""

    def y(x, weight, bias):
        xhat = standardized(x.reshape(1, 2, 2, 1), (2, 3))[0].reshape(x.shape)
        return xhat * weight[:, None] + bias[:, None]

    def backward(g, x, weight, bias):
        groups = x.reshape(1, 2, 2, 1)
        grad_x = grad_of_standardized((g * weight[:, None]).reshape(groups.shape), groups, (2, 3)).reshape(x.shape)
        xhat = standardized(groups, (2, 3))[0].reshape(x.shape)
        return grad_x, (g * xhat).sum((0, 2)), g.sum((0, 2))

    prove(nn.GroupNorm(2, 4, eps=float(EPS)), y, backward, (1, 4, 1), symbolic=False)


@pytest.mark.parametrize("own", [True, False])
def test_batch_norm(own):
    """By the batch's own statistics, with weight inside the two sums and taken out of them; and by running ones."""

    def xhat(x):
        return standardized(x, (0,)) if own else (x / sqrt(1 + EPS), 1 / sqrt(1 + EPS))

    def backward(g, x, weight, bias):
        grad_weight, grad_bias = (g * xhat(x)[0]).sum(0), g.sum(0)
        rstd, n = xhat(x)[1], len(x)
        through = n * g - grad_bias - xhat(x)[0] * grad_weight if own else n * g
        return rstd * weight * through / n, grad_weight, grad_bias

    layer = nn.BatchNorm1d(2, eps=float(EPS)).train(own)
    prove(layer, lambda x, weight, bias: xhat(x)[0] * weight + bias, backward, (3, 2), symbolic=False)


def test_instance_norm():
    def backward(g, x, weight, bias):
        xhat = standardized(x, (2,))[0]
        return grad_of_standardized(g * weight[:, None], x, (2,)), (g * xhat).sum((0, 2)), g.sum((0, 2))

    prove(
        nn.InstanceNorm1d(1, eps=float(EPS), affine=True),
        lambda x, weight, bias: standardized(x, (2,))[0] * weight[:, None] + bias[:, None],
        backward,
        (2, 1, 3),
        symbolic=False,
    )


@pytest.mark.parametrize("size", [2, 3])
def test_local_response_norm(size):
    """The window of the backward is the forward's turned round: seen where `size` is even."""
    alpha, beta, k = sympy.Rational(5, 4), sympy.Rational(3, 4), sympy.Rational(3, 2)
    inside = np.array([[c - size // 2 <= i <= c + (size - 1) // 2 for i in range(4)] for c in range(4)]).astype(int)

    def divisor(x):
        return k + alpha / size * np.einsum("ci,nip->ncp", inside, x**2)

    def backward(g, x):
        windows = np.einsum("cj,ncp->njp", inside, g * x * divisor(x) ** (-beta - 1))
        return g * divisor(x) ** -beta - 2 * alpha * beta / size * x * windows

    layer = nn.LocalResponseNorm(size, float(alpha), float(beta), float(k))
    prove(layer, lambda x: x * divisor(x) ** -beta, backward, (1, 4, 1), symbolic=False)
