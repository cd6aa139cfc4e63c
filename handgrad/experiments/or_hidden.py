"""Part II: OR with a hidden layer of three units and no biases."""

import numpy as np

from handgrad.experiment import Experiment, Network
from handgrad.experiments._gates import HALF_SSE, PART_2, gate

EXPERIMENT = Experiment(
    name="or_hidden",
    title="OR with a hidden layer of three sigmoid units, no biases, 200,000 epochs",
    source=f"{PART_2}, OR with a hidden layer",
    kind="training",
    data=lambda: gate(0, 1, 1, 1),
    network=Network("mlp", (2, 3, 1), bias=False),
    weights=lambda seed, network: {
        "0.weight": np.array([[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]]),
        "2.weight": np.array([[0.7, 0.8, 0.9]]),
    },
    loss=HALF_SSE,
    report=HALF_SSE,
    report_when="before",
    report_every=2000,
    lr=0.05,
    epochs=200_000,
    slow=True,
)
