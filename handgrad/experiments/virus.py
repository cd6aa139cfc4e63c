"""A perceptron weighs four symptoms."""

import numpy as np

from handgrad.comparison import Comparison
from handgrad.data import Data
from handgrad.experiment import Experiment, Network
from handgrad.experiments._gates import HALF_SSE, PART_1, PUBLISHED_NOTE, perceptron_state, published

PERCEPTRON = Network("perceptron", (4, 1))
SYMPTOMS = ("loss of smell", "weight loss", "runny nose", "body pain")


def patients(rows: tuple[int, ...] | None = None) -> Data:
    """Return the eight patients, or those of the rows given (counted from 0)."""
    table = np.array(
        [
            [1, 0, 0, 1, 1],
            [1, 0, 0, 0, 1],
            [0, 0, 1, 1, 0],
            [0, 1, 0, 0, 0],
            [1, 1, 0, 0, 1],
            [0, 0, 1, 1, 1],
            [0, 0, 0, 1, 0],
            [0, 0, 1, 0, 0],
        ],
        dtype=np.float64,
    )
    table = table if rows is None else table[list(rows)]
    return Data(
        inputs=table[:, :4],
        targets=table[:, 4:],
        features=SYMPTOMS,
        labels=("negative", "positive"),
        asked=(("1,0,0,1", (1, 0, 0, 1)), ("0,0,1,0", (0, 0, 1, 0)), ("1,0,1,0", (1, 0, 1, 0))),
    )


def ranking(comparison: Comparison) -> list[str]:
    """Return the symptoms by weight: the higher a weight, the more its symptom raises the output."""
    weights = comparison.final_hand["0.weight"][0]
    order = np.argsort(-np.abs(weights))
    ranked = ", ".join(f"{comparison.experiment.data().features[i]} {weights[i]:.4f}" for i in order)
    return [f"Weights, largest first: {ranked}"]


EXPERIMENT = Experiment(
    name="virus",
    title="a perceptron learns from eight patients which symptoms point to a virus",
    source=f"{PART_1}, the virus case",
    kind="training",
    data=patients,
    network=PERCEPTRON,
    weights=lambda seed, network: perceptron_state([0.1, 0.2, 0.3, 0.4], 0.3),
    loss=HALF_SSE,
    report=HALF_SSE,
    report_every=100,
    lr=0.05,
    epochs=10_000,
    published=published(PERCEPTRON),
    published_note=PUBLISHED_NOTE,
    remarks=ranking,
)
