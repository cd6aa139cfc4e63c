"""The convolutions: the sums of their docstrings, index by index, proved, and the code held against them."""

from itertools import product

import numpy as np
import pytest

from manual import nn
from parity_tests.derive import prove


def zeros(shape):
    return np.full(shape, 0, dtype=object)


def pairs_of_places(inputs, outputs, kernel, stride, padding, dilation):
    """Every (p, k, q) with q = stride p + dilation k - padding inside the input, along one axis."""
    for p, k in product(range(outputs), range(kernel)):
        q = stride * p + dilation * k - padding
        if 0 <= q < inputs:
            yield p, k, q


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": 2}], ids=str)
def test_conv1d(options, groups):
    each = {"stride": 1, "padding": 0, "dilation": 1} | options
    stride, padding, dilation = each["stride"], each["padding"], each["dilation"]
    outputs = (4 + 2 * padding - dilation - 1) // stride + 1
    places = list(pairs_of_places(4, outputs, 2, stride, padding, dilation))
    channels = [(o, c, c % (2 // groups)) for o, c in product(range(2), range(2)) if groups == 1 or o == c]

    def y(x, weight, bias):
        total = zeros((2, 2, outputs)) + bias[:, None]
        for n, (o, c, i), (p, k, q) in product(range(2), channels, places):
            total[n, o, p] += weight[o, i, k] * x[n, c, q]
        return total

    def backward(g, x, weight, bias):
        grad_x, grad_weight = zeros(x.shape), zeros(weight.shape)
        for n, (o, c, i), (p, k, q) in product(range(2), channels, places):
            grad_x[n, c, q] += g[n, o, p] * weight[o, i, k]
            grad_weight[o, i, k] += g[n, o, p] * x[n, c, q]
        return grad_x, grad_weight, g.sum(axis=(0, 2))

    prove(nn.Conv1d(2, 2, 2, groups=groups, **options), y, backward, (2, 2, 4))


def test_conv2d_as_matrices():
    """W columns, W^T g and g columns^T, with the windows of a 2 x 3 input under a 2 x 2 kernel laid out by hand."""

    def columns(x):
        return np.array([[x[0, p + k] for p in range(2)] for k in range(2)]
                        + [[x[1, p + k] for p in range(2)] for k in range(2)], dtype=object)  # fmt: skip

    def y(x, weight, bias):
        return (weight.reshape(2, 4) @ columns(x[0]) + bias[:, None]).reshape(2, 1, 2)

    def backward(g, x, weight, bias):
        g = g.reshape(2, 2)
        grad_columns = (weight.reshape(2, 4).T @ g).reshape(2, 2, 2)
        grad_x = zeros((2, 3))
        for i, k, p in product(range(2), repeat=3):
            grad_x[i, p + k] += grad_columns[i, k, p]
        return grad_x[None], (g @ columns(x[0]).T).reshape(2, 1, 2, 2), g.sum(axis=1)

    prove(nn.Conv2d(1, 2, 2), y, backward, (1, 2, 3))


@pytest.mark.parametrize("options", [{}, {"stride": 2, "output_padding": 1}, {"dilation": 3, "padding": 1}], ids=str)
def test_conv_transpose1d(options):
    each = {"stride": 1, "padding": 0, "dilation": 1, "output_padding": 0} | options
    stride, padding, dilation, more = (each[name] for name in ("stride", "padding", "dilation", "output_padding"))
    outputs = 2 * stride - 2 * padding + dilation + more + 1
    places = list(pairs_of_places(outputs, 3, 2, stride, padding, dilation))

    def y(x, weight, bias):
        total = zeros((2, outputs)) + bias[:, None]
        for o, c, (p, k, q) in product(range(1), range(2), places):
            total[c, q] += weight[o, c, k] * x[o, p]
        return total

    def backward(g, x, weight, bias):
        grad_x, grad_weight = zeros(x.shape), zeros(weight.shape)
        for o, c, (p, k, q) in product(range(1), range(2), places):
            grad_x[o, p] += weight[o, c, k] * g[c, q]
            grad_weight[o, c, k] += x[o, p] * g[c, q]
        return grad_x, grad_weight, g.sum(axis=1)

    prove(nn.ConvTranspose1d(1, 2, 2, **options), y, backward, (1, 3))
