"""Attention: the last lines of the derivations, proved, and the code held against them."""

import numpy as np
import sympy

from manual.module import Module
from manual.nn import MultiheadAttention
from manual.nn.attention import attend, attend_backward
from parity_tests.derive import exp, prove

SCALE = sympy.Rational(1, 2)
B = np.array([[0, sympy.Rational(1, 4), 0], [sympy.Rational(-1, 2), 0, 1]], dtype=object)
M = np.array([[1, 0, 2], [0, 2, 1]])


class Attend(Module):
    """The pair of functions as a module, as `prove` takes it."""

    def forward(self, Q, K, V):
        Y, _, saved = attend(Q, K, V, B.astype(float), M.astype(float), float(SCALE))
        return Y, saved

    def backward(self, grad_output, saved, *, input_grad=True):
        return attend_backward(grad_output, None, saved)


def probabilities(S):
    e = exp(S)
    return e / e.sum(axis=1, keepdims=True)


def test_attend():
    def backward(dY, Q, K, V):
        P = probabilities(SCALE * Q @ K.T + B)
        dP = dY @ V.T * M
        dS = P * (dP - (dP * P).sum(axis=1, keepdims=True))
        return SCALE * dS @ K, SCALE * dS.T @ Q, (P * M).T @ dY

    prove(Attend(), lambda Q, K, V: (probabilities(SCALE * Q @ K.T + B) * M) @ V, backward, (2, 1), (3, 1), (3, 2))


def test_the_sum_over_a_row_from_the_output():
    """D = rowsum(dP P) = rowsum(dY Y), with dropout's M in both."""
    Q, K, V, dY = (
        np.array(sympy.symbols(f"{name}:{rows * columns}"), dtype=object).reshape(rows, columns)
        for name, rows, columns in (("q", 2, 1), ("k", 3, 1), ("v", 3, 2), ("g", 2, 2))
    )
    P = probabilities(SCALE * Q @ K.T + B)
    Y, dP = (P * M) @ V, dY @ V.T * M
    for D, other in zip((dP * P).sum(axis=1), (dY * Y).sum(axis=1), strict=True):
        assert sympy.expand(D - other) == 0


class Heads(Module):
    """MultiheadAttention of one sample, two heads of one feature each, without `out_proj`, which is a Linear."""

    def __init__(self):
        layer = MultiheadAttention(2, 2, bias=False, dtype=np.float64)
        layer.out_proj.weight.data = np.eye(2)
        self.layer, self.in_proj_weight = [layer], layer.in_proj_weight  # in a list: the other parameters are not its

    def forward(self, query, key):
        (y, _), saved = self.layer[0].forward(query, key, key, need_weights=False)
        return y, saved

    def backward(self, grad_output, saved, *, input_grad=True):
        grad_query, grad_key, grad_value = self.layer[0].backward((grad_output, None), saved)
        return grad_query, grad_key + grad_value


def test_heads():
    """Projections, heads side by side, and back: key and value are one input here, and its gradient their sum."""

    def projected(query, key, W):
        return query @ W[:2].T, key @ W[2:4].T, key @ W[4:].T

    def formula(query, key, W):
        q, k, v = projected(query, key, W)
        c = [probabilities(q[:, [h]] @ k[:, [h]].T) @ v[:, [h]] for h in range(2)]  # scale 1 / sqrt(1)
        return np.concatenate(c, axis=1)

    def backward(g, query, key, W):
        q, k, v = projected(query, key, W)
        dq, dk, dv = [], [], []
        for h in range(2):
            P, dP = probabilities(q[:, [h]] @ k[:, [h]].T), g[:, [h]] @ v[:, [h]].T
            dS = P * (dP - (dP * P).sum(axis=1, keepdims=True))
            dq.append(dS @ k[:, [h]])
            dk.append(dS.T @ q[:, [h]])
            dv.append(P.T @ g[:, [h]])
        dq, dk, dv = (np.concatenate(d, axis=1) for d in (dq, dk, dv))
        return dq @ W[:2], dk @ W[2:4] + dv @ W[4:], np.concatenate([dq.T @ query, dk.T @ key, dv.T @ key])

    prove(Heads(), formula, backward, (1, 2), (2, 2))
