"""Attention: the backward with D = rowsum(g * O) is the derivative of the softmax form, proved on symbols."""

import pytest

from manual import nn
from parity_tests.derive import exp, prove


def formula(query, key, value):
    e = exp(query @ key.T)  # one entry a head: the scale is 1
    return (e / e.sum(axis=1, keepdims=True)) @ value


def backward(g, query, key, value):
    e = exp(query @ key.T)
    p = e / e.sum(axis=1, keepdims=True)
    d = (g * formula(query, key, value)).sum(axis=1, keepdims=True)
    grad_s = p * (g @ value.T - d)
    return grad_s @ key, grad_s.T @ query, p.T @ g


@pytest.mark.parametrize("layer", [nn.NaiveAttention(), nn.TiledAttention(False, None, 1, 1)], ids=["naive", "tiled"])
def test_attention(layer):
    prove(layer, formula, backward, (1, 1), (2, 1), (2, 1))
