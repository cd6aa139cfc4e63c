"""The 2-2-1 network of nine scalars, every partial derivative under the tutorial's name for it.

    x1 --w1-- h1 --w5-- o1        h1 = f(w1 x1 + w2 x2 + b1)
       \\w2 /    /                 h2 = f(w3 x1 + w4 x2 + b2)
       /w3 \\   /w6                o1 = f(w5 h1 + w6 h2 + b3) = ypred
    x2 --w4-- h2                  f(x) = 1 / (1 + e^-x),  f'(x) = f(x) (1 - f(x))

Source: Victor Zhou, "Machine Learning for Beginners: An Introduction to Neural Networks", from "Training
a Neural Network, Part 2" to the complete network.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, Parameter, check_array, check_gradient
from manual.nn.activation import sigmoid

NAMES = ("w1", "w2", "w3", "w4", "w5", "w6", "b1", "b2", "b3")  # in the order in which the tutorial draws them


class TwoTwoOne(Module):
    """ypred = f(w5 f(w1 x1 + w2 x2 + b1) + w6 f(w3 x1 + w4 x2 + b2) + b3).

    Chain rule, for a weight of the hidden layer: w1 acts on the loss only through h1, and h1 only through
    ypred, so

        dL/dw1 = dL/dypred * dypred/dh1 * dh1/dw1,
        dypred/dh1 = w5 f'(sum_o1),    dh1/dw1 = x1 f'(sum_h1),

    and for a weight of the output neuron, dL/dw5 = dL/dypred * dypred/dw5 with dypred/dw5 = h1 f'(sum_o1).
    Each scalar acted on every sample of a batch: its gradient is the sum of the samples' products.

    x has shape (..., 2), ypred (..., 1). The nine parameters w1 ... w6, b1 ... b3 are scalars, drawn from
    the standard normal distribution.
    """

    def __init__(self, *, dtype: DTypeLike = np.float32, generator: np.random.Generator | None = None) -> None:
        generator = np.random.default_rng() if generator is None else generator
        for name in NAMES:
            setattr(self, name, Parameter(np.asarray(generator.standard_normal(), dtype=dtype)))

    def _values(self) -> Any:
        return (getattr(self, name).data for name in NAMES)

    @beyond_the_finite()
    def forward(self, x: Array) -> tuple[Array, dict[str, Array]]:
        """Return ypred (..., 1) and `saved`: the inputs and the three neurons' outputs, by name."""
        w1, w2, w3, w4, w5, w6, b1, b2, b3 = self._values()
        check_array(x, "TwoTwoOne", w1.dtype)
        if x.shape[-1:] != (2,):
            raise ValueError(f"TwoTwoOne takes two inputs, (..., 2), but was given an input of shape {x.shape}")
        x1, x2 = x[..., 0:1], x[..., 1:2]  # (..., 1) each
        h1 = sigmoid(w1 * x1 + w2 * x2 + b1)
        h2 = sigmoid(w3 * x1 + w4 * x2 + b2)
        ypred = sigmoid(w5 * h1 + w6 * h2 + b3)
        return ypred, {"x1": x1, "x2": x2, "h1": h1, "h2": h2, "ypred": ypred}

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: dict[str, Array], *, input_grad: bool = True) -> Array | None:
        """Return grad_input (..., 2); add to the gradients of the nine scalars."""
        _, _, _, _, w5, w6, _, _, _ = self._values()
        x1, x2, h1, h2, ypred = (saved[name] for name in ("x1", "x2", "h1", "h2", "ypred"))
        check_gradient(grad_output, ypred.shape, ypred.dtype, "TwoTwoOne")
        d_L_d_ypred = grad_output

        # Neuron o1: f'(sum_o1) = ypred (1 - ypred)
        d_ypred_d_w5 = h1 * ypred * (1 - ypred)
        d_ypred_d_w6 = h2 * ypred * (1 - ypred)
        d_ypred_d_b3 = ypred * (1 - ypred)
        d_ypred_d_h1 = w5 * ypred * (1 - ypred)
        d_ypred_d_h2 = w6 * ypred * (1 - ypred)

        # Neuron h1: f'(sum_h1) = h1 (1 - h1)
        d_h1_d_w1 = x1 * h1 * (1 - h1)
        d_h1_d_w2 = x2 * h1 * (1 - h1)
        d_h1_d_b1 = h1 * (1 - h1)

        # Neuron h2: f'(sum_h2) = h2 (1 - h2)
        d_h2_d_w3 = x1 * h2 * (1 - h2)
        d_h2_d_w4 = x2 * h2 * (1 - h2)
        d_h2_d_b2 = h2 * (1 - h2)

        # The chain rule, one product a parameter
        d_L_d_w1 = d_L_d_ypred * d_ypred_d_h1 * d_h1_d_w1
        d_L_d_w2 = d_L_d_ypred * d_ypred_d_h1 * d_h1_d_w2
        d_L_d_w3 = d_L_d_ypred * d_ypred_d_h2 * d_h2_d_w3
        d_L_d_w4 = d_L_d_ypred * d_ypred_d_h2 * d_h2_d_w4
        d_L_d_w5 = d_L_d_ypred * d_ypred_d_w5
        d_L_d_w6 = d_L_d_ypred * d_ypred_d_w6
        d_L_d_b1 = d_L_d_ypred * d_ypred_d_h1 * d_h1_d_b1
        d_L_d_b2 = d_L_d_ypred * d_ypred_d_h2 * d_h2_d_b2
        d_L_d_b3 = d_L_d_ypred * d_ypred_d_b3

        # All nine are known before anything moves; each sums over the batch
        by_sample = (d_L_d_w1, d_L_d_w2, d_L_d_w3, d_L_d_w4, d_L_d_w5, d_L_d_w6, d_L_d_b1, d_L_d_b2, d_L_d_b3)
        for name, gradient in zip(NAMES, by_sample, strict=True):
            getattr(self, name).accumulate(gradient.sum())

        return (
            self._input_gradient(d_L_d_ypred * d_ypred_d_h1, d_L_d_ypred * d_ypred_d_h2, h1, h2) if input_grad else None
        )

    def _input_gradient(self, d_L_d_h1: Array, d_L_d_h2: Array, h1: Array, h2: Array) -> Array:
        """dL/dx1 = dL/dh1 dh1/dx1 + dL/dh2 dh2/dx1: each input feeds both hidden neurons."""
        w1, w2, w3, w4, *_ = self._values()
        d_L_d_sum_h1 = d_L_d_h1 * h1 * (1 - h1)
        d_L_d_sum_h2 = d_L_d_h2 * h2 * (1 - h2)
        d_L_d_x1 = d_L_d_sum_h1 * w1 + d_L_d_sum_h2 * w3
        d_L_d_x2 = d_L_d_sum_h1 * w2 + d_L_d_sum_h2 * w4
        return np.concatenate([d_L_d_x1, d_L_d_x2], axis=-1)

    def feedforward(self, inputs: ArrayLike) -> float:
        """Return ypred for one input, a list of two numbers."""
        return float(self(np.asarray(inputs, dtype=self.w1.dtype)).item())  # type: ignore[attr-defined]
