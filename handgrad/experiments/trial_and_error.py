"""One weight, found by trial and error and then by gradient descent."""

import numpy as np

from handgrad.comparison import Comparison
from handgrad.data import Data
from handgrad.experiment import Experiment, Network
from handgrad.experiments._gates import HALF_SSE, PART_1, perceptron_state


def trials(comparison: Comparison) -> list[str]:
    """Return the tutorial's three trials, computed by both sides: W = 3, then 4 (worse), then 2 (right)."""
    lines = ["Trial and error: the same network with W set by hand"]
    data = comparison.data
    for weight in (3.0, 4.0, 2.0):
        hand, autograd = comparison.outputs_with(perceptron_state([weight], None), data.inputs)
        errors = np.abs(hand - data.targets)
        same = "both sides alike" if np.array_equal(hand, autograd) else "THE SIDES DIFFER"
        lines.append(
            f"  W = {weight:g}: outputs {' '.join(f'{y:g}' for y in hand.ravel())}, errors "
            f"{' '.join(f'{e:g}' for e in errors.ravel())}, sum {errors.sum():g}, "
            f"{int((errors > 0).sum())} of {errors.size} wrong ({same})"
        )
    return lines


EXPERIMENT = Experiment(
    name="trial_and_error",
    title="one weight, output = W * input: trial and error with W = 3, 4, 2, then gradient descent from 3",
    source=f"{PART_1}, the trial-and-error example",
    kind="training",
    data=lambda: Data(
        np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([[0.0], [2.0], [4.0], [6.0]]), ("input",), rows=tuple("0123")
    ),
    network=Network("mlp", (1, 1), bias=False, output="identity"),
    weights=lambda seed, network: perceptron_state([3.0], None),
    loss=HALF_SSE,
    report=HALF_SSE,
    lr=0.05,
    epochs=20,
    remarks=trials,
)
