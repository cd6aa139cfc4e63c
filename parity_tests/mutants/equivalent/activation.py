"""Mutants of the activations that no test can tell from the code, each with its reason."""

from parity_tests.mutants.equivalent.form import Equivalent

BOTH_FORMULAS = "at 0 the formula for positive x and the one for negative x give the same value and the same derivative"
BOTH_SIDES = "at 0 both formulas give 0, and both have the derivative 1: there is no kink"
LARGE_ENOUGH = "what is held there is 0 or 1, to the last bit, in every precision"
EVEN = "h stands only in h^2 and in (h - x) (h + x), which have one value for h and -h, but for rounding"

EQUIVALENT: Equivalent = {
    ("manual/nn/activation/erf.py", ""): {
        ("UNDERFLOW = 120.0", "UNDERFLOW = 240.0"): LARGE_ENOUGH,
    },
    ("manual/nn/activation/erf.py", "_tail"): {
        ("h = np.trunc(256 * x.real) / 256", "h = -(np.trunc(256 * x.real) / 256)"): EVEN,
        ("h = np.trunc(256 * x.real) / 256", "h = np.trunc(-(256 * x.real)) / 256"): EVEN,
    },
    ("manual/nn/activation/exponential.py", "CELU.function"): {
        (
            "return np.where(x.real > 0, x, self.alpha * np.expm1(x / self.alpha))",
            "return np.where(x.real >= 0, x, self.alpha * np.expm1(x / self.alpha))",
        ): BOTH_SIDES,
        (
            "return np.where(x.real > 0, x, self.alpha * np.expm1(x / self.alpha))",
            "return np.where(x > 0, x, self.alpha * np.expm1(x / self.alpha))",
        ): "NumPy orders complex numbers by their real part first, and where that is 0 " + BOTH_SIDES[5:],
    },
    ("manual/nn/activation/exponential.py", "CELU.gradient"): {
        (
            "return np.where(x <= 0, grad_output * np.exp(x / self.alpha), grad_output)",
            "return np.where(x < 0, grad_output * np.exp(x / self.alpha), grad_output)",
        ): BOTH_SIDES,
    },
    ("manual/nn/activation/gelu.py", ""): {
        ("HELD = 64.0", "HELD = 128.0"): LARGE_ENOUGH,
    },
    ("manual/nn/activation/sigmoid.py", "sigmoid"): {
        ("positive = x.real >= 0", "positive = x.real > 0"): BOTH_FORMULAS,
        (
            "positive = x.real >= 0",
            "positive = x >= 0",
        ): "NumPy orders complex numbers by their real part first, and where that is 0 " + BOTH_FORMULAS,
    },
    ("manual/nn/activation/sigmoid.py", "softplus_parts"): {
        ("positive = x.real >= 0", "positive = x.real > 0"): BOTH_FORMULAS,
        (
            "positive = x.real >= 0",
            "positive = x >= 0",
        ): "NumPy orders complex numbers by their real part first, and where that is 0 " + BOTH_FORMULAS[5:],
    },
    ("manual/nn/activation/sigmoid.py", "softplus"): {
        ("larger, rest = softplus_parts(x)", "rest, larger = softplus_parts(x)"): "they are added",
    },
    ("manual/nn/activation/softmax.py", "softmax"): {
        (
            "e = np.exp(x - _largest(x, dim))",
            "e = -np.exp(x - _largest(x, dim))",
        ): "the sign is that of numerator and denominator: it cancels in the quotient",
    },
}
