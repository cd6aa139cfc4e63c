"""The error function and its complement, which NumPy does not have.

    erf(x) = 2/sqrt(pi) integral_0^x e^(-t^2) dt,    erfc(x) = 1 - erf(x),    erf'(x) = 2/sqrt(pi) e^(-x^2).

erf is odd, so that only x >= 0 is approximated, in three pieces:

    x <= 0.46875       erf(x)  = x R1(x^2)                                    the Taylor series is x times one in x^2
    x <= 4             erfc(x) = e^(-x^2) R2(x)                               R2 varies from 0.6 to 0.14 alone
    x > 4              erfc(x) = e^(-x^2)/x (1/sqrt(pi) - z R3(z)), z = 1/x^2  the asymptotic series is one in 1/x^2

Each R is the quotient of two polynomials whose largest relative error on its piece is the smallest possible. With
exact arithmetic they are within 6e-19 of the functions; with the rounding of float64 the results are within a few
units in the last place, erfc down to the smallest number. In longdouble the accuracy is that of the coefficients,
which are written as float64.

e^(-x^2) needs care: rounding x^2 changes it by x^2 eps/2 relative, 300 units at x = 26. With h the number x cut down
to 1/256ths, h^2 is exact, and x^2 = h^2 + (x - h)(x + h), where the second part is below 0.21: e^(-x^2) is the product
of two exponentials that are both exact to rounding.

All is analytic on each piece and branches on the real part, so that a complex step passes through: its imaginary part
is the derivative.

Source: W. J. Cody, Rational Chebyshev approximations for the error function, Math. Comp. 23 (1969) 631-637.
"""

import math

import numpy as np

from manual.module import Array

NEAR, FAR = 0.46875, 4.0
UNDERFLOW = 120.0  # e^(-120^2) is 0 in every precision

# Numerator and denominator of R1, R2 and R3, the highest power first.
R1 = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
R2 = (
    (
        *(2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1),
        *(2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3),
        1.23033935479799725e3,
    ),
    (
        *(1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3),
        *(3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
    ),
)
R3 = (
    (
        *(1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1),
        *(1.60837851487422766e-2, 6.58749161529837803e-4),
    ),
    (
        *(1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2),
        2.33520497626869185e-3,
    ),
)


def erf(x: Array) -> Array:
    """Return the error function of x, of its shape and dtype."""
    pieces = [np.abs(x.real) <= NEAR, x.real > NEAR]
    return np.piecewise(x, pieces, [_erf_near, lambda x: 1 - _erfc_far(x), lambda x: _erfc_far(-x) - 1])


def erfc(x: Array) -> Array:
    """Return 1 - erf(x) without the cancellation, of the shape and dtype of x."""
    pieces = [np.abs(x.real) <= NEAR, x.real > NEAR]
    return np.piecewise(x, pieces, [lambda x: 1 - _erf_near(x), _erfc_far, lambda x: 2 - _erfc_far(-x)])


def _erf_near(x: Array) -> Array:
    """Return erf(x) for |x| <= 0.46875."""
    return x * _quotient(R1, x * x)


def _erfc_far(x: Array) -> Array:
    """Return erfc(x) for x > 0.46875; NaN for NaN."""
    x = np.minimum(x, UNDERFLOW)  # complex numbers are ordered by their real part
    h = np.trunc(256 * x.real) / 256
    gaussian = np.exp(-h * h) * np.exp((h - x) * (h + x))
    scaled = np.piecewise(x, [x.real <= FAR], [lambda x: _quotient(R2, x), _tail])
    result: Array = gaussian * scaled
    return result


def _tail(x: Array) -> Array:
    """Return e^(x^2) erfc(x) for x > 4."""
    z = 1 / (x * x)
    return (1 / math.sqrt(math.pi) - z * _quotient(R3, z)) / x


def _quotient(coefficients: tuple[tuple[float, ...], tuple[float, ...]], t: Array) -> Array:
    """Return the quotient of two polynomials in t, by Horner's rule."""
    numerator, denominator = np.zeros_like(t), np.zeros_like(t)
    for above, below in zip(*coefficients, strict=True):
        numerator, denominator = numerator * t + above, denominator * t + below
    return numerator / denominator
