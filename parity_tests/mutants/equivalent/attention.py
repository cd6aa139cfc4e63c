"""Mutants of attention and the transformer that no test can tell from the code, each with its reason."""

from parity_tests.mutants.equivalent.form import Equivalent

DRAWN_ANEW = "the numbers are drawn anew: of the array that is handed in, only shape and dtype are kept"
AS_MANY = "check_inputs has refused another number of values than of keys"
MINUS_ZERO = "-0 is equal to 0, and every sum and product with it"

EQUIVALENT: Equivalent = {
    ("manual/nn/attention/multihead.py", "MultiheadAttention.__init__.uniform"): {
        (
            "parameter = Parameter(np.empty(shape, dtype))",
            "parameter = Parameter(-np.empty(shape, dtype))",
        ): DRAWN_ANEW,
    },
    ("manual/nn/attention/multihead.py", "MultiheadAttention.__init__.normal"): {
        (
            "parameter = Parameter(np.empty(shape, dtype))",
            "parameter = Parameter(-np.empty(shape, dtype))",
        ): DRAWN_ANEW,
    },
    ("manual/nn/attention/multihead.py", "MultiheadAttention.__init__"): {
        (
            "self.in_proj_bias = Parameter(np.zeros(3 * embed_dim, dtype)) if bias else None",
            "self.in_proj_bias = Parameter(-np.zeros(3 * embed_dim, dtype)) if bias else None",
        ): MINUS_ZERO,
    },
    ("manual/nn/attention/multihead.py", "MultiheadAttention.forward"): {
        (
            "(N, L, _), S, dtype = inputs[0].shape, inputs[1].shape[1], query.real.dtype",
            "(N, L, _), S, dtype = inputs[0].shape, inputs[2].shape[1], query.real.dtype",
        ): AS_MANY,
    },
    ("manual/nn/attention/multihead.py", "MultiheadAttention.backward"): {
        (
            "g = np.zeros_like(inputs[0]) if g is None else _samples_first(g, self.batch_first)",
            "g = -np.zeros_like(inputs[0]) if g is None else _samples_first(g, self.batch_first)",
        ): MINUS_ZERO,
        ("S = inputs[1].shape[1]", "S = inputs[2].shape[1]"): AS_MANY,
    },
    ("manual/nn/transformer/parts.py", "attention_block_backward"): {
        (
            "grad_x, grad_key, grad_value = attention.backward((grad_a, None), saved_attention)",
            "grad_x, grad_value, grad_key = attention.backward((grad_a, None), saved_attention)",
        ): "only their sum is used",
    },
}
