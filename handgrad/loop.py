"""Epochs, batches and reports: written once, for both sides."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from handgrad.experiment import Experiment

Array = np.ndarray[Any, np.dtype[Any]]


class Batch(NamedTuple):
    """The rows of one step, the epoch that it is of, and whether it is that epoch's first or last step."""

    epoch: int
    rows: Array
    first: bool
    last: bool


class Order:
    """Which rows each step takes, drawn once for both sides from default_rng([seed, 1]).

    Order fixed takes the rows as they stand, shuffle draws a permutation each epoch, replacement draws every row anew,
    so that an epoch may miss some and meet others twice.

    `epoch` and `start` are the place of the next step, an epoch and how many of its rows are taken, `step` how many
    steps were taken. `state()` says the place so that an order of the same experiment can go on from it: with the
    generator as it was before it drew the epoch's rows, which are then drawn again.
    """

    def __init__(self, experiment: Experiment, samples: int) -> None:
        self.how, self.samples, self.size = experiment.order, samples, experiment.batch_size or samples
        self.epoch = self.start = self.step = 0
        self._random = np.random.default_rng([experiment.seed, 1])
        self._before = self._random.bit_generator.state
        self._rows: Array | None = None  # of this epoch, once they are asked for

    @property
    def steps_per_epoch(self) -> int:
        """How many steps an epoch has; the last of them may have fewer rows."""
        return -(-self.samples // self.size)

    def peek(self) -> Array:
        """Return the rows of the next step, without taking it."""
        if self._rows is None:
            self._before = self._random.bit_generator.state
            self._rows = drawn(self.how, self.samples, self._random)
        return self._rows[self.start : self.start + self.size]

    def next(self) -> Batch:
        """Take the next step's rows."""
        rows = self.peek()
        batch = Batch(self.epoch, rows, self.start == 0, self.start + self.size >= self.samples)
        self.step += 1
        self.start += self.size
        if batch.last:
            self.epoch, self.start, self._rows = self.epoch + 1, 0, None
        return batch

    def state(self) -> dict[str, Any]:
        """Return the place of the next step, as plain values."""
        random = self._random.bit_generator.state if self._rows is None else self._before
        return {"epoch": self.epoch, "start": self.start, "step": self.step, "random": random}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a place that `state` has said."""
        self.epoch, self.start, self.step = state["epoch"], state["start"], state["step"]
        self._random.bit_generator.state = state["random"]
        self._rows = None


def drawn(how: str, samples: int, random: np.random.Generator) -> Array:
    """Return the rows of one epoch in the order in which they are taken."""
    if how == "shuffle":
        return random.permutation(samples)
    return random.integers(samples, size=samples) if how == "replacement" else np.arange(samples)


def report_due(experiment: Experiment, epoch: int) -> bool:
    """Return whether the loss is reported at this epoch: every so many, and always at the last."""
    return epoch % experiment.report_every == 0 or epoch == experiment.epochs - 1


def schedule_due(experiment: Experiment, batch: Batch) -> bool:
    """Return whether the scheduler steps after this batch."""
    scheduler = experiment.scheduler
    return scheduler is not None and (scheduler.every == "step" or batch.last)


def run(
    experiment: Experiment,
    samples: int,
    step: Callable[[Array], object],
    report: Callable[[int], object],
    schedule: Callable[[], object] = lambda: None,
) -> None:
    """Call `step(rows)` for every batch of every epoch, and `report(epoch)` whenever the experiment reports.

    `schedule()` is called whenever the experiment's scheduler steps.
    The order depends on the seed alone, so that every run of an experiment, on whichever side, sees the same rows.
    """
    order = Order(experiment, samples)
    while order.epoch < experiment.epochs:
        batch = order.next()
        due = report_due(experiment, batch.epoch)
        if due and batch.first and experiment.report_when == "before":
            report(batch.epoch)
        step(batch.rows)
        if schedule_due(experiment, batch):
            schedule()
        if due and batch.last and experiment.report_when == "after":
            report(batch.epoch)
