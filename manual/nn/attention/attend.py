"""Attention itself: what one set of queries takes from one set of keys and values."""

from collections.abc import Callable

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array
from manual.nn.activation import softmax, softmax_backward

Saved = tuple[Array, Array, Array, Array, Array | None, float]


def attend(
    Q: Array,
    K: Array,
    V: Array,
    B: Array | None,
    M: Array | None,
    scale: float,
    distribution: Callable[[Array, int], Array] = softmax,
) -> tuple[Array, Array, Saved]:
    """Return Y = W V and the weights W, where W says how much each query takes of each value; and `saved`.

    A query t has a score for every key s, the scores of a query become weights whose sum is 1, and its output is the
    mean of the values under these weights:

        S = scale Q K^T + B     S[t,s] = scale sum_i Q[t,i] K[s,i] + B[t,s]
        P = softmax(S)          P[t,s] = e^S[t,s] / sum_r e^S[t,r]
        W = P M                 W[t,s] = P[t,s] M[t,s]                          entry by entry
        Y = W V                 Y[t,j] = sum_s W[t,s] V[s,j]

    B is the mask, 0 or -inf (e^-inf = 0: no weight), or any numbers to be added. M is dropout's: 0 or 1 / (1 - p).
    The variance of a sum of E products of standard normal numbers is E, so scale = 1 / sqrt(E) brings that of the
    scores back to 1: of large scores, the softmax is all but 0 and 1, and its slopes are all but 0. It takes the
    largest score of a row out before it exponentiates, so that no score overflows.

    From the end to the start, with dX for dL/dX; each dX sums over what X reaches:

        derivative of  by       is                       hence
        Y[t,j]         V[s,j]   W[t,s]                   dV[s,j] = sum_t W[t,s] dY[t,j]                     W^T dY
        Y[t,j]         W[t,s]   V[s,j]                   dW[t,s] = sum_j dY[t,j] V[s,j]                     dY V^T
        W[t,s]         P[t,s]   M[t,s]                   dP[t,s] = dW[t,s] M[t,s]                           dW M
        P[t,r]         S[t,s]   P[t,r] ((r=s) - P[t,s])  dS[t,s] = P[t,s] (dP[t,s] - sum_r dP[t,r] P[t,r])  P (dP - D)
        S[t,s]         Q[t,i]   scale K[s,i]             dQ[t,i] = scale sum_s dS[t,s] K[s,i]               scale dS K
        S[t,s]         K[s,i]   scale Q[t,i]             dK[s,i] = scale sum_t dS[t,s] Q[t,i]               scale dS^T Q

    A key and its value are read by every query, so dK and dV add over t; a query reads every key, so dQ adds over s.
    Where W itself is an output, its upstream gradient is added to dW. A masked entry has P = 0, and with it dS = 0:
    the mask need not be applied again. The gradient of B would be dS; it is not returned.

    For kernels: D[t] = sum_s dP[t,s] P[t,s] is a sum over the whole row of what is made piece by piece. But with
    dP = dW M, W = P M and dW = dY V^T it is sum_s dW[t,s] W[t,s] = sum_j dY[t,j] sum_s W[t,s] V[s,j], that is

        D[t] = sum_j dY[t,j] Y[t,j]            (where no gradient comes through W itself)

    from the output alone, before the loop. P is not kept either: it is e^(S - logsumexp(S)), and one number a row
    brings back any piece of it. Both are what FlashAttention does; here P is saved, and D is summed as it stands.

    Shapes: Q (..., L, E), K (..., S, E), V (..., S, Ev), with the same leading axes, under which nothing is shared;
    B and M (..., L, S), B also broadcast; Y (..., L, Ev), W (..., L, S).

    Source: Vaswani et al., "Attention Is All You Need", 2017, https://arxiv.org/abs/1706.03762; for D, Dao,
    "FlashAttention-2", 2023, https://arxiv.org/abs/2307.08691.
    """
    with beyond_the_finite():
        S = scale * Q @ K.mT  # (..., L, S)
        if B is not None:
            S = S + B
        P = distribution(S, -1)
        W = P if M is None else P * M
        Y = W @ V  # (..., L, Ev)
    return Y, W, (Q, K, V, P, M, scale)


def attend_backward(dY: Array, dW: Array | None, saved: Saved) -> tuple[Array, Array, Array]:
    """Return dQ, dK, dV from dY and, where the weights were an output that was used, their upstream gradient dW."""
    Q, K, V, P, M, scale = saved
    with beyond_the_finite():
        W = P if M is None else P * M
        dV = W.mT @ dY  # (..., S, Ev)
        dW = dY @ V.mT if dW is None else dW + dY @ V.mT  # (..., L, S)
        dP = dW if M is None else dW * M
        dS = softmax_backward(dP, P, -1)
        dQ = scale * dS @ K  # (..., L, E)
        dK = scale * dS.mT @ Q  # (..., S, E)
    return dQ, dK, dV


def softmax_or_zero(S: Array, dim: int) -> Array:
    """Return softmax(S), and 0 for a row of -inf alone: a query that may attend to nothing takes nothing.

    A score of -inf has no weight, so the softmax is 0 there already; but where a row has no other score, it is
    0 / 0 = NaN. With P = 0 the formulas of `attend` give dS = 0 and dV = 0 for that row, so no NaN spreads to the keys
    and values, which other queries share.
    """
    return np.where(S.real == -np.inf, 0, softmax(S, dim))
