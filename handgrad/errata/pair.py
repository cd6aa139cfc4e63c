"""Both sides of one experiment, from identical weights, and the trainings that several entries share."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from handgrad import experiments
from handgrad.experiment import Experiment, Loss
from handgrad.experiments._gates import HALF_SSE, perceptron_state
from handgrad.experiments.virus import patients
from handgrad.loop import run
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide

Array = np.ndarray[Any, np.dtype[Any]]
SIGNED_SUM = Loss("signed_error", 1.0, "sum")
MEAN_SE = Loss("squared_error", 1.0, "mean")

__all__ = ["HALF_SSE", "MEAN_SE", "SIGNED_SUM", "Pair", "or_gate", "people", "start", "trained", "virus"]


@dataclass(frozen=True, eq=False)
class Pair:
    """The hand-written and autograd's side of one experiment; everything is asked of both."""

    experiment: Experiment
    hand: ManualSide
    autograd: TorchSide

    def step(self, rows: Array) -> None:
        """Train both sides on these rows, counted from 0."""
        self.hand.step(rows)
        self.autograd.step(rows)

    def outputs(self, inputs: Any) -> tuple[Array, Array]:
        """Return both sides' outputs, one for each row of inputs (N, F)."""
        rows = np.array(inputs, dtype=np.float64)
        return self.hand.predict(rows).ravel(), self.autograd.predict(rows).ravel()

    def losses(self, loss: Loss = HALF_SSE) -> tuple[float, float]:
        """Return `loss` over all samples on both sides."""
        return self.hand.report(loss), self.autograd.report(loss)

    def gradients(self) -> dict[str, tuple[Array, Array]]:
        """Return the last step's gradients on both sides, by the parameter's name, flat."""
        shapes = self.hand.shapes()
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1]
        parts = zip(
            np.split(self.hand.flat_gradients(), ends), np.split(self.autograd.flat_gradients(), ends), strict=True
        )
        return dict(zip(shapes, parts, strict=True))

    def weights(self) -> tuple[Array, Array]:
        """Return all parameters of both sides as one vector each, in order of the layers."""
        return self.hand.flat_parameters(), self.autograd.flat_parameters()


def start(experiment: Experiment) -> Pair:
    """Return both sides of `experiment` with its initial weights."""
    data, state = experiment.data(), experiment.weights(experiment.seed, experiment.network)
    return Pair(experiment, ManualSide(experiment, data, state), TorchSide(experiment, data, state))


def trained(experiment: Experiment) -> Pair:
    """Return both sides after the whole training, each on its own."""
    pair = start(experiment)
    run(experiment, len(experiment.data().inputs), pair.step, lambda epoch: None)
    return pair


# What follows is shared between entries. Nobody may train these pairs any further.


@cache
def or_gate(rate: float = 0.05, *, published: bool = True, bias: bool = True) -> Pair:
    """OR after 10,000 epochs."""
    experiment = experiments.get("or_gate" if bias else "or_gate_no_bias")
    return trained(replace(experiment.as_published() if published else experiment, lr=rate))


@cache
def virus(rows: tuple[int, ...] | None = None, *, published: bool = True, bias: float = 0.3) -> Pair:
    """The virus case after 10,000 epochs, with these rows (counted from 0) and this initial bias."""
    experiment = experiments.get("virus")
    experiment = experiment.as_published() if published else experiment
    state = perceptron_state([0.1, 0.2, 0.3, 0.4], bias)
    return trained(replace(experiment, data=lambda: patients(rows), weights=lambda seed, network: state))


@cache
def people(seed: int, order: Any = "fixed") -> Pair:
    """The complete network on four people after 1,000 epochs."""
    return trained(replace(experiments.get("people"), seed=seed, order=order))
