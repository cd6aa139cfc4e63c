"""The SwiGLU feed-forward: two projections, one of them the other's gate, and a third back."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module
from manual.nn.activation import sigmoid
from manual.nn.linear import Linear

Saved = tuple[Array, Array, Array]


class SwiGLU(Module):
    """y = (silu(x Wg^T) * (x Wu^T)) Wd^T, with silu(a) = a sigmoid(a).

    `gate_proj.weight` Wg and `up_proj.weight` Wu have shape (H, D), `down_proj.weight` Wd (O, H), as in Llama's
    checkpoints; D = in_features, H = hidden_features, O = out_features (D where it is not given). No biases. Step by
    step, for R rows of x, with * entry by entry:

        a = x Wg^T    (R, H)        s = silu(a)    (R, H)        y = h Wd^T    (R, O)
        b = x Wu^T    (R, H)        h = s * b      (R, H)

    Unlike relu's, the gate depends on x in its own right, so the product rule gives both factors a gradient. With
    p = sigmoid(a), dp/da = p (1 - p):

        dh/db = s
        dh/da = b ds/da,      ds/da = p + a p (1 - p) = p + s (1 - p)

    The last form needs no more than p and s. With g = dL/dy:

        grad_h  = g Wd                              dL/dWd = g^T h
        grad_b  = grad_h * s                        dL/dWu = grad_b^T x
        grad_a  = grad_h * b * (p + s (1 - p))      dL/dWg = grad_a^T x
        dL/dx   = grad_a Wg + grad_b Wu

    x fed two projections, so its gradient has two terms. Both row-gradients come out of one pass over (a, b, grad_h):
    a kernel reads three numbers and writes three (grad_a, grad_b and h, which dL/dWd needs).

    Saved are x, a and b: R (D + 2 H) numbers. Written plainly, autograd keeps a, s, b and h, R (D + 4 H). Here s and h
    are computed again from a and b in the backward: one sigmoid and a few products an entry, some 10 R H flops beside
    the 12 R D H of the backward's six matrix products (2 R D H each, with O = D); forward has three, 6 R D H. With
    H = 8 D / 3, as in Llama, the three weights have as many entries as the two of a plain feed-forward with H = 4 D.

    Stable for any a: sigmoid takes no exponential above 1.

    x has shape (..., D), y (..., O). The initial values are Linear's, drawn from `generator` in the order gate, up,
    down.

    Source: Shazeer, "GLU Variants Improve Transformer", 2020, equation 6; Touvron et al., "LLaMA: Open and Efficient
    Foundation Language Models", 2023, section 2.2.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        out_features: int | None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        out_features = in_features if out_features is None else out_features
        self.gate_proj = Linear(in_features, hidden_features, bias=False, dtype=dtype, generator=generator)
        self.up_proj = Linear(in_features, hidden_features, bias=False, dtype=dtype, generator=generator)
        self.down_proj = Linear(hidden_features, out_features, bias=False, dtype=dtype, generator=generator)

    @beyond_the_finite()
    def forward(self, x: Array) -> tuple[Array, Saved]:
        """Return y (..., O) and `saved` = (x, a, b)."""
        a, _ = self.gate_proj.forward(x)  # (..., H)
        b, _ = self.up_proj.forward(x)  # (..., H)
        s = a * sigmoid(a)
        y, _ = self.down_proj.forward(s * b)  # (..., O)
        return y, (x, a, b)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input (..., D); add to the gradients of the three weights."""
        x, a, b = saved
        p = sigmoid(a)
        s = a * p
        grad_h = self.down_proj.backward(grad_output, s * b)  # what Linear saves is its input: h, made anew
        grad_b = grad_h * s
        grad_a = grad_h * b * (p + s * (1 - p))
        from_up: Any = self.up_proj.backward(grad_b, x, input_grad=input_grad)
        from_gate: Any = self.gate_proj.backward(grad_a, x, input_grad=input_grad)
        return from_gate + from_up if input_grad else None
