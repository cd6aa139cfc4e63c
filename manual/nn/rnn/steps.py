"""One step of a recurrent network, unit by unit: what comes after the two products with the weights.

Every recurrent network here makes two affine maps of size G = gates * H, one of the input and one of the old state,

    a = W_ih x + b_ih        p = W_hh h + b_hh,

and then works unit by unit: state' = step(a, p, state). A step's `backward` turns the gradient for state' into those
for a, for p, and for what of the old state reaches the new one past the product p. The products themselves, and the
sum over time, are the same for all networks: `manual/nn/rnn/recurrence.py`.

The shapes are (..., G) for a and p and (..., H) for a state, the dots being the batch. The gates lie side by side in
the last axis, in torch's order. No gate can overflow: sigmoid and tanh end at 0, 1 and -1, 1 by themselves, and their
derivatives are made from their values, so that no exponential is taken on the way back: sigmoid' = y (1 - y), and
tanh' = 1 - y^2, computed as (1 - y) (1 + y): near y = 1, 1 - y has no rounding error, where y^2 has one.
"""

from typing import Any, Protocol

import numpy as np

from manual.module import Array, check_array, check_gradient
from manual.nn.activation import relu, sigmoid, tanh
from manual.nn.gradients import check_pair

State = tuple[Array, ...]  # (h,), and (h, c) of an LSTM
StateGrad = tuple[Array | float, ...]


class Step(Protocol):
    """What a network's step offers; its affine maps are `gates` times H wide, its state has `states` parts."""

    gates: int
    states: int

    def forward(self, a: Array, p: Array, state: State) -> tuple[State, Any]:
        """Return the new state and `saved`."""

    def backward(self, grad_state: StateGrad, saved: Any) -> tuple[Array, Array, StateGrad]:
        """Return the gradients for a, for p, and for the old state where it does not go through p."""


class ElmanStep:
    """h' = f(a + p), with f = tanh or relu.

    dh'/da = dh'/dp = f'(a + p). Both derivatives are had from the output: tanh' = 1 - h'^2, and relu' = 1 where
    h' > 0, else 0 (also at 0, as in torch). The old state enters through p alone.

    Backward: grad_a = grad_p = grad_h' * f'.

    Source: J. L. Elman, Finding structure in time, Cognitive Science 14 (1990).
    """

    gates = 1
    states = 1

    def __init__(self, nonlinearity: str) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"{nonlinearity!r} is not a nonlinearity; use 'tanh' or 'relu'")
        self.nonlinearity = nonlinearity

    def forward(self, a: Array, p: Array, state: State) -> tuple[State, Array]:
        """Return (h',) and `saved` = h'."""
        z = a + p  # (..., H)
        h = tanh(z) if self.nonlinearity == "tanh" else relu(z)
        return (h,), h

    def backward(self, grad_state: StateGrad, saved: Array) -> tuple[Array, Array, StateGrad]:
        """Return the gradients for a, for p, and 0 for h: it has no other way."""
        (grad_h,), h = grad_state, saved
        grad: Array = grad_h * ((1 - h) * (1 + h)) if self.nonlinearity == "tanh" else np.where(h <= 0, 0, grad_h)
        return grad, grad, (0.0,)


class LSTMStep:
    """c' = f c + i g and h' = o tanh(c'), with four gates from the four parts of a + p.

        i = sigmoid(a_i + p_i)    what of g is let in       f = sigmoid(a_f + p_f)    what of c is kept
        g = tanh(a_g + p_g)       what is offered           o = sigmoid(a_o + p_o)    what of c' is shown

    c' reaches the loss twice: through h', and through the next step, from where grad_c' arrives. Both together are

        total  = grad_c' + grad_h' o (1 - tanh^2 c')            and from it, by the product rule,
        grad_i = total g       grad_f = total c       grad_g = total i       grad_o = grad_h' tanh(c').

    Through the gates' own derivatives, sigmoid' = y (1 - y) and tanh' = 1 - y^2, to their arguments:

        grad_a = grad_p = [grad_i i (1 - i), grad_f f (1 - f), grad_g (1 - g^2), grad_o o (1 - o)].

    The old state: h enters through p alone, c by f c, so that grad_c = total f. This is what the LSTM is for: along c
    the carry is multiplied by f, step after step, and by no matrix and no tanh'. With f near 1 it neither fades nor
    explodes.

    Sources: S. Hochreiter, J. Schmidhuber, Long short-term memory, Neural Computation 9 (1997); the forget gate f is
    from F. Gers, J. Schmidhuber, F. Cummins, Learning to forget, Neural Computation 12 (2000).
    """

    gates = 4
    states = 2

    def forward(self, a: Array, p: Array, state: State) -> tuple[State, tuple[Array, ...]]:
        """Return (h', c') and `saved` = (i, f, g, o, c, tanh c')."""
        _, c = state
        z_i, z_f, z_g, z_o = np.split(a + p, 4, axis=-1)  # (..., H) each
        i, f, g, o = sigmoid(z_i), sigmoid(z_f), tanh(z_g), sigmoid(z_o)
        c_new = f * c + i * g
        tanh_c = tanh(c_new)
        return (o * tanh_c, c_new), (i, f, g, o, c, tanh_c)

    def backward(self, grad_state: StateGrad, saved: tuple[Array, ...]) -> tuple[Array, Array, StateGrad]:
        """Return the gradients for a, for p, and (0, total f) for (h, c)."""
        (grad_h, grad_c), (i, f, g, o, c, tanh_c) = grad_state, saved
        total = grad_c + grad_h * o * (1 - tanh_c) * (1 + tanh_c)
        grad_i, grad_f, grad_g, grad_o = total * g, total * c, total * i, grad_h * tanh_c
        parts = [grad_i * i * (1 - i), grad_f * f * (1 - f), grad_g * (1 - g) * (1 + g), grad_o * o * (1 - o)]
        grad = np.concatenate(parts, axis=-1)  # (..., 4 H)
        return grad, grad, (0.0, total * f)


class GRUStep:
    """h' = (1 - z) n + z h, with two gates and a new value n from the three parts of a and of p.

        r = sigmoid(a_r + p_r)    what of the old state goes into n
        z = sigmoid(a_z + p_z)    what of the old state is kept
        n = tanh(a_n + r p_n)     what is offered

    By the product rule, with s the argument of n's tanh,

        grad_n = grad_h' (1 - z)     grad_z = grad_h' (h - n)     grad_s = grad_n (1 - n^2)     grad_r = grad_s p_n,

    and with sigmoid' = y (1 - y) to the arguments of the two gates. In r and z the parts of a and p are added, in n
    that of p stands under r, so the two gradients differ in their last third, and only there:

        grad_a = [grad_r r (1 - r), grad_z z (1 - z), grad_s]
        grad_p = [grad_r r (1 - r), grad_z z (1 - z), grad_s r].

    The old state goes through p, and past it by z h, which gives it grad_h' z: with z near 1 the carry does not fade.

    This is torch's variant. In K. Cho et al., Learning phrase representations using RNN encoder-decoder (2014), r acts
    on the state before the product, n = tanh(W_in x + W_hn (r h)); here it acts after, on p_n = W_hn h + b_hn. So one
    product W_hh h serves all three parts. And so the two biases of n are not one: b_in's gradient is the sum of grad_s,
    that of b_hn, which r scales, the sum of grad_s r. (Those of r and z, and all of an RNN and an LSTM, come in pairs
    with one gradient; torch keeps both because cuDNN does.)
    """

    gates = 3
    states = 1

    def forward(self, a: Array, p: Array, state: State) -> tuple[State, tuple[Array, ...]]:
        """Return (h',) and `saved` = (r, z, n, p_n, h)."""
        (h,) = state
        (a_r, a_z, a_n), (p_r, p_z, p_n) = np.split(a, 3, axis=-1), np.split(p, 3, axis=-1)  # (..., H) each
        r, z = sigmoid(a_r + p_r), sigmoid(a_z + p_z)
        n = tanh(a_n + r * p_n)
        return ((1 - z) * n + z * h,), (r, z, n, p_n, h)

    def backward(self, grad_state: StateGrad, saved: tuple[Array, ...]) -> tuple[Array, Array, StateGrad]:
        """Return the gradients for a, for p, and grad_h' z for h."""
        (grad_h,), (r, z, n, p_n, h) = grad_state, saved
        grad_n, grad_z = grad_h * (1 - z), grad_h * (h - n)
        grad_s = grad_n * (1 - n) * (1 + n)
        grad_r = grad_s * p_n
        gates = [grad_r * r * (1 - r), grad_z * z * (1 - z)]
        grad_a = np.concatenate([*gates, grad_s], axis=-1)  # (..., 3 H)
        grad_p = np.concatenate([*gates, grad_s * r], axis=-1)
        return grad_a, grad_p, (grad_h * z,)


def initial_state(who: str, step: Step, hx: Any, shapes: tuple[tuple[int, ...], ...], dtype: np.dtype[Any]) -> State:
    """Return hx as a tuple of arrays, zeros where it is None; `shapes` are those of h_0 and of c_0.

    Raises TypeError for another kind or dtype, and ValueError for a part of another shape.
    """
    wanted = shapes[: step.states]
    if hx is None:
        return tuple(np.zeros(shape, dtype) for shape in wanted)
    if step.states == 2 and not (isinstance(hx, tuple | list) and len(hx) == 2):
        raise TypeError(f"{who} has a state of two arrays: give hx=(h_0, c_0), or None for zeros")
    state = parts(hx, step.states)
    for name, part, shape in zip(("h_0", "c_0")[: step.states], state, wanted, strict=True):
        check_array(part, f"{who}, for {name},", dtype)
        if part.shape != shape:
            raise ValueError(f"{who} takes {name} of shape {shape} with this input, but was given {part.shape}")
    return state


def check_state_gradient(who: str, grad: Any, shapes: tuple[tuple[int, ...], ...], dtype: np.dtype[Any]) -> None:
    """Raise TypeError or ValueError unless `grad` has a gradient, or None, for each part of a state of these shapes."""
    if len(shapes) > 1:
        check_pair(grad, who)
    for part, shape in zip(parts(grad, len(shapes)), shapes, strict=True):
        if part is not None:
            check_gradient(part, shape, dtype, who)


def parts(state: Any, count: int) -> tuple[Any, ...]:
    """Return the `count` parts of a state, or of the gradient for one: (h,) or (h, c); of None, as many None."""
    return state if count > 1 and state is not None else (state,) * count


def joined(state: tuple[Any, ...]) -> Any:
    """Return a state as it is given and returned: h alone, or the tuple (h, c)."""
    return state if len(state) > 1 else state[0]
