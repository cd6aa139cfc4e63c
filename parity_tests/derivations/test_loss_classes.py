"""The losses over classes, of margins, of distances and of distributions: proved, and the code held against it."""

import numpy as np
import pytest

from manual import nn
from parity_tests.derivations.test_loss import Labelled, probability, sign
from parity_tests.derive import exp, log, prove, sqrt, sympy, where


def softmax(x):
    return exp(x) / exp(x).sum(-1)[:, None]


def onehot(t):
    return (np.array(t)[:, None] == np.arange(3)).astype(int)


def positive(z):
    """Return max(0, z)."""
    return where(lambda v: v > 0, z, 0, z)


def step(z):
    return where(lambda v: v > 0, 1, 0, z)


def test_cross_entropy():
    """softmax(x) - onehot, through the log-sum-exp."""
    t = np.array([2, 0])

    def loss(x):
        return (log(exp(x).sum(-1)) - x[np.arange(2), t]).sum() / 2

    prove(Labelled(nn.CrossEntropyLoss(), t), loss, lambda g, x: g * (softmax(x) - onehot(t)) / 2, (2, 3))


def test_cross_entropy_weighted_smoothed_and_ignored():
    t, w, s = np.array([2, 0, 1]), np.array([2, 3, 5]), sympy.Rational(1, 4)
    q = w * ((1 - s) * onehot(t) + s / 3) * np.array([1, 0, 1])[:, None]
    module = nn.CrossEntropyLoss(w.astype(float), ignore_index=0, label_smoothing=0.25)
    prove(
        Labelled(module, t),
        lambda x: -(q * log(softmax(x))).sum() / (5 + 3),
        lambda g, x: g * (softmax(x) * q.sum(-1)[:, None] - q) / 8,
        (3, 3),
    )


def test_cross_entropy_of_probabilities():
    w, s = np.array([2, 3, 5]), sympy.Rational(1, 4)

    def q(t):
        return w * ((1 - s) * t + s / 3)

    prove(
        nn.CrossEntropyLoss(w.astype(float), label_smoothing=0.25),
        lambda x, t: -(q(t) * log(softmax(x))).sum() / 2,
        lambda g, x, t: (
            g / 2 * (softmax(x) * q(t).sum(-1)[:, None] - q(t)),
            -g / 2 * w * (1 - s) * log(softmax(x)),
        ),
        (2, 3),
        (2, 3),
    )


def test_nll():
    t, w = np.array([2, 0]), np.array([2, 3, 5])
    prove(
        Labelled(nn.NLLLoss(w.astype(float)), t),
        lambda x: -(w[t] * x[np.arange(2), t]).sum() / (5 + 2),
        lambda g, x: -g * w * onehot(t) / 7,
        (2, 3),
    )


@pytest.mark.parametrize("power", [1, 2])
def test_multi_margin(power):
    t, w = np.array([2, 0]), np.array([2, 3, 5])

    def z(x):
        return 1 - x[np.arange(2), t][:, None] + x

    def grad(g, x):
        h = g[:, None] * w[t][:, None] * power * positive(z(x)) ** (power - 1) * step(z(x)) * (1 - onehot(t)) / 3
        return h - onehot(t) * h.sum(-1)[:, None]

    prove(
        Labelled(nn.MultiMarginLoss(power, weight=w.astype(float), reduction="none"), t),
        lambda x: w[t] * (positive(z(x)) ** power * (1 - onehot(t))).sum(-1) / 3,
        grad,
        (2, 3),
    )


def test_multi_label_margin():
    """T = {2, 0}: each of them against 1."""
    t = np.array([[2, 0, -1]])

    def grad(g, x):
        h = [step(1 - x[:, c] + x[:, 1]) / 3 for c in (0, 2)]
        return g[:, None] * np.stack([-h[0], h[0] + h[1], -h[1]], -1)

    prove(
        Labelled(nn.MultiLabelMarginLoss(reduction="none"), t),
        lambda x: sum(positive(1 - x[:, c] + x[:, 1]) for c in (0, 2)) / 3,
        grad,
        (1, 3),
    )


def test_margin_ranking():
    def z(a, b, t):
        return 1 - t * (a - b)

    def grads(g, a, b, t):
        h = g * step(z(a, b, t))
        return -h * t, h * t, -h * (a - b)

    prove(nn.MarginRankingLoss(1, reduction="none"), lambda *x: positive(z(*x)), grads, (1,), (1,), (1,))


def test_hinge_embedding():
    t = np.array([1, -1, -1])
    prove(
        Labelled(nn.HingeEmbeddingLoss(reduction="none"), t),
        lambda x: np.where(t == 1, x, positive(1 - x)),
        lambda g, x: g * np.where(t == 1, 1, -step(1 - x)),
        (3,),
    )


def test_cosine_embedding():
    eps = float(np.float32(1e-12))

    def r(x):
        return sqrt((x * x).sum(-1) + eps)

    def cos(a, b):
        return (a * b).sum(-1) / (r(a) * r(b))

    def turned(a, b):
        """dcos/da."""
        return (b / r(b)[:, None] - cos(a, b)[:, None] * a / r(a)[:, None]) / r(a)[:, None]

    prove(
        Labelled(nn.CosineEmbeddingLoss(-1, reduction="none"), np.array([1, -1])),
        lambda a, b: np.array([1, 0]) - np.array([1, -1]) * (cos(a, b) - np.array([0, -1])),
        lambda g, a, b: tuple((g * np.array([-1, 1]))[:, None] * turned(*each) for each in ((a, b), (b, a))),
        (2, 2),
        (2, 2),
    )


def test_triplet():
    """Far from the kink: the margin is wide."""
    eps = 1e-6

    def r(d):
        return sqrt(((d + eps) ** 2).sum(-1))

    def slope(d):
        return (d + eps) / r(d)[:, None]

    prove(
        nn.TripletMarginLoss(9, reduction="none"),
        lambda a, b, c: 9 + r(a - b) - r(a - c),
        lambda g, a, b, c: (
            g[:, None] * (slope(a - b) - slope(a - c)),
            -g[:, None] * slope(a - b),
            g[:, None] * slope(a - c),
        ),
        (2, 2),
        (2, 2),
        (2, 2),
    )


def test_kl_div():
    prove(
        nn.KLDivLoss(reduction="batchmean"),
        lambda x, t: (t * (log(t) - x)).sum() / 2,
        lambda g, x, t: (-g * t / 2, g * (log(t) + 1 - x) / 2),
        (2, 3),
        (2, 3),
        draw=probability,
    )
    prove(
        nn.KLDivLoss(reduction="sum", log_target=True),
        lambda x, u: (exp(u) * (u - x)).sum(),
        lambda g, x, u: (-g * exp(u), g * exp(u) * (u - x + 1)),
        (2, 3),
        (2, 3),
    )


def test_gaussian_nll():
    prove(
        nn.GaussianNLLLoss(full=True, reduction="none"),
        lambda x, t, v: (log(v) + (x - t) ** 2 / v + np.log(2 * np.pi)) / 2,
        lambda g, x, t, v: (g * (x - t) / v, -g * (x - t) / v, g * (1 - (x - t) ** 2 / v) / (2 * v)),
        (3,),
        (3,),
        (3,),
        draw=probability,
    )


def test_poisson_nll():
    prove(
        nn.PoissonNLLLoss(full=True, reduction="none"),
        lambda x, t: exp(x) - t * x + t * log(t) - t + log(2 * np.pi * t) / 2,
        lambda g, x, t: (g * (exp(x) - t), g * (-x + log(t) + 1 / (2 * t))),
        (3,),
        (3,),
        draw=lambda random, shape: random.uniform(1.5, 4, shape),
    )
    prove(
        nn.PoissonNLLLoss(log_input=False, eps=0.25, reduction="none"),
        lambda x, t: x - t * log(x + 0.25),
        lambda g, x, t: (g * (1 - t / (x + 0.25)), -g * log(x + 0.25)),
        (3,),
        (3,),
        draw=probability,
    )


def test_a_wrong_sign_is_found():
    with pytest.raises(AssertionError, match="off by"):
        prove(nn.KLDivLoss(reduction="sum"), lambda x, t: t * (log(t) - x), lambda g, x, t: (g * t, -g * x), (2,), (2,))


def test_sign_is_the_slope_of_the_absolute_value():
    assert list(sign(np.array([-2, 3]))) == [-1, 1]
