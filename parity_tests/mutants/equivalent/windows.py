"""Mutants of convolution, pooling and padding that no test can tell from the code, each with its reason."""

from parity_tests.mutants.equivalent.form import Equivalent

WRITTEN = "every entry is written before it is read"
MARK = "a negative number marks what is no entry of the input, whichever it is"

EQUIVALENT: Equivalent = {
    ("manual/nn/pooling/adaptive.py", "_AdaptiveAvgPool.forward"): {
        (
            "y = np.empty((*input.shape[: -self.axes], *counts), input.dtype)",
            "y = -np.empty((*input.shape[:-self.axes], *counts), input.dtype)",
        ): WRITTEN,
    },
    ("manual/nn/pooling/adaptive.py", "_AdaptiveMaxPool.forward"): {
        (
            "indices = np.empty((*samples, *self._counts(shape)), np.int64)",
            "indices = -np.empty((*samples, *self._counts(shape)), np.int64)",
        ): WRITTEN,
    },
    ("manual/nn/pooling/maximum.py", "_MaxPool.forward"): {
        (
            "numbers = pad_constant(flat_indices(shape), ends, -1)",
            "numbers = pad_constant(flat_indices(shape), ends, -2)",
        ): MARK,
        (
            "y = np.zeros((*input.shape[: -self.axes], *counts), input.dtype)",
            "y = -np.zeros((*input.shape[:-self.axes], *counts), input.dtype)",
        ): WRITTEN,
        (
            "y = np.zeros((*input.shape[: -self.axes], *counts), input.dtype)",
            "y = np.ones((*input.shape[: -self.axes], *counts), input.dtype)",
        ): WRITTEN,
        ("indices = np.full(y.shape, -1)", "indices = np.full(y.shape, -2)"): MARK,
    },
}
