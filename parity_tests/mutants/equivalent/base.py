"""Mutants of the contract and of the tutorials' networks that no test can tell from the code, each with its reason."""

from parity_tests.mutants.equivalent.form import Equivalent

TWO_COLUMNS = "the array has two columns: the slice ends with it"
DRAWN_ANEW = "the numbers are drawn anew: of the array that is handed in, only shape and dtype are kept"
AS_MANY = "check_inputs has refused another number of values than of keys"
MINUS_ZERO = "-0 is equal to 0, and every sum and product with it"
BOTH_OR_NEITHER = "both neurons were given the same input_grad, so both gradients are None or neither is"
SAME_NAMES = "an attribute that exists is set anew: the dictionary that is walked keeps its size and order"

EQUIVALENT: Equivalent = {
    ("manual/module.py", "Module.load_state_dict"): {
        (
            "for name, buffer in list(self.named_buffers()):",
            "for name, buffer in self.named_buffers():",
        ): SAME_NAMES,
    },
    ("manual/module.py", "Module.to"): {
        (
            "for name, buffer in list(self.named_buffers()):",
            "for name, buffer in self.named_buffers():",
        ): SAME_NAMES,
    },
    ("manual/networks/neuron.py", "NeuronNetwork.backward"): {
        (
            "grad_x_h2 = self.h2.backward(grad_hidden[..., 1:2], saved_h2, input_grad=input_grad)",
            "grad_x_h2 = self.h2.backward(grad_hidden[..., 1:], saved_h2, input_grad=input_grad)",
        ): TWO_COLUMNS,
        (
            "grad_x_h2 = self.h2.backward(grad_hidden[..., 1:2], saved_h2, input_grad=input_grad)",
            "grad_x_h2 = self.h2.backward(grad_hidden[..., 1:3], saved_h2, input_grad=input_grad)",
        ): TWO_COLUMNS,
        (
            "return None if grad_x_h1 is None or grad_x_h2 is None else grad_x_h1 + grad_x_h2",
            "return None if grad_x_h1 is None and grad_x_h2 is None else grad_x_h1 + grad_x_h2",
        ): BOTH_OR_NEITHER,
        (
            "return None if grad_x_h1 is None or grad_x_h2 is None else grad_x_h1 + grad_x_h2",
            "return None if grad_x_h2 is None else grad_x_h1 + grad_x_h2",
        ): BOTH_OR_NEITHER,
        (
            "return None if grad_x_h1 is None or grad_x_h2 is None else grad_x_h1 + grad_x_h2",
            "return None if grad_x_h1 is None else grad_x_h1 + grad_x_h2",
        ): BOTH_OR_NEITHER,
    },
    ("manual/networks/two_two_one.py", "TwoTwoOne.forward"): {
        ("x1, x2 = x[..., 0:1], x[..., 1:2]", "x1, x2 = x[..., 0:1], x[..., 1:]"): TWO_COLUMNS,
        ("x1, x2 = x[..., 0:1], x[..., 1:2]", "x1, x2 = x[..., 0:1], x[..., 1:3]"): TWO_COLUMNS,
    },
    ("manual/nn/activation/sigmoid.py", "sigmoid"): {
        ("positive = x.real >= 0", "positive = x.real > 0"): BOTH_FORMULAS,
        (
            "positive = x.real >= 0",
            "positive = x >= 0",
        ): "NumPy orders complex numbers by their real part first, and where that is 0 " + BOTH_FORMULAS,
    },
    ("manual/nn/attention/masks.py", "dropout_mask"): {
        (
            "return kept.astype(dtype) / (1 - p if p < 1 else 1)",
            "return kept.astype(dtype) / (1 - p if p < 1 else 2)",
        ): "where p is 1 nothing is kept, and 0 / 2 is 0 as well",
    },
    ("manual/nn/attention/multihead.py", "MultiheadAttention.__init__.uniform"): {
        (
            "return xavier_uniform_(Parameter(np.empty(shape, dtype)), generator=self.generator)",
            "return xavier_uniform_(Parameter(-np.empty(shape, dtype)), generator=self.generator)",
        ): DRAWN_ANEW,
    },
    ("manual/nn/attention/multihead.py", "MultiheadAttention.__init__.normal"): {
        (
            "return xavier_normal_(Parameter(np.empty(shape, dtype)), generator=self.generator)",
            "return xavier_normal_(Parameter(-np.empty(shape, dtype)), generator=self.generator)",
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
    ("manual/optim/sgd.py", "SGD.__init__"): {
        (
            "if len({id(parameter) for parameter in parameters}) < len(parameters):",
            "if len({parameter for parameter in parameters}) < len(parameters):",
        ): "a Parameter is equal to itself alone, so that the set of them is the set of their ids",
    },
}
