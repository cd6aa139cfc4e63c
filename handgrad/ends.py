"""What both sides make of one and the same state: their outputs, and the loss that they report."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from handgrad.exact import units
from handgrad.experiment import Experiment, State
from handgrad.judging import ALLOWED, ALLOWED_OF_NOISE, judge
from handgrad.rounding import forward, reported
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide
from handgrad.weights import layers
from manual.nn.activation import sigmoid

Array = np.ndarray[Any, np.dtype[Any]]
SAMPLES = 256  # of a network of any modules, so many samples are asked about


@dataclass(frozen=True)
class End:
    """One of the two things that are compared: its largest difference, in numbers and in units, and the verdict."""

    name: str
    difference: float
    units: float
    ok: bool


def compare_ends(experiment: Experiment, hand: ManualSide, autograd: TorchSide) -> list[End]:
    """Load autograd's state into `hand`, and judge the outputs for all samples and the reported loss.

    The steps of a training do not show a wrong prediction or report: those take other ways through the code.
    """
    hand.load(autograd.state())
    inputs, targets = hand.inputs.astype(np.float64), hand.targets.astype(np.float64)
    state = {name: value.astype(np.float64) for name, value in hand.state().items()}
    with np.errstate(over="ignore", invalid="ignore"):
        activations, errors = forward(experiment, layers(experiment.network, state), inputs)
        y, e_y = activations[-1], errors[-1] + np.abs(activations[-1])
        p, e_p = y, e_y
        if experiment.from_logits:
            p = sigmoid(y)
            e_p = p * (1 - p) * e_y + 2 * p
        as_logits = experiment.from_logits and experiment.report.kind == "cross_entropy"
        eps = float(np.finfo(experiment.dtype).eps)
        out = y if as_logits else p
        loss = reported(experiment.report, out, e_y if as_logits else e_p, targets, as_logits, eps)
        found = [_end("outputs", hand.predict(hand.inputs), autograd.predict(hand.inputs), eps * e_p)]
        if experiment.kind != "forward":
            by_hand, other = (np.array(side.report(experiment.report)) for side in (hand, autograd))
            found.append(_end("reported loss", by_hand, other, eps * loss))
    return found


def compare_named_ends(experiment: Experiment, hand: ManualSide, autograd: TorchSide, wide: TorchSide) -> list[End]:
    """Load autograd's state into both others, and judge the outputs for the first samples and their reported loss.

    `wide` computes in float64; on it the size of a rounding is measured.
    """
    rows = np.arange(min(SAMPLES, len(hand.inputs)))
    hand.load(autograd.state())
    wide.load(autograd.state())

    def run(mode: Any) -> State:
        with mode or nullcontext():
            return wide.ends(rows, experiment.report)

    with np.errstate(over="ignore", invalid="ignore"):
        one = units(run, experiment.dtype)
        by_hand, other = hand.ends(rows, experiment.report), autograd.ends(rows, experiment.report)
        return [_end(name, by_hand[name], other[name], one[name], ALLOWED_OF_NOISE) for name in by_hand]


def _end(name: str, hand: Array, autograd: Array, unit: Array, allowed: float = ALLOWED) -> End:
    found = judge(hand.astype(np.float64), autograd.astype(np.float64), None, unit, allowed)
    return End(name, float(found.difference.max()), float(found.units.max()), bool(found.good.all()))
