"""Epochs, batches and reports: written once, for both sides."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from handgrad.experiment import Experiment

Array = np.ndarray[Any, np.dtype[Any]]


def batches(experiment: Experiment, samples: int, random: np.random.Generator) -> Iterator[Array]:
    """Yield one epoch's batches as row numbers.

    Order fixed takes the rows as they stand, shuffle draws a permutation each epoch, replacement draws every
    row anew, so that an epoch may miss some and meet others twice.
    """
    size = experiment.batch_size or samples
    if experiment.order == "shuffle":
        rows = random.permutation(samples)
    elif experiment.order == "replacement":
        rows = random.integers(samples, size=samples)
    else:
        rows = np.arange(samples)
    for start in range(0, samples, size):
        yield rows[start : start + size]


def run(experiment: Experiment, samples: int, step: Callable[[Array], object], report: Callable[[int], object]) -> None:
    """Call `step(rows)` for every batch of every epoch, and `report(epoch)` whenever the experiment reports.

    The order depends on the seed alone, default_rng([seed, 1]), so that every run of an experiment, on
    whichever side, sees the same rows. The last epoch is always reported.
    """
    random = np.random.default_rng([experiment.seed, 1])
    for epoch in range(experiment.epochs):
        due = epoch % experiment.report_every == 0 or epoch == experiment.epochs - 1
        if due and experiment.report_when == "before":
            report(epoch)
        for rows in batches(experiment, samples, random):
            step(rows)
        if due and experiment.report_when == "after":
            report(epoch)
