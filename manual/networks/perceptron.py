"""The perceptron: an input layer and one output unit, nothing between (Shukla and Iriondo, part I)."""

import numpy as np
from numpy.typing import DTypeLike

from manual.module import Array, check_gradient
from manual.nn import Linear, Sequential, Sigmoid
from manual.nn.activation import sigmoid


class DoubleSigmoid(Sigmoid):
    """The sigmoid with the derivative that part I's code uses: taken at the output instead of the input.

    Its `sigmoid_der(x) = s(x) (1 - s(x))` is right, but it is called with the activation a = s(z), so that

        published: grad_input = grad_output * s(a) (1 - s(a))     right: grad_input = grad_output * a (1 - a).

    s(a) lies in [0.5, 0.73], so the factor stays within [0.19, 0.25] where the right one falls to 0: the
    mistake hides saturation. For one layer it is the gradient of another, unstated loss; with a hidden layer
    it is the gradient of nothing, which is why only the perceptron can have it.
    """

    def backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> Array | None:
        """Return what the tutorial takes for grad_input."""
        a = saved
        check_gradient(grad_output, a.shape, a.dtype, "DoubleSigmoid")
        if not input_grad:
            return None
        grad_input: Array = grad_output * sigmoid(a) * (1 - sigmoid(a))
        return grad_input


class Perceptron(Sequential):
    """out = f(x W^T + b), one output unit.

    Chain rule, as part I has it: dE/dw = dE/dout * dout/din * din/dw with in = x W^T + b, dout/din =
    out (1 - out) and din/dw = x; the bias is a weight whose input is always 1.

    `in_features` inputs, (N, in_features) -> (N, 1); `bias=False` leaves b out. `published=True` takes
    dout/din as the tutorial's code does, see DoubleSigmoid. `logits=True` leaves the sigmoid to the loss.
    """

    def __init__(
        self,
        in_features: int,
        bias: bool = True,
        *,
        published: bool = False,
        logits: bool = False,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        if published and logits:
            raise ValueError("the published rule is a sigmoid's; with logits=True there is none: choose one")
        linear = Linear(in_features, 1, bias, dtype=dtype, generator=generator)
        if logits:
            super().__init__(linear)
        else:
            super().__init__(linear, DoubleSigmoid() if published else Sigmoid())
