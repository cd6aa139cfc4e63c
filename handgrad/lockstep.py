"""Every step of a training judged: both sides start it from the same parameters.

One step differs by rounding alone, so differences do not grow, and a wrong gradient shows at once. The
parameters follow autograd's trajectory.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from handgrad.data import Data
from handgrad.experiment import Experiment, State
from handgrad.judging import ALLOWED, Judgement, judge
from handgrad.rounding import flat_scales
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide
from handgrad.truth import ComplexStep, WideAutograd

Array = np.ndarray[Any, np.dtype[Any]]

# Steps are judged many at a time, which is several times faster than one by one; the memory for their truth
# grows with the square of the number of parameters, and stays below so many entries.
TOGETHER, ENTRIES = 64, 200_000
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
    reason: str = ""  # set where there are no numbers to compare


class Taken(NamedTuple):
    """A step that both sides have taken: where from, on which rows, and [loss, gradients, parameters] of each."""

    start: Array
    rows: Array
    hand: Array
    autograd: Array


class Lockstep:
    """Steps both sides from the same parameters, and judges the loss, every gradient and every parameter.

    Call `step` for every batch and then `finish`: only then is everything judged.
    """

    def __init__(self, experiment: Experiment, data: Data, state: State, autograd: TorchSide) -> None:
        self.experiment = experiment
        self.hand, self.autograd = ManualSide(experiment, data, state), autograd
        float32 = experiment.dtype == "float32"
        self.truth: Any = (WideAutograd if float32 else ComplexStep)(experiment, data, state)
        self.eps = float(np.finfo(experiment.dtype).eps)
        self.shapes = self.hand.shapes()
        self.names = ["loss", *(f"d_L_d_{name}" for name in self.shapes), *self.shapes]
        sizes = [1, *2 * [int(np.prod(shape)) for shape in self.shapes.values()]]
        self.offsets = np.cumsum([0, *sizes])
        self.parameters = sum(sizes[1:]) // 2
        self.together = max(1, min(TOGETHER, ENTRIES // self.parameters**2)) if self.parameters <= SMALL else 1
        self.steps = 0
        self.worst = np.zeros(self.offsets[-1])
        self.worst_step = np.zeros(self.offsets[-1], dtype=int)
        self.largest_ratio = 0.0
        self.allowed = ALLOWED
        self.kinks = 0  # there is no kink in a sigmoid; see named_lockstep.py
        self.failure: Failure | None = None
        self.first: list[Row] = []
        self.last: list[Row] = []
        self._taken: list[Taken] = []  # the steps that are still to be judged
        self._judged = 0

    @property
    def ok(self) -> bool:
        """Whether every step was in parity; False before the first."""
        return self.failure is None and self.steps > 0

    def step(self, rows: Array) -> None:
        """Take one step on both sides from autograd's parameters."""
        if self._taken and (len(self._taken) == self.together or len(rows) != len(self._taken[0].rows)):
            self._judge()
        start = self.autograd.flat_parameters()
        self.hand.load_flat(start)
        with np.errstate(over="ignore", invalid="ignore"):  # a training that diverges is compared all the same
            loss = self.hand.step(rows)
        if (name := self.hand.malformed()) is not None:
            self._refuse(name)
        hand = _flat(loss, self.hand)
        self._taken.append(Taken(start, rows, hand, _flat(self.autograd.step(rows), self.autograd)))
        self.steps += 1

    def _refuse(self, name: str) -> None:
        """Shape and dtype come before numbers: what is malformed has failed, and is taken out as NaN."""
        parameter = dict(self.hand.network.named_parameters())[name]
        grad = np.asarray(parameter.grad)
        found = f"{grad.shape} {grad.dtype}, its parameter {parameter.shape}"
        if self.failure is None:
            nan = float("nan")
            reason = f"its gradient is {found} {parameter.dtype}"
            self.failure = Failure(self.steps, f"d_L_d_{name}", nan, nan, nan, reason)
        for parameter in self.hand.parameters:
            parameter.data = parameter.data.astype(self.hand.dtype)
            parameter.grad = np.full(parameter.shape, np.nan, self.hand.dtype)

    def finish(self) -> None:
        """Judge what is left, the last step in any case against the truth."""
        if self._taken:
            self._judge(last=True)

    def _judge(self, last: bool = False) -> None:
        starts = np.stack([taken.start for taken in self._taken])  # (S, parameters)
        rows = np.stack([taken.rows for taken in self._taken])  # (S, N)
        hand = np.stack([taken.hand for taken in self._taken])  # (S, 1 + 2 parameters)
        autograd = np.stack([taken.autograd for taken in self._taken])
        exact = last or self.parameters <= SMALL or self._judged % CHECK_EVERY == 0
        inputs, targets = (array[rows].astype(np.float64) for array in (self.hand.inputs, self.hand.targets))
        with np.errstate(over="ignore", invalid="ignore"):
            truth = self.truth.steps(starts, rows) if exact else None
            scale = flat_scales(self.experiment, self.shapes, starts.astype(np.float64), inputs, targets)
            found = judge(hand, autograd, truth, self.eps * scale)
        self._keep(found)
        if self._judged == 0:
            self.first = self._rows(hand[0], autograd[0], found, 0)
        if last:
            self.last = self._rows(hand[-1], autograd[-1], found, -1)
        self._judged += len(self._taken)
        self._taken = []

    def _keep(self, found: Judgement) -> None:
        self.largest_ratio = max(self.largest_ratio, float(found.ratio.max(initial=0.0)))
        at = found.units.argmax(axis=0)
        units = found.units[at, np.arange(len(at))]
        new = units > self.worst
        self.worst[new], self.worst_step[new] = units[new], self._judged + at[new]
        if self.failure is None and not found.good.all():
            step, entry = divmod(int(np.argmin(found.good)), found.good.shape[1])
            name = self.names[int(np.searchsorted(self.offsets, entry, side="right")) - 1]
            error, other, allowed = (float(part[step, entry]) for part in (found.error, found.other, found.allowed))
            self.failure = Failure(self._judged + step, name, error, other, allowed)

    def _rows(self, hand: Array, autograd: Array, found: Judgement, step: int) -> list[Row]:
        shapes = [(), *self.shapes.values(), *self.shapes.values()]
        flat = (hand, autograd, found.difference[step], found.units[step], found.good[step])
        rows = []
        for name, shape, start, end in zip(self.names, shapes, self.offsets[:-1], self.offsets[1:], strict=True):
            a, b, difference, units, good = (values[start:end].reshape(shape) for values in flat)
            rows.append(Row(name, a, b, difference, units, bool(good.all())))
        return rows

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


def _flat(loss: Any, side: ManualSide | TorchSide) -> Array:
    return np.concatenate([[float(loss)], side.flat_gradients(), side.flat_parameters()]).astype(np.float64)
