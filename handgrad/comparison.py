"""An experiment on both sides from identical weights: in lockstep, and running free."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from handgrad import intermediates
from handgrad.data import Data
from handgrad.ends import End, compare_ends, compare_named_ends
from handgrad.experiment import Experiment, Loss, State
from handgrad.lockstep import Failure, Lockstep
from handgrad.loop import run
from handgrad.named_lockstep import NamedLockstep
from handgrad.rules import check_length
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide, choose_device

Array = np.ndarray[Any, np.dtype[Any]]


# Roundings by which two schedulers' learning rates may part: both take the chained form, in Python's floats; where a
# cosine passes its minimum and divides by nearly 0, the last places of a library's cosine may count so much.
RATES = 1000


@dataclass(frozen=True)
class Report:
    """The reported loss after (or before) an epoch, on both sides running free.

    `twin` is that of the hand-written side's twin, which started one rounding away.
    """

    epoch: int
    hand: float
    autograd: float
    twin: float


class Comparison:
    """All that comparing one experiment has found; `compare` fills it.

    `initial`, `final_hand` and `final_autograd` are states under torch's keys. `final_outputs` are both sides'
    outputs on the samples. `ends` judges outputs and reported loss from one and the same state. `apart` is the
    largest difference of any parameter at the end, both sides running free; `twin_apart` the same between the
    hand-written side and its twin, started one rounding away.
    """

    def __init__(self, experiment: Experiment, device: str = "cpu") -> None:
        self.experiment = experiment
        self.device = choose_device(device, experiment.dtype)
        self.data: Data = experiment.data()
        self.initial: State = experiment.weights(experiment.seed, experiment.network)
        self.hand = ManualSide(experiment, self.data, self.initial)
        self.autograd = TorchSide(experiment, self.data, self.initial, self.device)
        self.lockstep: Lockstep | NamedLockstep = (Lockstep if experiment.layered else NamedLockstep)(
            experiment, self.data, self.initial, self.autograd
        )
        self.reports: list[Report] = []
        self.ends: list[End] = []
        self.apart = self.twin_apart = 0.0

    @property
    def final_hand(self) -> State:
        """The hand-written side's weights, as they are now."""
        return self.hand.state()

    @property
    def final_autograd(self) -> State:
        """Autograd's weights, as they are now."""
        return self.autograd.state()

    def outputs(self, inputs: Array) -> tuple[Array, Array]:
        """Return both sides' outputs for these inputs."""
        return self.hand.predict(inputs), self.autograd.predict(inputs)

    @property
    def final_outputs(self) -> tuple[Array, Array]:
        """Both sides' outputs for the samples."""
        return self.outputs(self.data.inputs)

    def outputs_with(self, state: Mapping[str, Array], inputs: Array) -> tuple[Array, Array]:
        """Return both sides' outputs for these inputs with other weights."""
        hand = ManualSide(self.experiment, self.data, state)
        return hand.predict(inputs), TorchSide(self.experiment, self.data, state, self.device).predict(inputs)

    def losses_with(self, state: Mapping[str, Array], loss: Loss) -> tuple[float, float]:
        """Return a loss over all samples with other weights, on both sides."""
        hand = ManualSide(self.experiment, self.data, state).report(loss)
        return hand, TorchSide(self.experiment, self.data, state, self.device).report(loss)

    def intermediates(self) -> list[str]:
        """Return every intermediate of the first step as a table, for a network that is a chain of modules."""
        rows = np.arange(len(self.data.inputs))
        hand = intermediates.by_hand(ManualSide(self.experiment, self.data, self.initial), rows)
        autograd = TorchSide(self.experiment, self.data, self.initial, self.device)
        return intermediates.lines(hand, intermediates.with_autograd(autograd, rows))

    def hand_loss(self, state: Mapping[str, Array]) -> float:
        """Return the training loss over all samples with other weights, by hand."""
        return ManualSide(self.experiment, self.data, state).report(self.experiment.loss)

    @property
    def ok(self) -> bool:
        """Whether both sides are in parity: every step, and at the end the outputs and the reported loss."""
        steps = self.experiment.kind == "forward" or self.lockstep.ok
        return steps and bool(self.ends) and all(end.ok for end in self.ends)

    @property
    def diverged_at(self) -> int | None:
        """The first reported epoch whose loss is not finite on either side, or None."""
        lost = (r.epoch for r in self.reports if not (np.isfinite(r.hand) and np.isfinite(r.autograd)))
        return next(lost, None)

    def train(self) -> "Comparison":
        """Run the whole experiment, and return self."""
        if self.experiment.kind == "forward":
            self.ends = self._compared_ends()
            return self
        twin = ManualSide(self.experiment, self.data, self.initial)
        start = twin.flat_parameters()
        twin.load_flat(np.nextafter(start, np.array(np.inf, dtype=start.dtype)))

        def step(rows: Array) -> None:
            self.lockstep.step(rows)
            self.hand.step(rows)
            twin.step(rows)

        def report(epoch: int) -> None:
            loss = self.experiment.report
            self.reports.append(Report(epoch, self.hand.report(loss), self.autograd.report(loss), twin.report(loss)))

        def schedule() -> None:
            for side in (self.autograd, self.hand, twin):  # the lockstep's own side takes over autograd's state
                side.schedule()
            self._compare_rates()

        with np.errstate(over="ignore", invalid="ignore"):
            run(self.experiment, len(self.data.inputs), step, report, schedule)
        self.lockstep.finish()
        self.ends = self._compared_ends()
        end = self.hand.flat_parameters().astype(np.float64)
        self.apart = float(np.abs(end - self.autograd.flat_parameters()).max())
        self.twin_apart = float(np.abs(end - twin.flat_parameters()).max())
        return self

    def _compare_rates(self) -> None:
        """Hold the learning rates that the two schedulers have set against each other; free runs have the same ones."""
        hand, autograd = self.hand.lr, self.autograd.lr
        apart, allowed = abs(hand - autograd), RATES * float(np.finfo(np.float64).eps) * abs(autograd)
        if self.lockstep.failure is None and not apart <= allowed:
            reason = f"the schedulers set {hand!r} by hand, {autograd!r} with autograd"
            self.lockstep.failure = Failure(self.lockstep.steps, "lr", apart, 0.0, allowed, reason)

    def _compared_ends(self) -> list[End]:
        if isinstance(self.lockstep, NamedLockstep):
            return compare_named_ends(self.experiment, self.lockstep.hand, self.autograd, self.lockstep.wide)
        return compare_ends(self.experiment, self.lockstep.hand, self.autograd)


def compare(experiment: Experiment, device: str = "cpu") -> Comparison:
    """Run `experiment` on both sides from the same initial weights, and return what was found."""
    comparison = Comparison(experiment, device)
    check_length(experiment, len(comparison.data.inputs))
    return comparison.train()
