"""MSELoss, L1Loss, HuberLoss and SmoothL1Loss against torch, for both of their inputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from manual.nn.loss.regression import _clip, _sign
from parity_tests.nn.loss.sides import assert_same, both
from parity_tests.parity import check, check_exact, check_refused, integers, normal

REDUCTIONS = ["none", "sum", "mean"]
SHAPES = [(5, 3), (7,), (), (2, 3, 4), (1, 1), (0, 3)]
BUILD = {
    "MSE": lambda nn, **given: nn.MSELoss(**given),
    "L1": lambda nn, **given: nn.L1Loss(**given),
    "Huber": lambda nn, **given: nn.HuberLoss(**given),
    "Huber 0.4": lambda nn, **given: nn.HuberLoss(delta=0.4, **given),
    "Huber far": lambda nn, **given: nn.HuberLoss(delta=9, **given),
    "SmoothL1": lambda nn, **given: nn.SmoothL1Loss(**given),
    "SmoothL1 0.4": lambda nn, **given: nn.SmoothL1Loss(beta=0.4, **given),
    "SmoothL1 0": lambda nn, **given: nn.SmoothL1Loss(beta=0, **given),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", BUILD)
def test_loss(name, shape, reduction, dtype, device):
    inputs = normal(*shape), normal(*shape, seed=3)
    check(lambda nn: BUILD[name](nn, reduction=reduction), *inputs, dtype=dtype, device=device)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 4), max_size=3), st.floats(0.05, 3), st.sampled_from(REDUCTIONS), st.integers(0, 99))
def test_any_shape_and_bound(shape, bound, reduction, seed):
    inputs = normal(*shape, seed=seed), normal(*shape, seed=seed + 1)
    check(lambda nn: nn.HuberLoss(reduction, bound), *inputs, seed=seed)
    check(lambda nn: nn.SmoothL1Loss(reduction=reduction, beta=bound), *inputs, seed=seed)


@pytest.mark.parametrize("reduction", ["none", "sum"])
@pytest.mark.parametrize("name", ["MSE", "L1", "Huber far", "Huber", "SmoothL1", "SmoothL1 0"])
def test_integers_are_exact(name, reduction):
    """Among them are ties, d = 0, and what lies on the bound, |d| = 1."""
    inputs = (integers(6, 4, below=5, seed=seed).astype(float) for seed in (0, 1))
    check_exact(lambda nn: BUILD[name](nn, reduction=reduction), *inputs)


@pytest.mark.parametrize("name", ["L1Loss", "HuberLoss", "SmoothL1Loss"])
def test_kinks_and_ends(name, dtype):
    bound = {"HuberLoss": {"delta": 0.5}, "SmoothL1Loss": {"beta": 0.5}}.get(name, {})
    d = np.array([0, 0.5, -0.5, np.nextafter(0.5, 1), 1e-30, -1e30, np.inf, -np.inf, np.nan], dtype=dtype)
    assert_same(name, d, np.zeros_like(d), reduction="none", **bound)
    assert_same(name, np.zeros_like(d), d, reduction="none", **bound)


@pytest.mark.parametrize("name", ["L1Loss", "HuberLoss", "SmoothL1Loss"])
def test_the_slope_is_zero_at_zero(name):
    (_, grad_input, grad_target), _ = both(name, np.zeros(3), np.zeros(3), upstream=np.float64(1.5))
    assert (grad_input == 0).all()
    assert (grad_target == 0).all()


def test_nothing_large_is_squared():
    """1e200 squared overflows; the quotient by a tiny beta would too."""
    d = np.array([1e200, -1e200])
    loss, saved = nn.SmoothL1Loss(reduction="none", beta=1e-200).forward(d, 0 * d)
    assert loss.tolist() == [1e200, 1e200]
    assert nn.SmoothL1Loss(reduction="none", beta=1e-200).backward(np.ones(2), saved)[0].tolist() == [1, -1]
    assert nn.HuberLoss(reduction="none")(d, 0 * d).tolist() == [1e200, 1e200]


@pytest.mark.parametrize("step", [1e-100j, -1e-100j])
def test_ties_take_a_complex_step(step):
    """What lies on the bound is kept, what is 0 has no sign, however the imaginary part points."""
    assert (_clip(np.array([0.5, -0.5]) + step, 0.5).imag == step.imag).all()
    assert _sign(np.array([step])) == 0


@pytest.mark.parametrize("delta", [0, -1, -0.5, np.nan])
def test_bad_delta(delta):
    with pytest.raises(ValueError, match="delta is above 0"):
        nn.HuberLoss(delta=delta)


def test_bad_bounds():
    x = normal(3)
    check_refused(lambda nn: nn.HuberLoss(delta=0), x, x, error=ValueError, match="L1Loss")
    check_refused(lambda nn: nn.SmoothL1Loss(beta=-0.1), x, x, error=ValueError, match="beta is 0 or above")
    with pytest.raises(ValueError, match="beta"):
        nn.SmoothL1Loss(beta=np.nan)
