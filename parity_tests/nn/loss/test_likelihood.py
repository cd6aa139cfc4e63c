"""KLDivLoss, GaussianNLLLoss and PoissonNLLLoss against torch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.nn.loss.sides import assert_same, both
from parity_tests.parity import check, check_refused, integers, normal, probabilities

pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
REDUCTIONS = ["none", "sum", "mean"]
SHAPES = [(5, 3), (7,), (), (2, 3, 4), (1, 1), (0, 3)]


# ------------------------------------------------------------------ KLDivLoss


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("shape", [*SHAPES, (3, 0)], ids=str)
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(log_target, shape, reduction, dtype, device):
    target = np.log(probabilities(*shape)) if log_target else probabilities(*shape)
    check(
        lambda nn: nn.KLDivLoss(reduction=reduction, log_target=log_target), normal(*shape), target,
        dtype=dtype, device=device,
    )  # fmt: skip


def test_kl_div_of_one_distribution_from_itself_is_zero():
    t = probabilities(4, 3)
    assert nn.KLDivLoss(reduction="sum")(np.log(t), t) == 0
    assert nn.KLDivLoss(reduction="batchmean", log_target=True)(np.log(t), np.log(t)) == 0


def test_probabilities_of_zero(dtype):
    """0 log 0 = 0, with its gradient -inf: torch has NaN there. 0 times an infinite logarithm is NaN in both losses."""
    x, t = np.array([-1, -2, -np.inf, -np.inf], dtype=dtype), np.array([0, 1, 0, 0.5], dtype=dtype)
    (loss, grad, grad_t), (theirs, their_grad, their_grad_t) = both("KLDivLoss", x, t, reduction="none")
    assert np.array_equal(loss, theirs, equal_nan=True)
    assert loss[0] == 0
    assert np.isnan(loss[2])
    assert np.array_equal(grad, their_grad)
    assert grad_t[0] == -np.inf
    assert np.isnan(their_grad_t[0])
    assert np.array_equal(grad_t[[1, 3]], their_grad_t[[1, 3]])


def test_logarithms_without_end(dtype):
    x, u = np.array([-1, -np.inf, -np.inf], dtype=dtype), np.array([-np.inf, -1, -90], dtype=dtype)
    assert_same("KLDivLoss", x, u, reduction="none", log_target=True)


def test_probabilities_below_zero_are_nan(dtype):
    assert_same("KLDivLoss", np.array([-1, -2], dtype), np.array([-0.5, 0.5], dtype), reduction="none")


# ------------------------------------------------------------------ GaussianNLLLoss

VARIANCES = [(4, 3), (4, 1), (1, 3), (4,)]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("full", [False, True])
def test_gaussian(full, shape, reduction, dtype, device):
    inputs = normal(*shape), normal(*shape, seed=1), probabilities(*shape)
    build = lambda nn: nn.GaussianNLLLoss(full=full, reduction=reduction)  # noqa: E731
    check(build, *inputs, dtype=dtype, device=device)
    check(build, *inputs[:2], dtype=dtype, device=device, var=0.7)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("var", VARIANCES, ids=str)
@pytest.mark.parametrize("target", [(4, 3), (4, 1), (1, 3), (1, 1)], ids=str)
def test_gaussian_repeated(target, var, reduction, dtype):
    inputs = normal(4, 3), normal(*target, seed=1), probabilities(*var)
    check(lambda nn: nn.GaussianNLLLoss(reduction=reduction), *inputs, dtype=dtype)


@pytest.mark.parametrize("var", [(5,), (1,), ()], ids=str)
def test_gaussian_of_one_axis(var, dtype):
    """Of an input (5,), a variance () is one without the last axis."""
    check(lambda nn: nn.GaussianNLLLoss(), normal(5), normal(5, seed=1), probabilities(*var), dtype=dtype)
    check(lambda nn: nn.GaussianNLLLoss(), normal(2, 3, 4), normal(2, 1, 4), probabilities(2, 3), dtype=dtype)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("full", [False, True])
def test_the_floor_of_a_variance(full, reduction, dtype):
    """The floor stands in the variance's place, and the gradient goes to what lies below it all the same."""
    d, var = np.array([1, 2, -3, 0, 0.1], dtype), np.array([0.05, 0.1, 0, 0.2, 0.0999], dtype)
    given = {"eps": 0.1, "full": full, "reduction": reduction}
    assert_same("GaussianNLLLoss", d, np.zeros_like(d), var, **given)
    assert_same("GaussianNLLLoss", d[:, None].copy(), np.zeros_like(d)[:, None].copy(), var, **given)
    loss, _ = nn.GaussianNLLLoss(eps=0.1).forward(d, 0 * d, 0.05)
    assert loss == nn.GaussianNLLLoss(eps=0.1).forward(d, 0 * d, 0.1)[0]


def test_full_adds_a_constant():
    inputs = normal(5), normal(5, seed=1), probabilities(5)
    without, full = (nn.GaussianNLLLoss(full=full, reduction="none")(*inputs) for full in (False, True))
    assert full - without == pytest.approx(np.full(5, 0.5 * math.log(2 * math.pi)), rel=1e-14)


@pytest.mark.parametrize("shape", [(1, 1), (3,), (4, 2), (2, 4, 3), (4, 3, 1), ()], ids=str)
def test_bad_variances(shape):
    inputs = normal(4, 3), normal(4, 3, seed=1), probabilities(*shape)
    check_refused(lambda nn: nn.GaussianNLLLoss(), *inputs, error=ValueError, match=r"GaussianNLLLoss: var .* \(4, 3\)")


def test_bad_arguments():
    x = normal(4, 3)
    refused = {"error": ValueError, "match": "a variance is -[0-9.e-]+, below 0"}
    check_refused(lambda nn: nn.GaussianNLLLoss(), x, x, -np.abs(x), **refused)
    check_refused(lambda nn: nn.GaussianNLLLoss(), x, x, var=-1.0, **refused)
    check_refused(lambda nn: nn.GaussianNLLLoss(), x, x, var=1, error=TypeError, match="var takes .*, not int")
    with pytest.raises(ValueError, match="0 or above"):
        nn.GaussianNLLLoss(eps=-1e-6)
    with pytest.raises(TypeError, match="float64 but var float32"):
        nn.GaussianNLLLoss().forward(x, x, np.ones((4, 3), np.float32))
    nn.GaussianNLLLoss(eps=0).forward(x, x, np.ones((4, 3)))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2), (1, 4, 3)], ids=str)
def test_bad_targets(shape):
    with pytest.raises(ValueError, match=r"target .* is not the input's shape \(4, 3\)"):
        nn.GaussianNLLLoss().forward(normal(4, 3), normal(*shape), 1.0)


# ------------------------------------------------------------------ PoissonNLLLoss


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("log_input", [False, True])
def test_poisson(log_input, full, shape, reduction, dtype, device):
    x = normal(*shape) if log_input else 3 * probabilities(*shape)
    build = lambda nn: nn.PoissonNLLLoss(log_input, full, reduction=reduction)  # noqa: E731
    check(build, x, 4 * probabilities(*shape, seed=1), dtype=dtype, device=device)
    if not full:
        check(build, x, integers(*shape, below=6), dtype=dtype, device=device)


def test_poisson_eps(dtype):
    given = {"log_input": False, "eps": 0.3, "reduction": "none"}
    x, t = np.array([0, 0.5, 2], dtype), np.array([1.5, 0, 3], dtype)
    assert_same("PoissonNLLLoss", x, t, **given)
    check(lambda nn: nn.PoissonNLLLoss(**given), x.astype(float)[1:], t.astype(float)[1:], dtype=dtype)


def test_rates_without_end(dtype):
    x, t = np.array([1e4, -1e4, np.inf, -np.inf], dtype), np.array([2, 2, 2, 2], dtype)
    assert_same("PoissonNLLLoss", x, t, reduction="none")
    assert_same("PoissonNLLLoss", np.array([-1, 1e-30, 1], dtype), t[:3], log_input=False, reduction="none")


@pytest.mark.parametrize("log_input", [False, True])
def test_stirling_starts_above_one(log_input, dtype):
    x, t = np.full(4, 0.5, dtype), np.array([1, np.nextafter(dtype_(dtype)(1), 2), 0.5, 2], dtype)
    assert_same("PoissonNLLLoss", x, t, full=True, log_input=log_input, reduction="none")
    (_, grad, grad_t), (_, their_grad, their_grad_t) = both("PoissonNLLLoss", x[:1], 0 * t[:1], full=True)
    assert grad == their_grad
    assert grad_t == -0.5
    assert np.isnan(their_grad_t)


def test_counts_keep_float64():
    """torch takes the logarithm of integers in float32, whatever the input is: off by 1e-7 in float64."""
    x, t = normal(9), integers(9, below=50)
    hand, theirs = both("PoissonNLLLoss", x, t, full=True, reduction="none")
    exact, _ = both("PoissonNLLLoss", x, t.astype(float) + (t == 0) * 0.5, full=True, reduction="none")
    counts = t > 0
    assert np.array_equal(hand[0][counts], exact[0][counts])
    assert hand[2] is None
    assert 1e-8 < np.abs(theirs[0] - hand[0]).max() < 1e-4


@pytest.mark.parametrize("step", [1e-100j, -1e-100j])
def test_ends_take_a_complex_step(step):
    """What lies at the floor of a variance is kept; a count of 1 has no Stirling term; 0 is not below 0."""
    x = np.zeros(1, complex)
    assert nn.GaussianNLLLoss(eps=0.5)(x, x, x + 0.5 + step).imag == pytest.approx(step.imag)
    nn.GaussianNLLLoss()(x, x, x + step)
    assert nn.PoissonNLLLoss(full=True)(x, x + 1 + step) == 1


def dtype_(name):
    return np.dtype(name).type


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 4), max_size=3), st.sampled_from(REDUCTIONS), st.booleans(), st.integers(0, 99))
def test_any_shape(shape, reduction, flag, seed):
    x, t, v = (draw(*shape, seed=seed) for draw in (normal, probabilities, probabilities))
    check(lambda nn: nn.GaussianNLLLoss(full=flag, reduction=reduction), x, 2 * t, v, seed=seed)
    check(lambda nn: nn.PoissonNLLLoss(full=flag, reduction=reduction), x, 3 * t, seed=seed)
    check(lambda nn: nn.KLDivLoss(reduction=reduction), x, t, seed=seed)
