"""The identities that the docstrings of update rules, schedulers and initial values rest on."""

import numpy as np
import pytest

from manual import nn, optim
from manual.nn import init
from manual.optim import lr_scheduler

sympy = pytest.importorskip("sympy", reason="the extra `derive` is not installed: pip install -e '.[derive]'")

k, t = sympy.symbols("k t", integer=True, positive=True)
beta, mu = sympy.symbols("beta mu", positive=True)


def after(rule, steps, grad=0.7, **options):
    """Return the parameter, from 0, and its state after steps with one gradient."""
    p = nn.Parameter(np.zeros(()))
    optimizer = getattr(optim, rule)([p], **options)
    for _ in range(steps):
        p.grad = np.asarray(grad)
        optimizer.step()
    return float(p.data), {key: float(value) for key, value in optimizer.state[p].items()}


def test_adams_bias():
    """E[m_t] = (1 - beta^t) E[g]: the weights of the average sum to 1 - beta^t."""
    weights = sympy.summation((1 - beta) * beta ** (t - k), (k, 1, t)).subs(beta, sympy.Rational(9, 10))
    assert sympy.simplify(weights - (1 - sympy.Rational(9, 10) ** t)) == 0
    _, state = after("Adam", 7)
    assert state["exp_avg"] == pytest.approx((1 - 0.9**7) * 0.7, rel=1e-14)
    assert state["exp_avg_sq"] == pytest.approx((1 - 0.999**7) * 0.49, rel=1e-12)


def test_first_steps():
    """The sizes that the docstrings state, for gradients of any size."""
    for grad in (0.3, 50.0):
        assert after("Adam", 1, grad, eps=0, lr=0.1)[0] == pytest.approx(-0.1, rel=1e-12)
        assert after("Adamax", 1, grad, eps=0, lr=0.1)[0] == pytest.approx(-0.1, rel=1e-12)
        assert after("Adagrad", 1, grad, eps=0, lr=0.1)[0] == pytest.approx(-0.1, rel=1e-12)
        assert after("RMSprop", 1, grad, eps=0, lr=0.1)[0] == pytest.approx(-1.0, rel=1e-12)
        assert after("Adadelta", 1, grad)[0] == pytest.approx(-0.00316, rel=1e-3)
    assert (1 - 0.9) / np.sqrt(1 - 0.999) == pytest.approx(3.2, abs=0.05)


def test_adamax_is_the_limit_of_high_powers():
    grads = np.random.default_rng(0).normal(size=12)
    p = nn.Parameter(np.zeros(()))
    optimizer = optim.Adamax([p], betas=(0.9, 0.8), eps=0)
    for grad in grads:
        p.grad = np.asarray(grad)
        optimizer.step()
    terms = 0.8 ** np.arange(11, -1, -1) * np.abs(grads)
    power = 400
    assert ((1 - 0.8**power) * (terms**power).sum()) ** (1 / power) == pytest.approx(
        float(optimizer.state[p]["exp_inf"]), rel=1e-3
    )
    assert terms.max() == pytest.approx(float(optimizer.state[p]["exp_inf"]), rel=1e-14)


def test_radams_length():
    """rho: (rho - 1) / 2 is the mean age in the exponential average; 1 at the first step."""
    for steps in range(1, 7):
        ages = sum(j * beta**j for j in range(steps)) / sum(beta**j for j in range(steps))
        rho = 2 / (1 - beta) - 1 - 2 * steps * beta**steps / (1 - beta**steps)
        assert sympy.simplify((rho - 1) / 2 - ages) == 0
        if steps == 1:
            assert sympy.simplify(rho) == 1


def test_radams_rectification():
    """r^2 is the variance at rho_inf over that at rho, and the first rectified step is the sixth."""
    rho, rho_inf = sympy.symbols("rho rho_inf", positive=True)
    variance = lambda r: r / (2 * (r - 2) * (r - 4))  # noqa: E731
    r_squared = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
    assert sympy.simplify(variance(rho_inf) / variance(rho) - r_squared) == 0
    for steps, rectified in ((5, False), (6, True)):
        plain = -sum(0.001 * 0.7 for _ in range(steps))
        assert (abs(after("RAdam", steps)[0] - plain) > 1e-5) == rectified


def test_nesterov_in_nadam():
    """With mu constant and M = mu^t, c g + c' m is Adam's m_hat with the next step's momentum."""
    _, state = after("NAdam", 5, momentum_decay=1e9)  # 0.96^(t psi) is 0: mu_t is beta1
    assert state["mu_product"] == pytest.approx(0.9**5, rel=1e-6)
    m = state["exp_avg"]
    step = (1 - 0.9) * 0.7 / (1 - 0.9**5) + 0.9 * m / (1 - 0.9**6)
    before, _ = after("NAdam", 4, momentum_decay=1e9)
    now, _ = after("NAdam", 5, momentum_decay=1e9)
    assert before - now == pytest.approx(2e-3 * step / 0.7, rel=1e-6)


def test_momentum_in_the_long_run():
    assert sympy.summation(mu**k, (k, 0, sympy.oo)).args[0][0] == 1 / (1 - mu)
    _, state = after("SGD", 400, momentum=0.9)
    assert state["momentum_buffer"] == pytest.approx(0.7 / (1 - 0.9), rel=1e-12)


def test_muons_buffer_is_torchs_page_times_one_minus_mu():
    grads = sympy.symbols("g1:6")
    page, code = sympy.Integer(0), sympy.Integer(0)
    for grad in grads:
        page, code = mu * page + grad, mu * code + (1 - mu) * grad
        assert sympy.expand(code - (1 - mu) * page) == 0
        assert sympy.expand((mu * code + (1 - mu) * grad) - (1 - mu) * (grad + mu * page)) == 0


def test_the_quintic_that_converges():
    s = sympy.Symbol("s")
    p = sympy.Rational(15, 8) * s - sympy.Rational(10, 8) * s**3 + sympy.Rational(3, 8) * s**5
    assert [p.subs(s, 1), p.diff(s).subs(s, 1), p.diff(s, 2).subs(s, 1)] == [1, 0, 0]


def test_a_mean_by_steps():
    """ASGD: with mu = 1, 1/2, 1/3, ... ax is the mean of the places so far."""
    places = sympy.symbols("w1:7")
    ax = sympy.Integer(0)
    for n, place in enumerate(places, 1):
        ax = ax + sympy.Rational(1, n) * (place - ax)
        assert sympy.expand(ax - sum(places[:n]) / n) == 0


def test_ratios_of_schedulers():
    s, e, n = sympy.symbols("s e n", positive=True)
    line = lambda t: s + (e - s) * t / n  # noqa: E731
    assert sympy.simplify(line(t) / line(t - 1) - (1 + (e - s) / (s * n + (e - s) * (t - 1)))) == 0
    low, high = sympy.symbols("low high")
    h = lambda t: 1 + sympy.cos(sympy.pi * t / n)  # noqa: E731
    rate = lambda t: low + (high - low) * h(t) / 2  # noqa: E731
    assert sympy.simplify(h(t) / h(t - 1) * (rate(t - 1) - low) + low - rate(t)) == 0
    assert sympy.simplify(rate(n) + (high - low) * (1 - sympy.cos(sympy.pi / n)) / 2 - rate(n + 1)) == 0
    optimizer = optim.SGD([nn.Parameter(np.zeros(1))], lr=1.0)
    scheduler = lr_scheduler.CosineAnnealingLR(optimizer, 10)
    for _ in range(5):
        scheduler.step()
    assert scheduler.get_last_lr()[0] == pytest.approx(float(rate(5).subs({n: 10, low: 0, high: 1})), rel=1e-14)


def test_variances_of_initial_values():
    """U(-a, a) has the variance a^2 / 3; leaky_relu leaves (1 + slope^2) / 2 of the second moment of a normal x."""
    x, a, slope = sympy.symbols("x a slope", positive=True)
    assert sympy.integrate(x**2 / (2 * a), (x, -a, a)) == a**2 / 3
    density = sympy.exp(-(x**2) / 2) / sympy.sqrt(2 * sympy.pi)
    half = sympy.integrate(x**2 * density, (x, 0, sympy.oo))
    kept = sympy.simplify(half + slope**2 * half)
    assert sympy.simplify(kept - (1 + slope**2) / 2) == 0
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(
        float(1 / sympy.sqrt(kept.subs(slope, 0.3))), rel=1e-14
    )
