"""Mutants that no test can tell from the code, each with its reason.

{(file, function): {(the line before, the line after): reason}}, the lines as `make mutants` prints them. An entry that
no mutant has any more, or that a test tells from the code after all, is an error.
"""

BOTH_FORMULAS = "at 0 the formula for positive x and the one for negative x give the same value and the same derivative"
TWO_COLUMNS = "the array has two columns: the slice ends with it"
BOTH_OR_NEITHER = "both neurons were given the same input_grad, so both gradients are None or neither is"
BOTH_SIDES = "at 0 both formulas give 0, and both have the derivative 1: there is no kink"
LARGE_ENOUGH = "what is held there is 0 or 1, to the last bit, in every precision"
EVEN = "h stands only in h^2 and in (h - x) (h + x), which have one value for h and -h, but for rounding"
SAME_NAMES = "an attribute that exists is set anew: the dictionary that is walked keeps its size and order"

EQUIVALENT: dict[tuple[str, str], dict[tuple[str, str], str]] = {
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
    ("manual/nn/activation/sigmoid.py", "softplus"): {
        ("positive = x.real >= 0", "positive = x.real > 0"): BOTH_FORMULAS,
        (
            "positive = x.real >= 0",
            "positive = x >= 0",
        ): "NumPy orders complex numbers by their real part first, and where that is 0 " + BOTH_FORMULAS[5:],
    },
    ("manual/nn/activation/softmax.py", "softmax"): {
        (
            "e = np.exp(x - _largest(x, dim))",
            "e = -np.exp(x - _largest(x, dim))",
        ): "the sign is that of numerator and denominator: it cancels in the quotient",
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
    ("manual/optim/sgd.py", "SGD.__init__"): {
        (
            "if len({id(parameter) for parameter in parameters}) < len(parameters):",
            "if len({parameter for parameter in parameters}) < len(parameters):",
        ): "a Parameter is equal to itself alone, so that the set of them is the set of their ids",
    },
}
