"""Mutants of the losses that no test can tell from the code, each with its reason."""

from parity_tests.mutants.equivalent.form import Equivalent

BOTH_FORMULAS = "at 0 the formula for positive x and the one for negative x give the same value and the same derivative"

EQUIVALENT: Equivalent = {
    ("manual/nn/loss.py", "MSELoss.forward"): {
        (
            "difference = input - target",
            "difference = target - input",
        ): "only its square is used, and a difference turned round has the same one, bit for bit",
    },
    ("manual/nn/loss.py", "BCELoss.backward"): {
        (
            "return spread * (p - t) / _at_least((1 - p) * p, float(np.float32(1e-12))), grad_target",
            "return spread * (p - t) / _at_least((1 - p) * p, np.float32(1e-12)), grad_target",
        ): "the number is the same; float() is for the types alone",
    },
    ("manual/nn/loss.py", "BCEWithLogitsLoss.forward"): {
        ("positive = input.real >= 0", "positive = input.real > 0"): BOTH_FORMULAS,
        (
            "positive = input.real >= 0",
            "positive = input >= 0",
        ): "NumPy orders complex numbers by their real part first, and where that is 0 " + BOTH_FORMULAS,
    },
}
