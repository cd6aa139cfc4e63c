"""Truth tables of two inputs, and the settings that part I and part II use for all of them."""

from dataclasses import replace
from typing import Any

import numpy as np

from handgrad.data import Data
from handgrad.experiment import Experiment, Loss, Network, State

PART_1 = 'Shukla and Iriondo, "Neural Networks from Scratch with Python Code and Math in Detail I"'
PART_2 = 'Shukla and Iriondo, "Building Neural Networks with Python Code and Math in Detail II"'
HALF_SSE = Loss("squared_error", 0.5, "sum")
PUBLISHED_NOTE = "the sigmoid's derivative is taken at its output, sigmoid'(sigmoid(z)), as the tutorial's code has it"


def gate(*outputs: int) -> Data:
    """Return the table 00, 01, 10, 11 with these outputs."""
    return Data(
        inputs=np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float64),
        targets=np.array(outputs, dtype=np.float64).reshape(4, 1),
        features=("x1", "x2"),
        labels=("0", "1"),
        rows=("0,0", "0,1", "1,0", "1,1"),
    )


def perceptron(network: Network, **settings: Any) -> Experiment:
    """Return an experiment as part I trains all its perceptrons: full batch, rate 0.05, 10,000 epochs."""
    return Experiment(
        kind="training",
        network=network,
        loss=HALF_SSE,
        report=HALF_SSE,
        report_every=100,
        lr=0.05,
        epochs=10_000,
        published=published(network),
        published_note=PUBLISHED_NOTE,
        **settings,
    )


def published(network: Network) -> dict[str, Any]:
    """Return the changes that make a perceptron learn, and report, as part I published it."""
    return {
        "network": replace(network, published=True),
        "report": Loss("signed_error", 1.0, "sum"),
        "report_when": "before",
    }


def perceptron_state(weights: list[float], bias: float | None) -> State:
    """Return a perceptron's state from the tutorial's numbers."""
    state = {"0.weight": np.array([weights], dtype=np.float64)}
    return state if bias is None else state | {"0.bias": np.array([bias], dtype=np.float64)}
