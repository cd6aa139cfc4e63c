"""Mutants of the layers beyond torch's that no test can tell from the code, each with its reason."""

from parity_tests.mutants.equivalent.form import Equivalent

SIGN_CANCELS = "numerator and denominator of the softmax change their sign together"
ORDER_OF_COMPLEX = "NumPy orders complex numbers by their real part first, and a shift of all scores cancels"
MINUS_ZERO = "zero is what is added to, and -0 + x is x"
FIRST_TILE = "the first tile multiplies what stands there by e^(m - m') = 0"
OVERWRITTEN = "every row that counts finds its target in one chunk, and the loss of all others is set to 0"
LAST_AXIS = "the last axis, which is NumPy's default, is axis 1 of two"
IMAGINARY_ZERO = "a maximum of real parts is stored in a complex number whose imaginary part is 0"

EQUIVALENT: Equivalent = {
    ("manual/nn/tiled_attention.py", "NaiveAttention.forward"): {
        (
            "p = np.exp(s - s.real.max(axis=-1, keepdims=True))",
            "p = -np.exp(s - s.real.max(axis=-1, keepdims=True))",
        ): SIGN_CANCELS,
        (
            "p = np.exp(s - s.real.max(axis=-1, keepdims=True))",
            "p = np.exp(s - s.max(axis=-1, keepdims=True))",
        ): ORDER_OF_COMPLEX,
    },
    ("manual/nn/tiled_attention.py", "TiledAttention.forward"): {
        (
            "m, l = np.full(row, -np.inf, query.real.dtype), np.zeros(row, query.dtype)",
            "m, l = np.full(row, -np.inf, query.dtype), np.zeros(row, query.dtype)",
        ): IMAGINARY_ZERO,
        (
            "m, l = np.full(row, -np.inf, query.real.dtype), np.zeros(row, query.dtype)",
            "m, l = np.full(row, -np.inf, query.real.dtype), (-np.zeros(row, query.dtype))",
        ): FIRST_TILE,
        (
            "m, l = np.full(row, -np.inf, query.real.dtype), np.zeros(row, query.dtype)",
            "m, l = np.full(row, -np.inf, query.real.dtype), np.ones(row, query.dtype)",
        ): FIRST_TILE,
        (
            "o = np.zeros((*query.shape[:-1], value.shape[-1]), query.dtype)",
            "o = -np.zeros((*query.shape[:-1], value.shape[-1]), query.dtype)",
        ): FIRST_TILE,
        (
            "o = np.zeros((*query.shape[:-1], value.shape[-1]), query.dtype)",
            "o = np.ones((*query.shape[:-1], value.shape[-1]), query.dtype)",
        ): FIRST_TILE,
    },
    ("manual/nn/tiled_attention.py", "TiledAttention.backward"): {
        (
            "grad_key, grad_value = np.zeros_like(key), np.zeros_like(value)",
            "grad_key, grad_value = np.zeros_like(key), (-np.zeros_like(value))",
        ): MINUS_ZERO,
        (
            "grad_key, grad_value = np.zeros_like(key), np.zeros_like(value)",
            "grad_key, grad_value = (-np.zeros_like(key)), np.zeros_like(value)",
        ): MINUS_ZERO,
        (
            "grad_query = np.zeros_like(query) if input_grad else None",
            "grad_query = -np.zeros_like(query) if input_grad else None",
        ): MINUS_ZERO,
    },
    ("manual/nn/fused_cross_entropy.py", "LinearCrossEntropy.forward"): {
        (
            "of_target, total = np.zeros_like(l), np.zeros_like(l)",
            "of_target, total = np.zeros_like(l), (-np.zeros_like(l))",
        ): MINUS_ZERO,
        (
            "of_target, total = np.zeros_like(l), np.zeros_like(l)",
            "of_target, total = np.ones_like(l), np.zeros_like(l)",
        ): OVERWRITTEN,
        (
            "of_target, total = np.zeros_like(l), np.zeros_like(l)",
            "of_target, total = (-np.zeros_like(l)), np.zeros_like(l)",
        ): OVERWRITTEN,
        (
            "l = np.zeros(y.shape, x.dtype)",
            "l = np.ones(y.shape, x.dtype)",
        ): FIRST_TILE,
        (
            "l = np.zeros(y.shape, x.dtype)",
            "l = -np.zeros(y.shape, x.dtype)",
        ): FIRST_TILE,
        (
            "m = np.full(y.shape, -np.inf, x.real.dtype)",
            "m = np.full(y.shape, -np.inf, x.dtype)",
        ): IMAGINARY_ZERO,
    },
    ("manual/nn/mixture_of_experts.py", "MixtureOfExperts.forward"): {
        (
            "balance = p.shape[1] * (self._load(chosen, p) * p.sum(axis=0)).sum() / len(p)",
            "balance = p.shape[1] * (self._load(chosen, p) * p).sum() / len(p)",
        ): "the sum over the tokens is taken with that over the experts",
        (
            "y, saved_experts = np.zeros_like(rows), []",
            "y, saved_experts = (-np.zeros_like(rows)), []",
        ): MINUS_ZERO,
        (
            "a = np.take_along_axis(p, chosen, axis=1)",
            "a = np.take_along_axis(p, chosen)",
        ): LAST_AXIS,
        (
            "e = np.exp(z - z.real.max(axis=1, keepdims=True))",
            "e = -np.exp(z - z.real.max(axis=1, keepdims=True))",
        ): SIGN_CANCELS,
        (
            "e = np.exp(z - z.real.max(axis=1, keepdims=True))",
            "e = np.exp(z - z.max(axis=1, keepdims=True))",
        ): ORDER_OF_COMPLEX,
        (
            'chosen = np.argsort(-z.real, kind="stable")[:, : self.top_k]',
            'chosen = np.argsort(-z, kind="stable")[:, : self.top_k]',
        ): ORDER_OF_COMPLEX,
    },
    ("manual/nn/fused_cross_entropy.py", "LinearCrossEntropy.backward"): {
        (
            "grad_weight, grad_bias = np.zeros_like(self.weight.data), np.zeros(self.num_classes, x.dtype)",
            "grad_weight, grad_bias = (-np.zeros_like(self.weight.data)), np.zeros(self.num_classes, x.dtype)",
        ): MINUS_ZERO,
        (
            "grad_weight, grad_bias = np.zeros_like(self.weight.data), np.zeros(self.num_classes, x.dtype)",
            "grad_weight, grad_bias = np.zeros_like(self.weight.data), (-np.zeros(self.num_classes, x.dtype))",
        ): MINUS_ZERO,
        (
            "grad_rows = np.zeros_like(rows) if input_grad else None",
            "grad_rows = -np.zeros_like(rows) if input_grad else None",
        ): MINUS_ZERO,
    },
    ("manual/nn/mixture_of_experts.py", "MixtureOfExperts.backward"): {
        (
            "grad_rows, grad_a, grad_p = np.zeros_like(rows), np.zeros_like(a), np.zeros_like(p)",
            "grad_rows, grad_a, grad_p = np.zeros_like(rows), np.zeros_like(a), (-np.zeros_like(p))",
        ): MINUS_ZERO,
        (
            "grad_rows, grad_a, grad_p = np.zeros_like(rows), np.zeros_like(a), np.zeros_like(p)",
            "grad_rows, grad_a, grad_p = np.zeros_like(rows), (-np.zeros_like(a)), np.zeros_like(p)",
        ): MINUS_ZERO,
        (
            "grad_rows, grad_a, grad_p = np.zeros_like(rows), np.zeros_like(a), np.zeros_like(p)",
            "grad_rows, grad_a, grad_p = (-np.zeros_like(rows)), np.zeros_like(a), np.zeros_like(p)",
        ): MINUS_ZERO,
        (
            "total = np.take_along_axis(p, chosen, axis=1).sum(axis=1, keepdims=True)",
            "total = np.take_along_axis(p, chosen).sum(axis=1, keepdims=True)",
        ): LAST_AXIS,
    },
    ("manual/nn/tied.py", "TiedEmbedding.backward"): {
        (
            "grad_hidden = np.zeros_like(saved[1]) if grad_z is None else self.decode_backward(grad_z, saved[1])",
            "grad_hidden = -np.zeros_like(saved[1]) if grad_z is None else self.decode_backward(grad_z, saved[1])",
        ): "-0 is 0",
    },
    ("manual/nn/tied.py", "TiedEmbedding.encode_backward"): {
        (
            "grad = np.zeros_like(self.weight.data)",
            "grad = -np.zeros_like(self.weight.data)",
        ): MINUS_ZERO,
    },
}
