"""The losses of numbers and of yes or no: the last line of each derivation, proved, and the code held against it."""

import numpy as np

from manual import nn
from parity_tests.derive import exp, log, prove, where


def p(x):
    return 1 / (1 + exp(-x))


def softplus(x):
    return log(1 + exp(x))


def test_mse():
    prove(
        nn.MSELoss(),
        lambda x, t: ((x - t) ** 2).sum() / 6,
        lambda g, x, t: (g * 2 * (x - t) / 6, -g * 2 * (x - t) / 6),
        (2, 3),
        (2, 3),
    )


def absolute(d):
    return where(lambda v: v < 0, -d, d, d)


def sign(d):
    return where(lambda v: v < 0, -1, 1, d)


def test_l1():
    prove(
        nn.L1Loss(reduction="none"),
        lambda x, t: absolute(x - t),
        lambda g, x, t: (g * sign(x - t), -g * sign(x - t)),
        (3,),
        (3,),
    )


def piecewise(module, inside, beyond, slope):
    """Prove a loss of d = x - t with bound 2 on either side: dl/dd = slope d / 2 inside, +-slope beyond."""
    for size, formula, gradient in ((0.4, inside, lambda d: slope * d / 2), (9, beyond, lambda d: slope * sign(d))):
        prove(
            module,
            lambda x, t, formula=formula: formula(x - t),
            lambda g, x, t, gradient=gradient: (g * gradient(x - t), -g * gradient(x - t)),
            (2,),
            (2,),
            draw=lambda random, shape, size=size: size * random.normal(size=shape),
        )


def test_huber():
    """The two cases, each where it holds, are c (d - c / 2), whose slope is c."""
    piecewise(nn.HuberLoss("none", delta=2), lambda d: d**2 / 2, lambda d: 2 * absolute(d) - 2, 2)


def test_smooth_l1():
    """Huber's loss with beta, divided by beta."""
    piecewise(nn.SmoothL1Loss(reduction="none", beta=2), lambda d: d**2 / 4, lambda d: absolute(d) - 1, 1)


def probability(random, shape):
    return random.uniform(0.05, 0.95, shape)


def test_bce():
    prove(
        nn.BCELoss(reduction="none"),
        lambda q, t: -(t * log(q) + (1 - t) * log(1 - q)),
        lambda g, q, t: (g * (q - t) / (q * (1 - q)), g * (log(1 - q) - log(q))),
        (3,),
        (3,),
        draw=probability,
    )


def test_bce_with_logits():
    prove(
        nn.BCEWithLogitsLoss(reduction="sum"),
        lambda x, t: -(t * log(p(x)) + (1 - t) * log(1 - p(x))).sum(),
        lambda g, x, t: (g * (p(x) - t), -g * x),
        (3,),
        (3,),
    )


def test_bce_with_logits_and_weights():
    w, v = np.array([2.0, 0.5, 1.5]), np.array([3.0, 0.25, 1.25])
    prove(
        nn.BCEWithLogitsLoss(w, reduction="none", pos_weight=v),
        lambda x, t: -w * (v * t * log(p(x)) + (1 - t) * log(1 - p(x))),
        lambda g, x, t: (
            g * w * ((1 - t) * p(x) - v * t * p(-x)),
            g * w * (v * softplus(-x) - softplus(x)),
        ),
        (3,),
        (3,),
    )


def test_multi_label_soft_margin():
    prove(
        nn.MultiLabelSoftMarginLoss(reduction="none"),
        lambda x, t: (-(t * log(p(x)) + (1 - t) * log(1 - p(x)))).sum(-1) / 3,
        lambda g, x, t: (g[:, None] * (p(x) - t) / 3, -g[:, None] * x / 3),
        (1, 3),
        (1, 3),
    )


class Labelled(nn.Module):
    """A loss with its labels given, so that it has one input."""

    def __init__(self, loss, *targets):
        self.loss, self.targets = loss, targets

    def forward(self, *inputs):
        return self.loss.forward(*inputs, *self.targets)

    def backward(self, grad_output, saved, *, input_grad=True):
        grads = self.loss.backward(grad_output, saved, input_grad=input_grad)
        return tuple(grad for grad in grads if grad is not None)


def test_soft_margin():
    t = np.array([1, -1, -1])
    prove(
        Labelled(nn.SoftMarginLoss(reduction="none"), t),
        lambda x: log(1 + exp(-t * x)),
        lambda g, x: g * -t * p(-t * x),
        (3,),
    )
