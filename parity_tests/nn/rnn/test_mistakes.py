"""Mistakes that backpropagation through time invites, planted: each has to be found by `check`."""

from unittest import mock

import numpy as np
import pytest

from manual import nn
from manual.nn.rnn import base, recurrence, steps
from parity_tests.nn.rnn.cases import check, half_normal

right_backward, right_accumulate = recurrence.backward, recurrence.accumulate_affine


def without_carry(step, weights, grad_y, carry, saved, *, input_grad):
    """dh from step t + 1 is not added."""
    x, before, _, kept = saved
    grads = [step.backward((g, *carry[1:]), one) for g, one in zip(grad_y, kept, strict=True)]
    grad_a, grad_p = (np.stack(part) for part in ([g[0] for g in grads], [g[1] for g in grads]))
    recurrence.accumulate_affine(grad_a, x, weights.ih, weights.bias_ih)
    recurrence.accumulate_affine(grad_p, before, weights.hh, weights.bias_hh)
    first = (grad_p[0] @ weights.hh.data + grads[0][2][0], *grads[0][2][1:])
    return grad_a @ weights.ih.data if input_grad else None, first


def state_after_the_step(step, weights, grad_y, carry, saved, *, input_grad):
    """The hidden weights' gradient from h_t in the place of h_{t-1}."""
    wrong = saved._replace(before=saved.m)
    return right_backward(step, weights, grad_y, carry, wrong, input_grad=input_grad)


def last_state_ignored(step, weights, grad_y, carry, saved, *, input_grad):
    """The gradient for h_n is not taken in."""
    return right_backward(step, weights, grad_y, (0.0,) * len(carry), saved, input_grad=input_grad)


def last_step_alone(grad_y, x, weight, bias):
    """The sum over time is missing: only the first step's part stays."""
    right_accumulate(grad_y[:1], x[:1], weight, bias)


def never_turned(x, direction):
    """The reverse direction is run forward."""
    return x


def never_turned_back(step, weights, grad_y, carries, saved, *, input_grad):
    """The reverse direction's gradients are not turned round."""
    grads_y = np.split(grad_y, len(weights), axis=-1)
    runs = [right_backward(step, *one, input_grad=True) for one in zip(weights, grads_y, carries, saved, strict=True)]
    return sum(grad_x for grad_x, _ in runs) if input_grad else None, [first for _, first in runs]


CASES = [
    (recurrence, "backward", without_carry),
    (recurrence, "backward", state_after_the_step),
    (recurrence, "backward", last_state_ignored),
    (recurrence, "accumulate_affine", last_step_alone),
    (recurrence, "_turned", never_turned),
    (base, "both_backward", never_turned_back),
]


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(("place", "function", "wrong"), CASES, ids=[wrong.__name__ for _, _, wrong in CASES])
def test_through_time(name, place, function, wrong):
    h = half_normal(2, 3, 2)
    build, state = lambda nn: getattr(nn, name)(5, 2, bidirectional=True), (h, h) if name == "LSTM" else h
    check(build, half_normal(4, 3, 5), state)
    with mock.patch.object(place, function, wrong), pytest.raises(AssertionError, match="off by"):
        check(build, half_normal(4, 3, 5), state)


def changed(step, change):
    """A step whose backward ends in `change(grad_a, grad_p, past, saved)`."""
    right = step.backward
    return mock.patch.object(step, "backward", lambda self, grad, saved: change(*right(self, grad, saved), saved))


def no_carry_for_c(grad_a, grad_p, past, saved):
    return grad_a, grad_p, (0.0, 0.0 * past[1])


def output_gate_untouched(grad_a, grad_p, past, saved):
    """sigmoid' of the output gate is missing."""
    o = saved[3]
    grad = np.concatenate([grad_a[..., :-2], grad_a[..., -2:] / (o * (1 - o))], axis=-1)
    return grad, grad, past


def one_bias_for_n(grad_a, grad_p, past, saved):
    """b_hn gets b_in's gradient, and W_hn as well: r is forgotten."""
    return grad_a, grad_a, past


def paper_gru(grad_a, grad_p, past, saved):
    """r stands before the product: h gets r again."""
    return grad_a, grad_p, (past[0] * saved[0],)


def nothing_past_the_product(grad_a, grad_p, past, saved):
    return grad_a, grad_p, (0.0,)


@pytest.mark.parametrize(
    ("name", "step", "change"),
    [
        ("LSTM", steps.LSTMStep, no_carry_for_c),
        ("LSTM", steps.LSTMStep, output_gate_untouched),
        ("GRU", steps.GRUStep, one_bias_for_n),
        ("GRU", steps.GRUStep, paper_gru),
        ("GRU", steps.GRUStep, nothing_past_the_product),
    ],
)
def test_in_a_step(name, step, change):
    h = half_normal(1, 3, 2)
    state = (h, h) if name == "LSTM" else h
    with changed(step, change), pytest.raises(AssertionError, match="off by"):
        check(lambda nn: getattr(nn, name)(5, 2), half_normal(4, 3, 5), state)


def test_a_mask_that_the_backward_forgets():
    class Forgets(nn.LSTM):
        def backward(self, grad_output, saved, *, input_grad=True):
            layers = [layer._replace(mask=None) for layer in saved.layers]
            return super().backward(grad_output, saved._replace(layers=layers), input_grad=input_grad)

    hand = Forgets(5, 2, 2, dropout=0.5, dtype=np.float64)
    right = nn.LSTM(5, 2, 2, dropout=0.5, dtype=np.float64)
    right.load_state_dict(hand.state_dict())
    grads = []
    for module in (hand, right):
        module.generator = np.random.default_rng(1)
        _, saved = module.forward(half_normal(4, 3, 5))
        grads.append(module.backward((half_normal(4, 3, 2), None), saved)[0])
    assert np.abs(grads[0] - grads[1]).max() > 1e-3
