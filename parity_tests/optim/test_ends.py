"""Gradients and parameters at the ends of the range: infinite, NaN, huge, tiny, zero; no warning, torch's numbers."""

import numpy as np
import pytest
import torch

from manual import nn, optim
from parity_tests.optim.rules import OPTIONS
from parity_tests.optim.twins import to_torch

INF, NAN = np.inf, np.nan
VALUES = {
    "float64": [INF, -INF, NAN, 1e200, -1e200, 1e308, 1e-200, 1e-320, -0.0, 0.0, 1.0],
    "float32": [INF, -INF, NAN, 1e30, -1e30, 3e38, 1e-30, 1e-44, -0.0, 0.0, 1.0],
}
RULES = sorted(set(OPTIONS) - {"Muon"})


def run(rule, options, dtype, weights, grads, steps):
    p, q = nn.Parameter(weights.copy()), torch.nn.Parameter(to_torch(weights))
    ours, theirs = getattr(optim, rule)([p], **options), getattr(torch.optim, rule)([q], **options)
    for _ in range(steps):
        p.grad, q.grad = grads.copy(), to_torch(grads)
        ours.step()
        theirs.step()
        yield p.data, q.detach().cpu().numpy()


@pytest.mark.parametrize("rule", RULES)
def test_gradients_at_the_ends(rule, dtype):
    grads = np.array(VALUES[dtype], dtype)
    for mine, other in run(rule, {}, dtype, np.full(len(grads), 2, dtype), grads, 3):
        if (
            rule == "RAdam"
        ):  # an infinite average: inf here, NaN in torch (see Optimizer), and RAdam divides it by nothing
            assert np.array_equal(np.isfinite(mine), np.isfinite(other))
            mine, other = (np.where(np.isfinite(x), x, 0) for x in (mine, other))
        np.testing.assert_allclose(mine, other, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("rule", RULES)
def test_parameters_at_the_ends(rule, dtype):
    """Without weight decay an infinite parameter stays what it is."""
    weights = np.array(VALUES[dtype], dtype)
    for mine, other in run(rule, {}, dtype, weights, np.full(len(weights), 0.5, dtype), 3):
        np.testing.assert_allclose(mine, other, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("rule", sorted(set(RULES) - {"ASGD"}))
def test_no_gradient_at_all(rule, maximize):
    """Zeros move nothing, and divide nothing by 0."""
    for mine, other in run(rule, {"maximize": maximize, **({"weight_decay": 0.0} if rule == "AdamW" else {})},
                           "float64", np.array([1.0, -2.0]), np.zeros(2), 3):  # fmt: skip
        assert mine.tolist() == other.tolist() == [1.0, -2.0]


def test_centered_rmsprop_at_alpha_0():
    """v - a^2 is g^2 - g^2: exactly 0 here; in torch the rounding of g^2, NaN where that is below 0."""
    grads = np.random.default_rng(0).normal(size=200)
    (mine, other), *_ = run("RMSprop", {"alpha": 0, "centered": True, "eps": 1.0}, "float64", np.ones(200), grads, 1)
    assert np.array_equal(mine, 1 - 0.01 * grads)
    if np.isnan(other).any():  # where the processor multiplies and adds in one rounding
        assert 60 < np.isnan(other).sum() < 140


def test_centered_rmsprop_below_0_is_nan():
    """Once the variance is rounded below 0 its root is NaN, without a warning, as in torch."""
    p = nn.Parameter(np.ones(1))
    optimizer = optim.RMSprop([p], centered=True)
    p.grad = np.ones(1)
    optimizer.step()
    optimizer.state[p].update(square_avg=np.array([1.0]), grad_avg=np.array([1.1]))
    optimizer.step()
    assert np.isnan(p.data).all()


def test_rprop_stays_where_the_gradient_is_no_number():
    p = nn.Parameter(np.ones(2))
    optimizer = optim.Rprop([p])
    p.grad = np.array([NAN, 1.0])
    optimizer.step()
    assert p.data.tolist() == [1.0, 0.99]
