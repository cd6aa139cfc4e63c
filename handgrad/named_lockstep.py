"""Every step of a training judged, tensor by tensor, for networks of any modules and any update rule.

`lockstep.py` does the same for the tutorials' networks, whose roundings are known in closed form, many steps at once.
Here each step is taken in two halves, and each half starts from the same numbers on both sides:

1. From autograd's parameters and buffers: the loss, every gradient and the buffers.
2. From autograd's gradients and optimizer state: the updated parameters and the optimizer's state.

The second half needs a start of its own. Adam divides a gradient by its own size, so that one which is nothing but
rounding (a key's bias in attention: softmax does not notice it) becomes a step of full length, in a direction that
rounding alone decides. That is no fault of the update rule, and it is judged apart from what feeds it.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from handgrad.both_sides import Snapshot, each_leaf
from handgrad.data import Data
from handgrad.exact import DELTA, units
from handgrad.experiment import Experiment, State
from handgrad.judging import ALLOWED_OF_NOISE, Judgement, judge
from handgrad.lockstep import Failure, Row, Worst
from handgrad.sides import ManualSide
from handgrad.tensors import rounded
from handgrad.torch_side import TorchSide
from handgrad.truth import complex_gradient
from handgrad.weights import from_network

Array = np.ndarray[Any, np.dtype[Any]]

# The size of one rounding is measured at the first step, the last and every EVERY-th; between them each tensor is held
# to its largest one, and the sides against each other alone in float64.
EVERY = 25
# So many draws that of some 100,000 entries in a training none comes out ten times too small in all of them.
DRAWS = 16


class NamedLockstep:
    """Steps both sides from the same numbers, and judges the loss, gradients, buffers, parameters, optimizer state.

    Call `step` for every batch and then `finish`; the attributes are those of lockstep.Lockstep.
    """

    def __init__(
        self, experiment: Experiment, data: Data, state: State, autograd: TorchSide, every: int = EVERY
    ) -> None:
        self.experiment, self.data, self.every = experiment, data, every
        self.hand, self.autograd = ManualSide(experiment, data, state), autograd
        self.wide = TorchSide(experiment, data, state, "cpu", "float64")
        self.wide.inputs, self.wide.targets = (
            rounded(t, autograd.dtype) for t in (self.wide.inputs, self.wide.targets)
        )
        self.eps = float(np.finfo(experiment.dtype).eps)
        self.steps = 0
        self.largest_ratio = 0.0
        self.allowed = ALLOWED_OF_NOISE
        self.kinks = 0  # steps at which a maximum or a kink fell differently, within rounding
        self.failure: Failure | None = None
        self.first: list[Row] = []
        self.last: list[Row] = []
        self.worst: dict[str, Worst] = {}
        self._unit: State = {}
        self._size: dict[str, float] = {}
        self._latest: tuple[Snapshot, Array, State, State] | None = None

    @property
    def ok(self) -> bool:
        """Whether every step was in parity; False before the first."""
        return self.failure is None and self.steps > 0

    def step(self, rows: Array) -> None:
        """Take one step on both sides from autograd's parameters and optimizer state."""
        start = self.autograd.snapshot()
        self.hand.restore(start)
        with np.errstate(over="ignore", invalid="ignore"):  # a training that diverges is compared all the same
            hand = self.hand.gradients(rows)
            autograd = self.autograd.gradients(rows)
            hand |= self.hand.update(autograd)
            autograd |= self.autograd.update(autograd)
        self._latest = (start, rows, hand, autograd)
        self._judge(measure=self.steps % self.every == 0)
        self.steps += 1

    def finish(self) -> None:
        """Judge the last step once more, with its own roundings and against the truth."""
        if self._latest is not None and (self.steps - 1) % self.every:
            self.steps -= 1
            self._judge(measure=True)
            self.steps += 1

    def _judge(self, measure: bool) -> None:
        assert self._latest is not None
        start, rows, hand, autograd = self._latest
        with np.errstate(all="ignore"):
            if measure:
                self._unit = self._rounding(start, rows, autograd)
                self._size = {name: _largest(value) for name, value in autograd.items()}
            truth = self._truth(start, rows, hand, autograd) if measure or self.experiment.dtype == "float32" else {}
        for name in [*hand, *(name for name in autograd if name not in hand)]:
            a, b = hand.get(name), autograd.get(name)
            if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
                self._refuse(name, a, b)
                return
        unit = {name: self._unit[name] if measure else self._held(name, b) for name, b in autograd.items()}
        found = {name: _judged(hand[name], b, truth.get(name), unit[name]) for name, b in autograd.items()}
        if self.failure is None and not all(judgement.good.all() for judgement in found.values()):
            flipped = self._flipped(start, rows)
            # Autograd in float64 may have fallen the other way too: there the sides are held against each other.
            again = {
                n: _judged(hand[n], b, None, np.maximum(unit[n], flipped.get(n, 0.0))) for n, b in autograd.items()
            }
            if all(judgement.good.all() for judgement in again.values()):
                found = again
                self.kinks += 1
        rows_found = [self._row(name, hand[name], autograd[name], judgement) for name, judgement in found.items()]
        if self.steps == 0:
            self.first = rows_found
        self.last = rows_found

    def _flipped(self, start: Snapshot, rows: Array) -> State:
        """Return by how much each entry changes where a maximum or a kink falls the other way within rounding."""
        with np.errstate(all="ignore"):
            return units(self._wide_gradients(start, rows), self.experiment.dtype, 2 * DRAWS, self.eps)

    def _row(self, name: str, hand: Array, autograd: Array, found: Judgement) -> Row:
        a, b = hand.astype(np.float64), autograd.astype(np.float64)
        self.largest_ratio = max(self.largest_ratio, float(found.ratio.max(initial=0.0)))
        units = float(found.units.max(initial=0.0))
        if name not in self.worst or units > self.worst[name].units:
            self.worst[name] = Worst(name, units, self.steps)
        if self.failure is None and not found.good.all():
            at = np.unravel_index(int(np.argmin(found.good)), found.good.shape)
            error, other, allowed = (float(part[at]) for part in (found.error, found.other, found.allowed))
            place = f"[{','.join(str(int(i)) for i in at)}]" if at else "it"
            numbers = np.isfinite(a[at]) and np.isfinite(b[at])
            reason = "" if numbers else f"{place} is {a[at]} by hand, {b[at]} with autograd"
            self.failure = Failure(self.steps, name, error, other, allowed, reason)
        return Row(name, a, b, found.difference, found.units, bool(found.good.all()))

    def _refuse(self, name: str, hand: Array | None, autograd: Array | None) -> None:
        nan = float("nan")
        by_hand, other = ("missing" if x is None else f"{x.shape} {x.dtype}" for x in (hand, autograd))
        self.failure = self.failure or Failure(
            self.steps, name, nan, nan, nan, f"by hand it is {by_hand}, with autograd {other}"
        )

    def _held(self, name: str, autograd: Array) -> Array:
        """Return the largest rounding of a tensor at the step that was measured last, grown as its entries have."""
        unit, size = float(self._unit[name].max(initial=0.0)), self._size[name]
        grown = max(1.0, _largest(autograd) / size) if size else 1.0
        return np.full(autograd.shape, unit * grown)

    def _rounding(self, start: Snapshot, rows: Array, autograd: State) -> State:
        """Return one rounding of every entry, of both halves."""

        one = units(self._wide_gradients(start, rows), self.experiment.dtype, DRAWS)
        return one | self._rounding_of_the_update(start, autograd)

    def _wide_gradients(self, start: Snapshot, rows: Array) -> Callable[[Any], State]:
        def gradients(mode: Any) -> State:
            self.wide.restore(each_leaf(_widened, start))
            with mode or nullcontext():
                return self.wide.gradients(rows)

        return gradients

    def _rounding_of_the_update(self, start: Snapshot, gradients: State) -> State:
        """Return one rounding of what an update moves: by how much it moves when all that it is given does."""
        true = self._wide_update(start, gradients)
        found = {
            name: np.abs(value) * self.eps + float(np.finfo(self.experiment.dtype).tiny) for name, value in true.items()
        }
        for draw in range(DRAWS):
            random = np.random.default_rng([draw, 7])

            def moved(value: Any, random: np.random.Generator = random) -> Any:
                if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or value.ndim == 0:  # a count stays
                    return value
                # Normal changes: of few numbers, changes by plus or minus DELTA alone often cancel to nothing.
                return value * (1 + DELTA * random.standard_normal(value.shape))

            after = self._wide_update(
                each_leaf(moved, start), {name: moved(value) for name, value in gradients.items()}
            )
            for name, value in true.items():
                found[name] = np.maximum(found[name], np.abs(after[name] - value) * (self.eps / DELTA))
        return found

    def _wide_update(self, start: Snapshot, gradients: State) -> State:
        self.wide.restore(each_leaf(_widened, start))
        return self.wide.update(gradients)

    def _truth(self, start: Snapshot, rows: Array, hand: State, autograd: State) -> State:
        """Return what the tensors should have been, NaN where that is not known."""
        if self.experiment.dtype == "float32":
            return self._wide_gradients(start, rows)(None) | self._wide_update(start, autograd)
        apart = {name: np.abs(hand[name] - autograd[name]) for name in hand if name.startswith("d_L_d_")}
        state = from_network(start.network, self.experiment.network)
        side = ManualSide(self.experiment, self.data, state, np.clongdouble)
        return complex_gradient(side, rows, {name.removeprefix("d_L_d_"): at for name, at in apart.items()})

    def worst_rows(self) -> list[Worst]:
        """Return for every tensor where its sides were furthest apart."""
        return list(self.worst.values())

    def first_gradients(self, side: str) -> dict[str, Array]:
        """Return the first step's gradients of one side, hand or autograd, by the parameter's name."""
        found = {row.name.removeprefix("d_L_d_"): row for row in self.first if row.name.startswith("d_L_d_")}
        return {name: getattr(row, side) for name, row in found.items()}


def _judged(hand: Array, autograd: Array, truth: Array | None, unit: Array) -> Judgement:
    return judge(hand.astype(np.float64), autograd.astype(np.float64), truth, unit, ALLOWED_OF_NOISE)


def _largest(value: Array) -> float:
    return float(np.abs(value[np.isfinite(value)]).max(initial=0.0))


def _widened(value: Any) -> Any:
    """Return an array of floats in float64. A count stays what it is: torch keeps it in float32."""
    return (
        value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim else value
    )
