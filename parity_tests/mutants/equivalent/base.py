"""Mutants of the contract and of the networks that no test can tell from the code, each with its reason."""

from parity_tests.mutants.equivalent.form import Equivalent

TWO_COLUMNS = "the array has two columns: the slice ends with it"
BOTH_OR_NEITHER = "both neurons were given the same input_grad, so both gradients are None or neither is"
TOKENS = "a token has no gradient, asked for or not"
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
    ("manual/networks/char_rnn.py", "CharRNN.backward"): {
        (
            "def backward(self, grad_output: Array, saved: tuple[Any, Any, Any], *, input_grad: bool = True) -> None:",
            "def backward(self, grad_output: Array, saved: tuple[Any, Any, Any], *, input_grad: bool = False) -> None:",
        ): TOKENS,
    },
    ("manual/networks/gpt.py", "GPT.backward"): {
        (
            "def backward(self, grad_output: Array, saved: Any, *, input_grad: bool = True) -> None:",
            "def backward(self, grad_output: Array, saved: Any, *, input_grad: bool = False) -> None:",
        ): TOKENS,
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
}
