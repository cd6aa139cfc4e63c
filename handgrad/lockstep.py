"""Every step of a training judged: both sides start it from the same parameters.

One step differs by rounding alone, so differences do not grow, and a wrong gradient shows at once. The
parameters follow autograd's trajectory.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from handgrad.data import Data
from handgrad.experiment import Experiment, State
from handgrad.rounding import scales
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide
from handgrad.truth import ComplexStep, WideAutograd
from handgrad.weights import NINE_SCALARS, scalars_to_layers

Array = np.ndarray[Any, np.dtype[Any]]

# The hand-written error may be this many times autograd's, or this many roundings of the tensor's scale,
# whichever is more. Measured over every step of every experiment here, in both dtypes: never above 0.7.
ALLOWED = 4.0
# Up to this many parameters the truth is computed at every step; above, at the first, the last and
# every CHECK_EVERY-th, and between them the sides are held against each other alone.
SMALL, CHECK_EVERY = 200, 100


@dataclass(frozen=True, eq=False)
class Row:
    """One tensor of one step: both values, and how far apart they are.

    `difference` is |hand - autograd|, entry by entry; `units` the same in units of rounding, eps * scale.
    """

    name: str
    hand: Array
    autograd: Array
    difference: Array
    units: Array
    ok: bool


@dataclass(frozen=True, eq=False)
class Worst:
    """The step at which a tensor's sides were furthest apart, in units of rounding."""

    name: str
    units: float
    step: int


@dataclass(frozen=True)
class Failure:
    """The first tensor of the first step that is not in parity, in order of computation."""

    step: int
    name: str
    hand_error: float
    autograd_error: float
    allowed: float


class Lockstep:
    """Steps both sides from the same parameters, and judges the loss, every gradient and every parameter."""

    def __init__(self, experiment: Experiment, data: Data, state: State, autograd: TorchSide) -> None:
        self.experiment = experiment
        self.hand, self.autograd = ManualSide(experiment, data, state), autograd
        float32 = experiment.dtype == "float32"
        self.truth: Any = (WideAutograd if float32 else ComplexStep)(experiment, data, state)
        self.independent = float32  # whether the truth shares no code with the hand-written forward
        self.eps = float(np.finfo(experiment.dtype).eps)
        self.shapes = self.hand.shapes()
        self.names = ["loss", *(f"d_L_d_{name}" for name in self.shapes), *self.shapes]
        sizes = [1, *2 * [int(np.prod(shape)) for shape in self.shapes.values()]]
        self.offsets = np.cumsum([0, *sizes])
        self.steps = 0
        self.worst = np.zeros(self.offsets[-1])
        self.worst_step = np.zeros(self.offsets[-1], dtype=int)
        self.largest_ratio = 0.0
        self.failure: Failure | None = None
        self.first: list[Row] = []
        self.last: list[Row] = []
        self._last_values: tuple[Array, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every step was in parity; False before the first."""
        return self.failure is None and self.steps > 0

    def step(self, rows: Array) -> None:
        """Take one step on both sides from autograd's parameters, and compare."""
        start = self.autograd.flat_parameters()
        self.hand.load_flat(start)
        with np.errstate(over="ignore", invalid="ignore"):  # a training that diverges is compared all the same
            hand = _flat(self.hand.step(rows), self.hand)
            autograd = _flat(self.autograd.step(rows), self.autograd)
            exact = len(start) <= SMALL or self.steps % CHECK_EVERY == 0
            truth = np.concatenate([np.reshape(part, -1) for part in self.truth.step(start, rows)]) if exact else None
            self._judge(hand, autograd, truth, self._scale(start, rows))
        self.steps += 1

    def _scale(self, start: Array, rows: Array) -> Array:
        vector = start.astype(np.float64)
        inputs, targets = self.hand.inputs[rows].astype(np.float64), self.hand.targets[rows].astype(np.float64)
        state: State = {}
        position = 0
        for name, shape in self.shapes.items():
            size = int(np.prod(shape))
            state[name] = vector[position : position + size].reshape(shape)
            position += size
        scalar = self.experiment.network.name == "two_two_one"
        state = scalars_to_layers(state) if scalar else state
        layers = [(w, state.get(k.replace("weight", "bias"))) for k, w in state.items() if k.endswith("weight")]
        found = scales(self.experiment, layers, inputs, targets)
        parts = [dict(zip(state, tensors, strict=True)) for tensors in (found.gradients, found.updated)]
        if scalar:
            parts = [{name: part[key][index] for name, (key, index) in NINE_SCALARS.items()} for part in parts]
        return np.concatenate([[found.loss], *(np.reshape(value, -1) for part in parts for value in part.values())])

    def _judge(self, hand: Array, autograd: Array, truth: Array | None, scale: Array) -> None:
        unit = self.eps * scale
        alike = (hand == autograd) | (np.isnan(hand) & np.isnan(autograd))  # infinities of one sign are equal
        difference = np.where(alike, 0.0, np.abs(hand - autograd))
        with np.errstate(divide="ignore"):
            units = np.where(alike, 0.0, np.where(unit > 0, difference / np.where(unit > 0, unit, 1), np.inf))
        units = np.where(np.isnan(units), np.inf, units)
        if truth is None or not np.isfinite(truth).all():
            error, other, allowed = units * unit, np.zeros_like(unit), 2 * ALLOWED * unit
            good = alike | (difference <= allowed)
        else:
            error = np.abs(hand - truth).astype(np.float64)
            other = np.abs(autograd - truth).astype(np.float64)
            allowed = ALLOWED * np.maximum(other, unit)
            good = error <= allowed  # false for NaN
            if not self.independent:
                # This truth comes from the hand-written forward. Where autograd is far from it, the two
                # forwards are different functions.
                good &= other <= ALLOWED * unit
            ratio = float((error / np.maximum(np.maximum(other, unit), np.finfo(float).tiny)).max(initial=0.0))
            self.largest_ratio = max(self.largest_ratio, ratio)
        new = units > self.worst
        self.worst[new], self.worst_step[new] = units[new], self.steps
        if not good.all() and self.failure is None:
            at = int(np.argmin(good))
            name = self.names[int(np.searchsorted(self.offsets, at, side="right")) - 1]
            self.failure = Failure(self.steps, name, float(error[at]), float(other[at]), float(allowed[at]))
        self._last_values = (hand, autograd, difference, units, good)
        if self.steps == 0:
            self.first = self._rows()

    def _rows(self) -> list[Row]:
        shapes = [(), *self.shapes.values(), *self.shapes.values()]
        rows = []
        for number, (name, shape) in enumerate(zip(self.names, shapes, strict=True)):
            part = slice(self.offsets[number], self.offsets[number + 1])
            hand, autograd, difference, units, good = (flat[part].reshape(shape) for flat in self._last_values)
            rows.append(Row(name, hand, autograd, difference, units, bool(good.all())))
        return rows

    def finish(self) -> None:
        """Keep the last step's table."""
        self.last = self._rows() if self.steps else []

    def worst_rows(self) -> list[Worst]:
        """Return for every tensor where its sides were furthest apart."""
        found = []
        for name, start, end in zip(self.names, self.offsets[:-1], self.offsets[1:], strict=True):
            at = start + int(np.argmax(self.worst[start:end])) if end > start else start
            found.append(Worst(name, float(self.worst[at]), int(self.worst_step[at])))
        return found

    def first_gradients(self, side: str) -> dict[str, Array]:
        """Return the first step's gradients of one side, hand or autograd, by the parameter's name."""
        found = {row.name.removeprefix("d_L_d_"): row for row in self.first if row.name.startswith("d_L_d_")}
        return {name: getattr(row, side) for name, row in found.items()}


def _flat(loss: float, side: ManualSide | TorchSide) -> Array:
    return np.concatenate([[loss], side.flat_gradients(), side.flat_parameters()]).astype(np.float64)
