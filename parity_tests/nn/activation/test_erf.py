"""The error function against the C library's and against 30 digits, and what GELU makes of its tail."""

import math

import numpy as np
import pytest
import torch

from manual import nn
from manual.nn.activation import erf, erfc
from manual.nn.activation.erf import _polynomial

mpmath = pytest.importorskip("mpmath", reason="it comes with sympy: pip install -e '.[derive]'")

# Dense, with the places where one piece ends and the next begins.
ENDS = np.array([0.84375, 1.25, 1 / 0.35])
GRID = np.concatenate([np.linspace(-6.2, 6.2, 4001), ENDS, -ENDS, np.nextafter(ENDS, 0), np.nextafter(-ENDS, 0)])
TAIL = np.concatenate([GRID, np.linspace(6.2, 26.5, 2001)])


def units(found, exact):
    """The largest error in units in the last place."""
    return float(np.max(np.abs(found - exact) / np.spacing(np.abs(exact))))


def of_each(function, x):
    return np.array([function(float(v)) for v in x])


def test_erf_is_the_c_librarys_within_one_last_place():
    assert units(erf(GRID), of_each(math.erf, GRID)) <= 1


def test_erfc_is_the_c_librarys_within_a_few_last_places_in_the_tail_too():
    assert units(erfc(TAIL), of_each(math.erfc, TAIL)) <= 4
    assert erfc(TAIL).min() > 0


@pytest.mark.parametrize("function", [erf, erfc])
def test_float32_is_as_near(function):
    x = TAIL[TAIL < 9].astype(np.float32)
    exact = of_each(getattr(math, function.__name__), x)
    found = function(x)
    assert found.dtype == np.float32
    assert np.max(np.abs(found - exact) / np.spacing(np.abs(exact).astype(np.float32))) <= 6


def test_longdouble_has_the_accuracy_of_float64():
    x = np.linspace(-6, 6, 801).astype(np.longdouble)
    assert erf(x).dtype == np.longdouble
    with mpmath.workdps(30):
        exact = [mpmath.erf(mpmath.mpf(str(v))) for v in x]
        errors = [abs(mpmath.mpf(str(a)) / b - 1) for a, b in zip(erf(x), exact, strict=True) if b]
    assert max(errors) < 2e-16


def test_the_ends():
    for dtype in (np.float32, np.float64, np.longdouble):
        x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-30], dtype)
        np.testing.assert_array_equal(erfc(x), np.array([1, 1, 0, 2, np.nan, 0, 2, 1], dtype))
        expected = np.array([0, 0, 1, -1, np.nan, 1, -1, 1e-30 * 2 / math.sqrt(math.pi)], dtype)
        np.testing.assert_allclose(erf(x), expected, rtol=2 * np.finfo(np.float32).eps)
        assert np.signbit(erf(x)[:2]).tolist() == [False, True]


def test_shapes_stay():
    for shape in [(), (1,), (2, 0), (2, 3)]:
        x = np.full(shape, 0.7)
        assert erf(x).shape == erfc(x).shape == shape
    assert float(erf(np.float64(0.7))) == pytest.approx(math.erf(0.7), rel=1e-15)


def test_the_derivative_by_complex_step_is_the_gaussian():
    x = np.append(GRID, [0.0, -0.0])
    exact = 2 / math.sqrt(math.pi) * np.exp(-x * x)
    for step in (1e-100, -1e-100):
        # Within a few roundings of x^2 e^-x^2; that of the three pieces' own error is below that.
        np.testing.assert_allclose(erf(x + 1j * step).imag / step, exact, rtol=2e-14, atol=2e-16)
        np.testing.assert_allclose(erfc(x + 1j * step).imag / step, -exact, rtol=2e-14, atol=2e-16)


def test_gelu_keeps_its_relative_accuracy_where_torchs_loses_it():
    """At x = -8.5 torch has 0 in float64, and only 0 or noise from there on; 1e-17 is the right size."""
    x = np.array([-36.0, -20.0, -12.3, -8.5, -7.0, -6.0])
    with mpmath.workdps(40):
        exact = np.array([float(mpmath.mpf(v) * mpmath.ncdf(mpmath.mpf(v))) for v in x])
        slope = np.array([float(mpmath.ncdf(mpmath.mpf(v)) + mpmath.mpf(v) * mpmath.npdf(mpmath.mpf(v))) for v in x])
    y, saved = nn.GELU().forward(x)
    # x / sqrt 2 and x^2 are rounded: x^2 eps relative.
    assert (np.abs(y / exact - 1) <= 2 * x * x * np.finfo(float).eps).all()
    grad = nn.GELU().backward(np.ones_like(x), saved)
    assert (np.abs(grad / slope - 1) <= 4 * x * x * np.finfo(float).eps).all()
    theirs = torch.nn.GELU()(torch.tensor(x)).cpu().numpy()
    assert (np.abs(theirs / exact - 1)[:4] > 0.01).all()


def test_gelu_by_tanh_keeps_its_relative_accuracy_too():
    x = np.array([-20.0, -9.0, -6.0])
    with mpmath.workdps(60):
        u = [mpmath.sqrt(2 / mpmath.pi) * (mpmath.mpf(v) + 0.044715 * mpmath.mpf(v) ** 3) for v in x]
        exact = np.array([float(v / (1 + mpmath.exp(-2 * w))) for v, w in zip(x, u, strict=True)])
    y = nn.GELU("tanh")(x)
    assert (np.abs(y / exact - 1) <= 8 * np.abs([float(w) for w in u]) * np.finfo(float).eps).all()
    assert (torch.nn.GELU("tanh")(torch.tensor(x)).cpu().numpy()[:2] == 0).all()


def test_coefficients_are_the_numbers_of_all_lines():
    assert _polynomial("1 -2.5e-1", "3") == (1.0, -0.25, 3.0)


@pytest.mark.parametrize("x", [-3.0, -0.5, 0.4, 2.7])
def test_the_two_gelus_are_not_one(x):
    """A backward of one for the forward of the other is off by up to 1e-3: more than any rounding here."""
    x = np.array([x])
    exact, by_tanh = nn.GELU(), nn.GELU("tanh")
    slopes = [m.backward(np.ones(1), m.forward(x)[1])[0] for m in (exact, by_tanh)]
    assert 1e-6 < abs(slopes[0] - slopes[1]) < 1e-3
