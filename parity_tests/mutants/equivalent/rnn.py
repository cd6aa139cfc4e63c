"""Mutants of the recurrent layers that no test can tell from the code, each with its reason."""

from parity_tests.mutants.equivalent.form import Equivalent

EQUIVALENT: Equivalent = {
    ("manual/nn/rnn/base.py", "RNNBase.backward"): {
        (
            "grad = np.concatenate([np.zeros_like(one.before) for one in layers[-1].directions], axis=-1)",
            "grad = -np.concatenate([np.zeros_like(one.before) for one in layers[-1].directions], axis=-1)",
        ): "zeros of either sign add nothing to what is carried",
        (
            "grad = np.concatenate([np.zeros_like(one.before) for one in layers[-1].directions], axis=-1)",
            "grad = np.concatenate([np.zeros_like(one.before) for one in layers[0].directions], axis=-1)",
        ): "only the shape is taken, which all layers share",
    },
    ("manual/nn/rnn/cells.py", "RNNCellBase.__init__"): {
        (
            "bound = 1 / np.sqrt(hidden_size) if hidden_size else 0.0",
            "bound = 1 / np.sqrt(hidden_size) if hidden_size else 1.0",
        ): "without units no number is drawn",
    },
    ("manual/nn/rnn/cells.py", "RNNCellBase.backward"): {
        (
            "grad_new = tuple(0.0 if g is None else g for g in parts(grad_output, self.step.states))",
            "grad_new = (0.0 if g is None else g for g in parts(grad_output, self.step.states))",
        ): "the step takes it apart once, a tuple or not",
    },
}
