"""The error function and its complement, which NumPy does not have.

    erf(x) = 2/sqrt(pi) integral_0^x e^(-t^2) dt,    erfc(x) = 1 - erf(x),    erf'(x) = 2/sqrt(pi) e^(-x^2).

erf is odd and erfc(-x) = 2 - erfc(x), so that only x >= 0 is approximated, in four pieces:

    x <= 0.84375     erf(x) = x + x R1(x^2)                        the Taylor series of erf(x)/x is one in x^2
    x <= 1.25        erf(x) = c + R2(x - 1)                        c = 0.845 is near erf(1), and so R2 is small
    x <= 1/0.35      erfc(x) = e^(-x^2 - 0.5625 + R3(1/x^2)) / x   x e^(x^2) erfc(x) tends to 1/sqrt(pi) = e^-0.572,
    above            erfc(x) = e^(-x^2 - 0.5625 + R4(1/x^2)) / x   by a series in 1/x^2, and so R3 and R4 are small

Each R is the quotient of two polynomials, and no more than a correction of what stands beside it: its rounding hardly
counts. Held against the C library's, erf is within 1 unit in the last place, erfc within 4 down to the smallest
number. In longdouble the accuracy is that of the coefficients, which are written as float64.

e^(-x^2) needs care: rounding x^2 changes it by x^2 eps/2 relative, 300 units at x = 26. With h the number x cut down
to 1/256ths, h^2 is exact, and x^2 = h^2 + (x - h)(x + h), where the second part is below 0.21: e^(-x^2) is the product
of two exponentials that are both exact to rounding.

All is analytic on each piece and branches on the real part, so that a complex step passes through: its imaginary part
is the derivative.

Source: the four quotients are those of Sun Microsystems' fdlibm, s_erf.c (1993); the idea is W. J. Cody's, Rational
Chebyshev approximations for the error function, Math. Comp. 23 (1969) 631-637.
"""

from collections.abc import Callable

import numpy as np

from manual.module import Array

Polynomial = tuple[float, ...]  # its coefficients, the lowest power first
Quotient = tuple[Polynomial, Polynomial]


def _polynomial(*lines: str) -> Polynomial:
    """Return the coefficients that the lines list."""
    return tuple(float(coefficient) for line in lines for coefficient in line.split())


R1: Quotient = (
    _polynomial(
        "1.28379167095512558561e-1 -3.25042107247001499370e-1 -2.84817495755985104766e-2 -5.77027029648944159157e-3",
        "-2.37630166566501626084e-5",
    ),
    _polynomial(
        "1 3.97917223959155352819e-1 6.50222499887672944485e-2 5.08130628187576562776e-3 1.32494738004321644526e-4",
        "-3.96022827877536812320e-6",
    ),
)
C = 8.45062911510467529297e-1
R2: Quotient = (
    _polynomial(
        "-2.36211856075265944077e-3 4.14856118683748331666e-1 -3.72207876035701323847e-1 3.18346619901161753674e-1",
        "-1.10894694282396677476e-1 3.54783043256182359371e-2 -2.16637559486879084300e-3",
    ),
    _polynomial(
        "1 1.06420880400844228286e-1 5.40397917702171048937e-1 7.18286544141962662868e-2 1.26171219808761642112e-1",
        "1.36370839120290507362e-2 1.19844998467991074170e-2",
    ),
)
R3: Quotient = (
    _polynomial(
        "-9.86494403484714822705e-3 -6.93858572707181764372e-1 -1.05586262253232909814e1 -6.23753324503260060396e1",
        "-1.62396669462573470355e2 -1.84605092906711035994e2 -8.12874355063065934246e1 -9.81432934416914548592",
    ),
    _polynomial(
        "1 1.96512716674392571292e1 1.37657754143519042600e2 4.34565877475229228821e2 6.45387271733267880336e2",
        "4.29008140027567833386e2 1.08635005541779435134e2 6.57024977031928170135 -6.04244152148580987438e-2",
    ),
)
R4: Quotient = (
    _polynomial(
        "-9.86494292470009928597e-3 -7.99283237680523006574e-1 -1.77579549177547519889e1 -1.60636384855821916062e2",
        "-6.37566443368389627722e2 -1.02509513161107724954e3 -4.83519191608651397019e2",
    ),
    _polynomial(
        "1 3.03380607434824582924e1 3.25792512996573918826e2 1.53672958608443695994e3 3.19985821950859553908e3",
        "2.55305040643316442583e3 4.74528541206955367215e2 -2.24409524465858183362e1",
    ),
)
UNDERFLOW = 120.0  # e^(-120^2) is 0 in every precision


def erf(x: Array) -> Array:
    """Return the error function of x, of its shape and dtype."""
    sign = np.copysign(1, x.real)
    right = _by_piece(
        sign * x,
        lambda x: x + x * _quotient(R1, x * x),
        lambda x: C + _quotient(R2, x - 1),
        lambda x: 1 - _tail(R3, x),
        lambda x: 1 - _tail(R4, x),
    )
    result: Array = sign * right
    return result


def erfc(x: Array) -> Array:
    """Return 1 - erf(x), without the cancellation for x >> 0, of the shape and dtype of x."""
    sign = np.copysign(1, x.real)
    right = _by_piece(
        sign * x,
        lambda x: 1 - x - x * _quotient(R1, x * x),  # from left to right: 1 - x is exact from x = 1/2 on
        lambda x: 1 - C - _quotient(R2, x - 1),
        lambda x: _tail(R3, x),
        lambda x: _tail(R4, x),
    )
    result: Array = (1 - sign) + sign * right  # right itself, or 2 - right
    return result


def _by_piece(x: Array, *functions: Callable[[Array], Array]) -> Array:
    """Return the function of its piece, for x >= 0; of NaN the last, which hands it on."""
    x = np.minimum(x, UNDERFLOW)  # NumPy orders complex numbers by their real part
    piece = np.digitize(x.real, [0.84375, 1.25, 1 / 0.35])
    result: Array = np.piecewise(x, [piece == 0, piece == 1, piece == 2], functions)
    return result


def _tail(correction: Quotient, x: Array) -> Array:
    """Return erfc(x) for x >= 1.25."""
    h = np.trunc(256 * x.real) / 256
    result: Array = np.exp(-h * h - 0.5625) * np.exp((h - x) * (h + x) + _quotient(correction, 1 / (x * x))) / x
    return result


def _quotient(polynomials: Quotient, t: Array) -> Array:
    """Return the quotient of two polynomials in t."""
    above, below = polynomials
    quotient: Array = _value(above, t) / _value(below, t)
    return quotient


def _value(polynomial: Polynomial, t: Array) -> Array:
    """Return c0 + t (c1 + t (c2 + ...)): Horner's rule."""
    *lower, highest = polynomial
    value = np.full_like(t, highest)
    for coefficient in reversed(lower):
        value = value * t + coefficient
    return value
