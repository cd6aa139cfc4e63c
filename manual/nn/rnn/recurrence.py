"""Through time and back: one layer in one direction, whatever its step.

Forward, for t = 0 .. T-1, from a given state (h_{-1}, and c_{-1} of an LSTM):

    a_t = W_ih x_t + b_ih                       for all t at once: x_t waits for no other step
    p_t = W_hh h_{t-1} + b_hh                   the recurrence: one step after the other
    state_t = step(a_t, p_t, state_{t-1})       unit by unit, see `manual/nn/rnn/steps.py`
    y_t = h_t

An LSTM with proj_size > 0 shows a shorter h_t = W_hr m_t, where m_t = o_t tanh(c_t) is what its step gives; else
m_t = h_t.

Backward. h_t reaches the loss by two ways, by y_t and by the next step, and gets the sum of both:

    grad h_t = grad y_t + carry_t,              carry_{T-1} = the gradient for the last state, 0 if it is not used
    grad m_t = W_hr^T grad h_t                  with a projection; else grad h_t
    grad a_t, grad p_t = the step's backward of grad m_t (and of grad c_t, which is all carry)
    carry_{t-1} = W_hh^T grad p_t + what the step lets past p_t

so t runs from the last to the first, and carry_{-1} is the gradient for the initial state. The same weights serve
every step and every sample n, so theirs is a sum over both, which is one product of matrices with T N rows:

    grad W_ih = sum_{t,n} grad a_t x_t^T        grad b_ih = sum_{t,n} grad a_t        grad x_t = W_ih^T grad a_t
    grad W_hh = sum_{t,n} grad p_t h_{t-1}^T    grad b_hh = sum_{t,n} grad p_t        grad W_hr = sum grad h_t m_t^T

W_hh was multiplied with the state *before* the step: with h_{t-1}, at t = 0 with the initial state, never with h_t.

The other direction is the same on the sequence turned round.

Source: P. J. Werbos, Backpropagation through time: what it does and how to do it, Proc. IEEE 78 (1990).
"""

import math
from typing import Any, NamedTuple

import numpy as np

from manual.arithmetic import sum_over
from manual.module import Array, Parameter
from manual.nn.rnn.steps import State, StateGrad, Step


class Weights(NamedTuple):
    """The parameters of one layer in one direction; None for biases or a projection that it has not.

    I entries of x_t, H = hidden_size, G = gates H, P = proj_size.
    """

    ih: Parameter  # (G, I)
    hh: Parameter  # (G, H), with a projection (G, P)
    bias_ih: Parameter | None  # (G,)
    bias_hh: Parameter | None  # (G,)
    hr: Parameter | None  # (P, H)


class Saved(NamedTuple):
    """What the backward through time needs, with t along the first axis."""

    x: Array  # (T, N, I)
    before: Array  # (T, N, H), with a projection (T, N, P): h_{t-1} at place t
    m: Array  # (T, N, H): what the steps gave, before the projection
    steps: list[Any]


def affine(x: Array, weight: Parameter, bias: Parameter | None) -> Array:
    """Return W x + b for x of shape (..., I)."""
    y: Array = x @ weight.data.mT  # (..., G)
    return y if bias is None else y + bias.data


def accumulate_affine(grad_y: Array, x: Array, weight: Parameter, bias: Parameter | None) -> None:
    """Add to the gradients of W and b, summed over every axis but the last: over time and the batch."""
    rows = math.prod(x.shape[:-1])  # T N; reshape's -1 cannot say it where an axis is empty
    g = grad_y.reshape(rows, weight.shape[0])
    weight.accumulate(g.T @ x.reshape(rows, weight.shape[1]))  # (G, I)
    if bias is not None:
        bias.accumulate(sum_over(g, (0,)))  # (G,)


def forward(step: Step, weights: Weights, state: State, x: Array) -> tuple[list[Array], State, Saved]:
    """Return the y_t (N, H), the last state and `saved`, of x (T, N, I) and the initial state, parts (N, H)."""
    a = affine(x, weights.ih, weights.bias_ih)  # (T, N, G)
    y, before, given, steps = [], [], [], []
    for a_t in a:
        before.append(state[0])
        p_t = affine(state[0], weights.hh, weights.bias_hh)  # (N, G)
        (m, *c), saved_t = step.forward(a_t, p_t, state)
        h = m if weights.hr is None else affine(m, weights.hr, None)
        state = (h, *c)
        y.append(h)
        given.append(m)
        steps.append(saved_t)
    return y, state, Saved(x, np.stack(before), np.stack(given), steps)


def backward(
    step: Step, weights: Weights, grad_y: Array, grad_state: StateGrad, saved: Saved, *, input_grad: bool
) -> tuple[Array | None, StateGrad]:
    """Return the gradients for x and for the initial state; add to those of the weights."""
    x, before, m, steps = saved
    carry, found = grad_state, []
    for t in reversed(range(len(steps))):
        grad_h = grad_y[t] + carry[0]  # (N, H)
        grad_m = grad_h if weights.hr is None else grad_h @ weights.hr.data
        grad_a, grad_p, past = step.backward((grad_m, *carry[1:]), steps[t])  # (N, G)
        carry = (grad_p @ weights.hh.data + past[0], *past[1:])
        found.append((grad_h, grad_a, grad_p))
    grad_h, grad_a, grad_p = (np.stack(part[::-1]) for part in zip(*found, strict=True))  # (T, N, H), (T, N, G)
    accumulate_affine(grad_a, x, weights.ih, weights.bias_ih)
    accumulate_affine(grad_p, before, weights.hh, weights.bias_hh)
    if weights.hr is not None:
        accumulate_affine(grad_h, m, weights.hr, None)
    return (grad_a @ weights.ih.data if input_grad else None), carry


def both_forward(
    step: Step, weights: list[Weights], x: Array, states: list[State]
) -> tuple[Array, list[State], list[Saved]]:
    """Run x forward with the first weights and, if there are second ones, in reverse with these.

    Returns both y side by side, (T, N, D H), and the last state and `saved` of each.
    """
    runs = [forward(step, *one, _turned(x, d)) for d, one in enumerate(zip(weights, states, strict=True))]
    y = np.concatenate([_turned(y, d) for d, (y, _, _) in enumerate(runs)], axis=-1)
    return y, [last for _, last, _ in runs], [saved for _, _, saved in runs]


def both_backward(
    step: Step, weights: list[Weights], grad_y: Array, carries: list[StateGrad], saved: list[Saved], *, input_grad: bool
) -> tuple[Any, list[StateGrad]]:
    """Return the gradient for x, which both directions read, and that for the initial state of each."""
    grads_y = [_turned(part, d) for d, part in enumerate(np.split(grad_y, len(weights), axis=-1))]
    runs = [backward(step, *one, input_grad=input_grad) for one in zip(weights, grads_y, carries, saved, strict=True)]
    grad_x = sum(_turned(grad_x, d) for d, (grad_x, _) in enumerate(runs)) if input_grad else None
    return grad_x, [first for _, first in runs]


def _turned(x: Any, direction: int) -> Any:
    """Return x, for direction 1 turned round in time."""
    return x[::-1] if direction else x
