"""Part I's worked example: one sample through one perceptron, and one update."""

import numpy as np

from handgrad.comparison import Comparison
from handgrad.data import Data
from handgrad.experiment import Experiment, Network
from handgrad.experiments._gates import HALF_SSE, PART_1, PUBLISHED_NOTE, perceptron_state, published


def every_intermediate(comparison: Comparison) -> list[str]:
    """Return ino1, outo1, E and the factors of the chain rule, as part I works them out."""
    return [
        "Every intermediate: 0 Linear is ino1, 1 Sigmoid is outo1; d_L_d_(1 ...) is dE/dout, d_L_d_(0 ...) is",
        "dE/dout * dout/din, and times din/dw2 = x2 = 1 that is dE/dw2",
        *comparison.intermediates(),
    ]


PERCEPTRON = Network("perceptron", (2, 1))

EXPERIMENT = Experiment(
    name="or_worked",
    title="one step by hand: x = (0, 1), w = (0.2, 0.3), bias weight 0.5, target 1; output 0.68997",
    source=f"{PART_1}, the worked example of OR",
    kind="step",
    data=lambda: Data(np.array([[0.0, 1.0]]), np.array([[1.0]]), ("x1", "x2"), labels=("0", "1"), rows=("0,1",)),
    network=PERCEPTRON,
    weights=lambda seed, network: perceptron_state([0.2, 0.3], 0.5),
    loss=HALF_SSE,
    report=HALF_SSE,
    lr=0.05,
    published=published(PERCEPTRON),
    published_note=PUBLISHED_NOTE,
    remarks=every_intermediate,
)
