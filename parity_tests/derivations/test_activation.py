"""The activations: the last line of each derivation, proved, and the code held against it."""

import numpy as np
import pytest

from manual import nn
from parity_tests.derive import erf, exp, log, prove, sympy, tanh, where


def sigmoid(x):
    return 1 / (1 + exp(-x))


def softplus(x):
    return log(1 + exp(x))


def test_sigmoid():
    prove(nn.Sigmoid(), sigmoid, lambda g, x: g * sigmoid(x) * (1 - sigmoid(x)), (2, 3))


def test_a_wrong_last_line_is_found():
    with pytest.raises(AssertionError, match="off by"):
        prove(nn.Sigmoid(), lambda x: 1 / (1 + exp(-x)), lambda g, x: g * (1 - x), (2,))


def test_softplus():
    prove(nn.Softplus(), softplus, lambda g, x: g * sigmoid(x), (3,))
    prove(nn.Softplus(2.5), lambda x: softplus(2.5 * x) / 2.5, lambda g, x: g * sigmoid(2.5 * x), (3,))


def test_softplus_beyond_its_threshold():
    prove(
        nn.Softplus(2.0, 0.5),
        lambda x: where(lambda x: 2 * x > 0.5, x, softplus(2 * x) / 2, x),
        lambda g, x: where(lambda x: 2 * x > 0.5, g, g * sigmoid(2 * x), x),
        (4,),
    )


def test_log_sigmoid():
    prove(nn.LogSigmoid(), lambda x: log(sigmoid(x)), lambda g, x: g * sigmoid(-x), (3,))


def test_tanh():
    def y(x):
        return (exp(x) - exp(-x)) / (exp(x) + exp(-x))

    prove(nn.Tanh(), y, lambda g, x: g * (1 - y(x) ** 2), (2, 2))


def test_tanhshrink():
    prove(nn.Tanhshrink(), lambda x: x - tanh(x), lambda g, x: g * tanh(x) ** 2, (3,))


def test_softsign():
    prove(nn.Softsign(), lambda x: x / (1 + abs(x)), lambda g, x: g / (1 + abs(x)) ** 2, (3,))


def test_gelu():
    def cdf(x):
        return (1 + erf(x / sympy.sqrt(2))) / 2

    def pdf(x):
        return exp(-(x**2) / 2) / sympy.sqrt(2 * sympy.pi)

    prove(nn.GELU(), lambda x: x * cdf(x), lambda g, x: g * (cdf(x) + x * pdf(x)), (3,))


def test_gelu_by_tanh():
    a, c = sympy.Rational(44715, 1000000), sympy.sqrt(2 / sympy.pi)

    def s(x):
        return sigmoid(2 * c * (x + a * x**3))

    prove(
        nn.GELU("tanh"),
        lambda x: x * s(x),
        lambda g, x: g * (s(x) + x * s(x) * (1 - s(x)) * 2 * c * (1 + 3 * a * x**2)),
        (1,),
    )


def test_half_of_one_plus_tanh_u_is_the_sigmoid_of_two_u():
    u = sympy.Symbol("u", real=True)
    assert sympy.simplify(((1 + sympy.tanh(u)) / 2).rewrite(sympy.exp) - 1 / (1 + sympy.exp(-2 * u))) == 0


def test_silu():
    def s(x):
        return 1 / (1 + exp(-x))

    prove(nn.SiLU(), lambda x: x * s(x), lambda g, x: g * s(x) * (1 + x * (1 - s(x))), (3,))


def test_mish():
    def t(x):
        return tanh(softplus(x))

    prove(nn.Mish(), lambda x: x * t(x), lambda g, x: g * (t(x) + x * (1 - t(x) ** 2) * sigmoid(x)), (2,))


def test_glu():
    def backward(g, x):
        a, s = x[:, :2], sigmoid(x[:, 2:])
        return np.concatenate([g * s, g * a * s * (1 - s)], axis=1)

    prove(nn.GLU(), lambda x: x[:, :2] * sigmoid(x[:, 2:]), backward, (2, 4))


@pytest.mark.parametrize("module", [nn.Softmax(1), nn.Softmax(-1)], ids=repr)
def test_softmax(module):
    def y(x):
        return exp(x) / exp(x).sum(axis=1, keepdims=True)

    prove(module, y, lambda g, x: y(x) * (g - (g * y(x)).sum(axis=1, keepdims=True)), (2, 3))


def test_softmin():
    def y(x):
        return exp(-x) / exp(-x).sum(axis=0, keepdims=True)

    prove(nn.Softmin(0), y, lambda g, x: -y(x) * (g - (g * y(x)).sum(axis=0, keepdims=True)), (3, 1))


def test_log_softmax():
    def p(x):
        return exp(x) / exp(x).sum(axis=1, keepdims=True)

    prove(nn.LogSoftmax(1), lambda x: log(p(x)), lambda g, x: g - p(x) * g.sum(axis=1, keepdims=True), (2, 3))


def test_softmax_2d():
    def y(x):
        return exp(x) / exp(x).sum(axis=0, keepdims=True)

    prove(nn.Softmax2d(), y, lambda g, x: y(x) * (g - (g * y(x)).sum(axis=0, keepdims=True)), (3, 1, 2))


def by_name(value):
    return repr(value) if isinstance(value, nn.Module) else ""


@pytest.mark.parametrize(
    ("module", "positive", "slope", "negative", "slope_below"),
    [
        (nn.ReLU(), lambda x: x, lambda x: 1 + 0 * x, lambda x: 0 * x, lambda x: 0 * x),
        (nn.LeakyReLU(0.25), lambda x: x, lambda x: 1 + 0 * x, lambda x: x / 4, lambda x: 1 / 4 + 0 * x),
        (nn.ELU(1.5), lambda x: x, lambda x: 1 + 0 * x, lambda x: 1.5 * (exp(x) - 1), lambda x: 1.5 * exp(x)),
        (nn.CELU(1.5), lambda x: x, lambda x: 1 + 0 * x, lambda x: 1.5 * (exp(x / 1.5) - 1), lambda x: exp(x / 1.5)),
        (nn.Threshold(0.0, 7.0), lambda x: x, lambda x: 1 + 0 * x, lambda x: 7 + 0 * x, lambda x: 0 * x),
    ],
    ids=by_name,
)
def test_one_function_above_zero_and_another_below(module, positive, slope, negative, slope_below):
    prove(
        module,
        lambda x: where(lambda x: x > 0, positive(x), negative(x), x),
        lambda g, x: g * where(lambda x: x > 0, slope(x), slope_below(x), x),
        (5,),
    )


def test_selu():
    a, s = sympy.Float("1.6732632423543772848170429916717", 40), sympy.Float("1.0507009873554804934193349852946", 40)
    prove(
        nn.SELU(),
        lambda x: where(lambda x: x > 0, s * x, s * a * (exp(x) - 1), x),
        lambda g, x: where(lambda x: x > 0, s * g, g * s * a * exp(x), x),
        (5,),
    )


@pytest.mark.parametrize(("parameters", "shape"), [(1, (2, 2)), (3, (2, 3)), (2, (1, 2, 2))])
def test_prelu(parameters, shape):
    def slopes(a):
        return a.reshape((1, -1, *[1] * (len(shape) - 2)))

    def backward(g, x, a):
        grad_slope = where(lambda x: x > 0, 0, g * x, x)
        summed = grad_slope.sum(axis=(0, *range(2, len(shape)))) if parameters > 1 else np.array([grad_slope.sum()])
        return where(lambda x: x > 0, g, slopes(a) * g, x), summed

    prove(nn.PReLU(parameters), lambda x, a: where(lambda x: x > 0, x, slopes(a) * x, x), backward, shape)


def between(low, high, inside, below, above, x):
    return where(lambda x: x <= low, below, where(lambda x: x >= high, above, inside, x), x)


@pytest.mark.parametrize(
    ("module", "low", "high", "inside", "below", "above", "slopes"),
    [
        (nn.Hardtanh(-0.5, 0.8), -0.5, 0.8, lambda x: x, -0.5, lambda x: 0.8, (lambda x: 1, 0, 0)),
        (nn.ReLU6(), 0, 6, lambda x: x, 0, lambda x: 6, (lambda x: 1, 0, 0)),
        (
            nn.Hardsigmoid(),
            -3,
            3,
            lambda x: x / 6 + sympy.Rational(1, 2),
            0,
            lambda x: 1,
            (lambda x: 1 / sympy.S(6), 0, 0),
        ),
        (nn.Hardswish(), -3, 3, lambda x: x * (x + 3) / 6, 0, lambda x: x, (lambda x: x / 3 + sympy.S(1) / 2, 0, 1)),
        (nn.Hardshrink(0.4), -0.4, 0.4, lambda x: 0, None, lambda x: x, (lambda x: 0, 1, 1)),
        (nn.Softshrink(0.4), -0.4, 0.4, lambda x: 0, "+", lambda x: x - 0.4, (lambda x: 0, 1, 1)),
    ],
    ids=by_name,
)
def test_three_pieces(module, low, high, inside, below, above, slopes):
    middle, left, right = slopes

    def y(x):
        under = x if below is None else x + 0.4 if below == "+" else below
        return between(low, high, inside(x), under, above(x), x)

    prove(
        module,
        y,
        lambda g, x: g * between(low, high, middle(x), left, right, x),
        (7,),
        draw=lambda random, shape: 3 * abs(high) * random.uniform(-1, 1, shape),
    )


def test_rrelu_in_evaluation():
    prove(
        nn.RReLU(0.25, 0.75).eval(),
        lambda x: where(lambda x: x > 0, x, x / 2, x),
        lambda g, x: where(lambda x: x > 0, g, g / 2, x),
        (5,),
    )
