"""Mutants of layers, norms, containers and initial values that no test can tell from the code, each with its reason."""

from parity_tests.mutants.equivalent.form import Equivalent

UNSIGNED = "an integer 0 has no sign"
SQUARED = "only its square is used, and a difference turned round has the same one, bit for bit"

EQUIVALENT: Equivalent = {
    ("manual/nn/init.py", "trunc_normal_.draw"): {
        (
            "z = np.empty(math.prod(shape))",
            "z = -np.empty(math.prod(shape))",
        ): "every entry is written to before it is read",
    },
    ("manual/nn/init.py", "orthogonal_.draw"): {
        (
            "q = q * np.sign(np.diag(r))",
            "q = q / np.sign(np.diag(r))",
        ): "the signs are 1 and -1: a normal matrix has a diagonal of R without zeros",
    },
    ("manual/nn/batchnorm.py", "NormBase.__init__"): {
        (
            'self.register_buffer("num_batches_tracked", np.array(0) if track_running_stats else None)',
            'self.register_buffer("num_batches_tracked", -np.array(0) if track_running_stats else None)',
        ): UNSIGNED,
    },
    ("manual/nn/batchnorm.py", "NormBase.reset_running_stats"): {
        (
            "self.num_batches_tracked = np.zeros_like(self.num_batches_tracked)",
            "self.num_batches_tracked = -np.zeros_like(self.num_batches_tracked)",
        ): UNSIGNED,
    },
    ("manual/nn/normalization/standardize.py", "moments"): {
        ("c = x - mean", "c = mean - x"): SQUARED,
    },
}
