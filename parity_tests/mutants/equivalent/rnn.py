"""Mutants of the recurrent layers that no test can tell from the code, each with its reason."""

from parity_tests.mutants.equivalent.form import Equivalent

EQUIVALENT: Equivalent = {
    ("manual/nn/rnn/steps.py", "ElmanStep.forward"): {
        (
            'h = tanh(z) if self.nonlinearity == "tanh" else np.where(z.real <= 0, 0, z)',
            'h = tanh(z) if self.nonlinearity == "tanh" else np.where(z.real < 0, 0, z)',
        ): "at 0 both are 0, and the backward asks the output",
        (
            'h = tanh(z) if self.nonlinearity == "tanh" else np.where(z.real <= 0, 0, z)',
            'h = tanh(z) if self.nonlinearity == "tanh" else np.where(z <= 0, 0, z)',
        ): "NumPy orders complex numbers by their real part first, and where that is 0 the step is at relu's corner",
    },
}
