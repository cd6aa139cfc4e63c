"""The stack of recurrent layers that RNN, LSTM and GRU are: several layers, one direction or both, dropout between."""

import warnings
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from manual.arguments import whole_number
from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, Parameter, check_array, check_gradient, plain, unsupported
from manual.nn.dropout import dropout_mask
from manual.nn.gradients import check_pair
from manual.nn.rnn import recurrence
from manual.nn.rnn.recurrence import Weights, both_backward, both_forward
from manual.nn.rnn.steps import State, StateGrad, Step, check_state_gradient, initial_state, joined, parts

OPTIONAL = ("bias_ih", "bias_hh", "weight_hr")


class Layer(NamedTuple):
    """What one layer saves: its dropout mask, None without one, and what each direction saves."""

    mask: Array | None
    directions: list[recurrence.Saved]


class Saved(NamedTuple):
    """What the stack saves: its layers, whether the input had a batch axis, and whether a state was given."""

    layers: list[Layer]
    batched: bool
    given: bool


class RNNBase(Module):
    """What the recurrent layers share: a stack of layers, each run in one direction or in both.

        output, h_n = layer(input, h_0)                     output, (h_n, c_n) = lstm(input, (h_0, c_0))

    input     (T, N, input_size); with batch_first (N, T, input_size); without a batch (T, input_size)
    output    (T, N, D H), or as the input is: the last layer's h at every t. D is 2 if bidirectional, else 1; H is
              hidden_size, or proj_size where an LSTM has one
    h_0, h_n  (num_layers D, N, H), c_0, c_n (num_layers D, N, hidden_size), without N for an input without a batch:
              the states before the first and after the last step, of layer 0, of layer 0 in reverse, of layer 1, ...;
              these are never batch first. Where none is given, zeros

    Layer l reads the output of layer l - 1, both directions side by side, in training mode through dropout:

        x^(l) = mask * [y forward, y reverse]^(l-1)         mask = 0 with probability p, else 1 / (1 - p)

    There is none before the first layer or after the last. Masks are drawn from `self.generator`, layer after layer,
    in the shape (T, N, D H): an entry is kept where random() >= p.

    Backward goes from the last layer to the first, in each with the recursion of `manual/nn/rnn/recurrence.py`:

        grad [y forward, y reverse]^(l-1) = mask * (grad x^(l) of forward + grad x^(l) of reverse)

    since both directions read the same x. The reverse direction is the forward one on x turned round in time, its
    output turned round again, so that its "last" state is the one at t = 0.

    `backward` takes a pair as forward returns it, with None for what is not used, and returns (grad_input, grad_hx),
    None for an hx that was not given.

    Parameters: weight_ih_l0 (gates hidden_size, input_size), weight_hh_l0 (gates hidden_size, H), bias_ih_l0,
    bias_hh_l0, with proj_size weight_hr_l0 (proj_size, hidden_size); then those of `_l0_reverse`, `_l1`, ... All start
    uniform in +-1/sqrt(hidden_size), drawn from `generator` in this order.
    """

    def __init__(
        self,
        step: Step,
        sizes: tuple[int, int, int],
        flags: tuple[bool, bool, bool],
        dropout: float,
        proj_size: int = 0,
        *,
        device: None,
        dtype: DTypeLike,
        generator: np.random.Generator | None,
    ) -> None:
        who = type(self).__name__
        unsupported(who, device=device)
        _check_arguments(who, sizes, flags, dropout, proj_size)
        self.step, self.dropout, self.proj_size = step, float(dropout), plain(proj_size)
        self.input_size, self.hidden_size, self.num_layers = plain(sizes)
        self.bias, self.batch_first, self.bidirectional = flags
        if dropout and self.num_layers == 1:
            says = f"{who}: dropout={dropout} acts between layers, and there is one alone: give num_layers=2 or more"
            warnings.warn(says, stacklevel=3)  # at the line that makes the layer, not in its __init__
        self.generator = np.random.default_rng() if generator is None else generator
        self._draw_parameters(dtype)

    def _draw_parameters(self, dtype: DTypeLike) -> None:
        width, shown = self.step.gates * self.hidden_size, self.proj_size or self.hidden_size
        bound = 1 / np.sqrt(self.hidden_size)
        for k, suffix in enumerate(self._suffixes()):
            inputs = self.input_size if k < self._directions else self._directions * shown
            shapes: dict[str, tuple[int, ...]] = {"weight_ih": (width, inputs), "weight_hh": (width, shown)}
            if self.bias:
                shapes |= {"bias_ih": (width,), "bias_hh": (width,)}
            if self.proj_size:
                shapes |= {"weight_hr": (shown, self.hidden_size)}
            for name, shape in shapes.items():
                setattr(self, name + suffix, Parameter(self.generator.uniform(-bound, bound, shape).astype(dtype)))

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self) -> list[str]:
        """Return what the parameters' names end in: _l0, _l0_reverse, _l1, ..."""
        directions = ("", "_reverse") if self.bidirectional else ("",)
        return [f"_l{layer}{direction}" for layer in range(self.num_layers) for direction in directions]

    def _weights(self) -> list[Weights]:
        """Return the parameters by layer and direction, in the order of `_suffixes`."""
        own = vars(self)
        return [
            Weights(own["weight_ih" + end], own["weight_hh" + end], *(own.get(name + end) for name in OPTIONAL))
            for end in self._suffixes()
        ]

    def extra_repr(self) -> str:
        """Return the sizes, and what is not as by default, as torch's does."""
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        defaults |= {"bidirectional": False}
        changed = [f"{name}={getattr(self, name)}" for name in defaults if getattr(self, name) != defaults[name]]
        return ", ".join([str(self.input_size), str(self.hidden_size), *changed])

    @beyond_the_finite()
    def forward(self, input: Array, hx: Any = None) -> tuple[tuple[Array, Any], Saved]:
        """Return (output, h_n), of an LSTM (output, (h_n, c_n)), and `saved`.

        Raises ValueError for other shapes than those above and TypeError for another dtype than the parameters'.
        """
        batched, state = self._checked(input, hx)
        x, states = self._time_first(input, batched), self._by_layer(state, batched)  # (T, N, I), (N, H) each
        weights, layers, last = self._weights(), [], []
        for layer in range(self.num_layers):
            own = self._own(layer)
            mask = self._mask(x) if layer else None
            x = x if mask is None else mask * x
            x, last_own, saved_own = both_forward(self.step, weights[own], x, states[own])  # (T, N, D H)
            layers.append(Layer(mask, saved_own))
            last += last_own
        h_n = tuple(_without_batch(np.stack(part), batched) for part in zip(*last, strict=True))  # (L D, N, H)
        return (self._as_given(x, batched), joined(h_n)), Saved(layers, batched, hx is not None)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> tuple[Array | None, Any]:
        """Return (grad_input, grad_hx); add to the gradients of all parameters."""
        self._check_gradient(grad_output, saved)
        (grad_y, grad_n), (layers, batched, given) = grad_output, saved
        if grad_y is None:
            grad = np.concatenate([np.zeros_like(one.before) for one in layers[-1].directions], axis=-1)
        else:
            grad = self._time_first(grad_y, batched)  # (T, N, D H)
        carries = self._by_layer(parts(grad_n, self.step.states), batched)  # (N, H) each
        weights, first = self._weights(), list[StateGrad]()
        for layer in reversed(range(self.num_layers)):
            own, (mask, saved_own) = self._own(layer), layers[layer]
            grad, first_own = both_backward(
                self.step, weights[own], grad, carries[own], saved_own, input_grad=input_grad or layer > 0
            )
            grad = grad if mask is None else mask * grad
            first = first_own + first
        grad_0 = tuple(_without_batch(np.stack(part), batched) for part in zip(*first, strict=True))  # (L D, N, H)
        return (self._as_given(grad, batched) if input_grad else None), (joined(grad_0) if given else None)

    def _check_gradient(self, grad_output: Any, saved: Saved) -> None:
        """Raise TypeError or ValueError unless there is a gradient, or None, for the output and for each last state."""
        who, before = type(self).__name__, saved.layers[0].directions[0].before  # (T, N, H) in every layer
        check_pair(grad_output, who)
        grad_y, grad_n = grad_output
        if grad_y is not None:
            *lead, width = self._as_given(before, saved.batched).shape
            check_gradient(grad_y, (*lead, self._directions * width), before.dtype, who)
        if grad_n is not None:
            lead = [self.num_layers * self._directions, *(before.shape[1:2] if saved.batched else ())]
            shapes = ((*lead, before.shape[-1]), (*lead, self.hidden_size))[: self.step.states]
            check_state_gradient(who, grad_n, shapes, before.dtype)

    def _own(self, layer: int) -> slice:
        """Return where a layer's directions stand among those of all layers."""
        return slice(layer * self._directions, (layer + 1) * self._directions)

    def _by_layer(self, state: tuple[Array | None, ...], batched: bool) -> list[Any]:
        """Return a state's parts (N, H) for each layer and direction; 0 for a part that is None."""
        whole = [None if part is None else _with_batch(part, batched) for part in state]
        count = self.num_layers * self._directions
        return [tuple(0.0 if part is None else part[k] for part in whole) for k in range(count)]

    def _time_first(self, x: Array, batched: bool) -> Array:
        """Return x as (T, N, ...)."""
        return x.swapaxes(0, 1) if batched and self.batch_first else _with_batch(x, batched)

    def _as_given(self, x: Array, batched: bool) -> Array:
        """Return x, which is (T, N, ...), with the axes of the input."""
        return x.swapaxes(0, 1) if batched and self.batch_first else _without_batch(x, batched)

    def _mask(self, x: Array) -> Array | None:
        """Return what dropout multiplies the input of a layer by; None where nothing is dropped."""
        return dropout_mask(x.shape, self.dropout if self.training else 0, x.dtype, self.generator)

    def _checked(self, input: Array, hx: Any) -> tuple[bool, State]:
        """Return whether the input has a batch axis, and the initial state."""
        who = type(self).__name__
        if type(input).__name__ == "PackedSequence":
            raise NotImplementedError(f"{who} does not support a PackedSequence here; give an array of equal lengths")
        check_array(input, who, next(self.parameters()).dtype)
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"{who} takes ({'N, T' if self.batch_first else 'T, N'}, {self.input_size}) or (T, {self.input_size}), "
                f"but was given an input of shape {input.shape}"
            )
        batched = input.ndim == 3
        T, *N = input.shape[-2::-1] if self.batch_first else input.shape[:-1]
        if T == 0:
            raise ValueError(f"{who} takes a sequence of one step or more, but was given an input of {input.shape}")
        count = self.num_layers * self._directions
        h_0, c_0 = (count, *N, self.proj_size or self.hidden_size), (count, *N, self.hidden_size)
        return batched, initial_state(who, self.step, hx, (h_0, c_0), input.dtype)


def _with_batch(x: Array, batched: bool) -> Array:
    return x if batched else x[:, np.newaxis]


def _without_batch(x: Array, batched: bool) -> Array:
    return x if batched else x[:, 0]


def _check_arguments(who: str, sizes: tuple[int, ...], flags: tuple[bool, ...], dropout: float, proj_size: int) -> None:
    for name, size in zip(("input_size", "hidden_size", "num_layers"), sizes, strict=True):
        whole_number(who, 1, **{name: size})
    for name, flag in zip(("bias", "batch_first", "bidirectional"), flags, strict=True):
        if not isinstance(flag, bool):
            raise TypeError(f"{who}: {name}={flag!r} is no bool; use True or False")
    if isinstance(dropout, bool) or not isinstance(dropout, Real) or not 0 <= dropout <= 1:
        raise ValueError(f"{who}: dropout={dropout!r} is no probability; use a number in [0, 1]")
    whole_number(who, None, proj_size=proj_size)
    if not 0 <= proj_size < sizes[1]:
        raise ValueError(f"{who}: proj_size={proj_size} is not from 0 (none) to below hidden_size={sizes[1]}")
