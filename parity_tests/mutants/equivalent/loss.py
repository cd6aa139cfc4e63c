"""Mutants of the losses that no test can tell from the code, each with its reason."""

from parity_tests.mutants.equivalent.form import Equivalent

EQUIVALENT: Equivalent = {
    ("manual/nn/loss/regression.py", "MSELoss.forward"): {
        (
            "difference = input - target",
            "difference = target - input",
        ): "only its square is used, and a difference turned round has the same one, bit for bit",
    },
    ("manual/nn/loss/binary.py", "BCELoss.backward"): {
        (
            "return spread * (p - t) / at_least((1 - p) * p, float(np.float32(1e-12))), grad_target",
            "return spread * (p - t) / at_least((1 - p) * p, np.float32(1e-12)), grad_target",
        ): "the number is the same; float() is for the types alone",
    },
    ("manual/nn/loss/likelihood.py", "KLDivLoss.forward"): {
        (
            "entries = target * np.log(np.where(target == 0, 1, target)) - target * input",
            "entries = target * np.log(np.where(target == 0, 2, target)) - target * input",
        ): "the logarithm of what stands there is multiplied by target = 0",
    },
    ("manual/nn/loss/margin.py", "MultiLabelMarginLoss.forward"): {
        (
            "return self._reduce((h * np.where(h == 0, 0, z)).sum((-2, -1))), h",
            "return self._reduce((h * np.where(h == 0, 1, z)).sum((-2, -1))), h",
        ): "what stands there is multiplied by h = 0; it only must not be infinite",
        (
            "return self._reduce((h * np.where(h == 0, 0, z)).sum((-2, -1))), h",
            "return self._reduce((h * np.where(h == 0, 0, z)).sum((-1, -2))), h",
        ): "the axes that a sum is over have no order",
    },
}
