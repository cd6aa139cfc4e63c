"""A perceptron weighs four symptoms."""

import numpy as np

from handgrad.comparison import Comparison
from handgrad.data import Data
from handgrad.experiment import Network
from handgrad.experiments._gates import PART_1, perceptron, perceptron_state

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
    ranked = ", ".join(f"{comparison.data.features[i]} {weights[i]:.4f}" for i in order)
    return [f"Weights, largest first: {ranked}"]


EXPERIMENT = perceptron(
    Network("perceptron", (4, 1)),
    name="virus",
    title="a perceptron learns from eight patients which symptoms point to a virus",
    source=f"{PART_1}, the virus case",
    data=patients,
    weights=lambda seed, network: perceptron_state([0.1, 0.2, 0.3, 0.4], 0.3),
    remarks=ranking,
)
