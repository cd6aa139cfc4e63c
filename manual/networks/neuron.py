"""One neuron, and three of them wired into a network (Zhou, "Building Blocks: Neurons")."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, Parameter, check_array, check_gradient
from manual.nn.activation import sigmoid


class Neuron(Module):
    """y = f(w . x + b), with f the sigmoid: multiply each input by its weight, add all and the bias, squash.

    Partials, with total = w . x + b and f' = f (1 - f):

        dy/dw_i = x_i f'(total)      dy/db = f'(total)      dy/dx_i = w_i f'(total)

    `weights` is a list of K numbers, `bias` one; x has shape (..., K), y (..., 1).
    """

    def __init__(self, weights: ArrayLike, bias: float, *, dtype: DTypeLike = np.float64) -> None:
        self.weight = Parameter(np.array(weights, dtype=dtype))
        self.bias = Parameter(np.array(bias, dtype=dtype))

    @beyond_the_finite()
    def forward(self, x: Array) -> tuple[Array, tuple[Array, Array]]:
        """Return y (..., 1) and `saved` = (x, y)."""
        check_array(x, "Neuron", self.weight.dtype)
        if x.shape[-1:] != self.weight.shape:
            raise ValueError(f"this neuron has {self.weight.data.size} weights, but the input has shape {x.shape}")
        total = (x * self.weight.data).sum(axis=-1, keepdims=True) + self.bias.data
        y = sigmoid(total)
        return y, (x, y)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: tuple[Array, Array], *, input_grad: bool = True) -> Array | None:
        """Return grad_input (..., K); add to the gradients of weight and bias."""
        x, y = saved
        check_gradient(grad_output, y.shape, y.dtype, "Neuron")
        grad_total = grad_output * y * (1 - y)  # (..., 1)
        self.weight.accumulate((grad_total * x).reshape(-1, x.shape[-1]).sum(axis=0))
        self.bias.accumulate(grad_total.sum())
        return grad_total * self.weight.data if input_grad else None

    def feedforward(self, inputs: ArrayLike) -> float:
        """Return the output for one input as the tutorial calls it: `Neuron([0, 1], 4).feedforward([2, 3])`."""
        return float(self(np.asarray(inputs, dtype=self.weight.dtype)).item())


class NeuronNetwork(Module):
    """y = o1(h1(x), h2(x)): two inputs, a hidden layer of two neurons, one output neuron.

    As in the tutorial all three neurons have the same weights and bias to begin with; they are three
    neurons all the same, each with parameters of its own.
    """

    def __init__(self, weights: ArrayLike = (0, 1), bias: float = 0, *, dtype: DTypeLike = np.float64) -> None:
        self.h1 = Neuron(weights, bias, dtype=dtype)
        self.h2 = Neuron(weights, bias, dtype=dtype)
        self.o1 = Neuron(weights, bias, dtype=dtype)

    def forward(self, x: Array) -> tuple[Array, Any]:
        """Return y (..., 1) and what the three neurons saved; x has shape (..., 2)."""
        out_h1, saved_h1 = self.h1.forward(x)
        out_h2, saved_h2 = self.h2.forward(x)
        # The inputs of o1 are the outputs of h1 and h2.
        out_o1, saved_o1 = self.o1.forward(np.concatenate([out_h1, out_h2], axis=-1))
        return out_o1, (saved_h1, saved_h2, saved_o1)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Any, *, input_grad: bool = True) -> Array | None:
        """Return grad_input (..., 2): both hidden neurons read x, so their gradients add."""
        saved_h1, saved_h2, saved_o1 = saved
        grad_hidden = self.o1.backward(grad_output, saved_o1)
        assert grad_hidden is not None
        grad_x_h1 = self.h1.backward(grad_hidden[..., 0:1], saved_h1, input_grad=input_grad)
        grad_x_h2 = self.h2.backward(grad_hidden[..., 1:2], saved_h2, input_grad=input_grad)
        return None if grad_x_h1 is None or grad_x_h2 is None else grad_x_h1 + grad_x_h2

    def feedforward(self, inputs: ArrayLike) -> float:
        """Return the output for one input, a list of two numbers."""
        return float(self(np.asarray(inputs, dtype=self.h1.weight.dtype)).item())
