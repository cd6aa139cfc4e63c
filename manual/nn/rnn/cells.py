"""Cells: one step of a recurrent network, for loops over time that are written by hand."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.arguments import whole_number
from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, Parameter, check_array, check_gradient, unsupported
from manual.nn.rnn.recurrence import accumulate_affine, affine
from manual.nn.rnn.steps import ElmanStep, GRUStep, LSTMStep, Step, check_state_gradient, initial_state, joined, parts

Saved = tuple[Array, Array, Any, bool]


class RNNCellBase(Module):
    """What the cells share: two affine maps before the step, and their backward after the step's.

        a = W_ih x + b_ih       p = W_hh h + b_hh       state' = step(a, p, state)

    With grad_a and grad_p from the step's backward (`manual/nn/rnn/steps.py`), n the sample, j the entry of a or p:

        grad x = W_ih^T grad_a      grad W_ih[j,i] = sum_n grad_a[n,j] x[n,i]      grad b_ih = sum_n grad_a
        grad h = W_hh^T grad_p      grad W_hh[j,k] = sum_n grad_p[n,j] h[n,k]      grad b_hh = sum_n grad_p

    and grad h has also what the step lets past p. h is the state *before* the step. All parameters start uniform in
    +-1/sqrt(hidden_size), drawn from `generator` in the order of the state dict.
    """

    def __init__(
        self,
        step: Step,
        input_size: int,
        hidden_size: int,
        bias: bool,
        device: None,
        dtype: DTypeLike,
        generator: np.random.Generator | None,
    ) -> None:
        who = type(self).__name__
        unsupported(who, device=device)
        self.input_size = input_size = whole_number(who, 0, input_size=input_size)
        self.hidden_size = hidden_size = whole_number(who, 0, hidden_size=hidden_size)
        self.bias, self.step = bias, step
        generator = np.random.default_rng() if generator is None else generator
        bound = 1 / np.sqrt(hidden_size) if hidden_size else 0.0

        def drawn(*shape: int) -> Parameter:
            return Parameter(generator.uniform(-bound, bound, shape).astype(dtype))

        width = step.gates * hidden_size
        self.weight_ih, self.weight_hh = drawn(width, input_size), drawn(width, hidden_size)
        self.bias_ih = drawn(width) if bias else None
        self.bias_hh = drawn(width) if bias else None

    def extra_repr(self) -> str:
        """Return the sizes, and what is not as by default."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")

    @beyond_the_finite()
    def forward(self, input: Array, hx: Any = None) -> tuple[Any, Saved]:
        """Return the new state and `saved`, of an input (N, input_size) or (input_size,) and the old state hx.

        hx is None for zeros. Raises ValueError for other shapes and TypeError for another dtype.
        """
        who = type(self).__name__
        check_array(input, who, self.weight_ih.dtype)
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"{who} takes (N, {self.input_size}) or ({self.input_size},), "
                f"but was given an input of shape {input.shape}"
            )
        shape = (*input.shape[:-1], self.hidden_size)
        state = initial_state(who, self.step, hx, (shape, shape), input.dtype)
        a = affine(input, self.weight_ih, self.bias_ih)  # (N, G)
        p = affine(state[0], self.weight_hh, self.bias_hh)  # (N, G)
        new, saved_step = self.step.forward(a, p, state)
        return joined(new), (input, state[0], saved_step, hx is not None)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> tuple[Array | None, Any]:
        """Return (grad_input, grad_hx), None for an hx that was not given; add to the parameters' gradients."""
        x, h, saved_step, given = saved
        self._check_gradient(grad_output, h)
        grad_new = tuple(0.0 if g is None else g for g in parts(grad_output, self.step.states))
        grad_a, grad_p, past = self.step.backward(grad_new, saved_step)
        accumulate_affine(grad_a, x, self.weight_ih, self.bias_ih)
        accumulate_affine(grad_p, h, self.weight_hh, self.bias_hh)
        grad_hx = joined((grad_p @ self.weight_hh.data + past[0], *past[1:]))
        return (grad_a @ self.weight_ih.data if input_grad else None), (grad_hx if given else None)

    def _check_gradient(self, grad_output: Any, h: Array) -> None:
        """Raise TypeError or ValueError unless it is a gradient for the new state, which is like h, of a pair each."""
        who = type(self).__name__
        if self.step.states == 1:
            check_gradient(grad_output, h.shape, h.dtype, who)
        else:
            check_state_gradient(who, grad_output, (h.shape, h.shape), h.dtype)


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or with relu in the place of tanh: Elman's network, one step.

    `h, saved = cell.forward(x, h)`: x (N, input_size), h and h' (N, hidden_size), or all without N; without h, zeros.
    With z the argument of tanh and G = grad_h' (1 - h'^2) = grad_z (for relu, grad_h' where h' > 0):

        grad x = G W_ih    grad h = G W_hh    grad W_ih = G^T x    grad W_hh = G^T h    grad b_ih = grad b_hh = sum_n G

    `weight_ih` is (hidden_size, input_size), `weight_hh` (hidden_size, hidden_size), the biases (hidden_size,).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNCell.html
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(ElmanStep(nonlinearity), input_size, hidden_size, bias, device, dtype, generator)
        self.nonlinearity = nonlinearity

    def extra_repr(self) -> str:
        """Return the sizes, and what is not as by default."""
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(RNNCellBase):
    """One step of an LSTM: `(h, c), saved = cell.forward(x, (h, c))`.

        i, f, o = sigmoid(W_i* x + b_i* + W_h* h + b_h*)       g = tanh(W_ig x + b_ig + W_hg h + b_hg)
        c' = f c + i g                                         h' = o tanh(c')

    with a star for the gate's own letter. x is (N, input_size), h and c (N, hidden_size), or all without N; without
    (h, c), zeros. The gates' gradients are derived in `LSTMStep`, those of the products in `RNNCellBase`. `backward`
    takes (grad_h', grad_c'), None for one that is not used, and returns (grad_x, (grad_h, grad_c)).

    `weight_ih` is (4 hidden_size, input_size), `weight_hh` (4 hidden_size, hidden_size), the biases (4 hidden_size,):
    the rows of i, f, g and o, in this order.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(LSTMStep(), input_size, hidden_size, bias, device, dtype, generator)


class GRUCell(RNNCellBase):
    """One step of a GRU: `h, saved = cell.forward(x, h)`.

        r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)        z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r (W_hn h + b_hn))       h' = (1 - z) n + z h

    x is (N, input_size), h and h' (N, hidden_size), or both without N; without h, zeros. The gates' gradients, how
    this differs from the paper's GRU and why b_hn has a gradient of its own: `GRUStep`. The products': `RNNCellBase`.

    `weight_ih` is (3 hidden_size, input_size), `weight_hh` (3 hidden_size, hidden_size), the biases (3 hidden_size,):
    the rows of r, z and n, in this order.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GRUCell.html
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(GRUStep(), input_size, hidden_size, bias, device, dtype, generator)
