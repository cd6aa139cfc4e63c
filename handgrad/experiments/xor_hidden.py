"""Part II: XOR with a hidden layer of four units and no biases."""

import numpy as np

from handgrad.experiment import Experiment, Network, State
from handgrad.experiments._gates import HALF_SSE, PART_2, gate


def weights(seed: int, network: Network) -> State:
    """Uniform in [0, 1), hidden layer first, inputs by units, as `np.random.rand(2, 4)` and `rand(4, 1)` draw."""
    random = np.random.RandomState(seed)
    return {"0.weight": random.rand(2, 4).T.copy(), "2.weight": random.rand(4, 1).T.copy()}


EXPERIMENT = Experiment(
    name="xor_hidden",
    title="XOR with a hidden layer of four sigmoid units, no biases, 200,000 epochs",
    source=f"{PART_2}, XOR with a hidden layer",
    kind="training",
    data=lambda: gate(0, 1, 1, 0),
    network=Network("mlp", (2, 4, 1), bias=False),
    weights=weights,
    loss=HALF_SSE,
    report=HALF_SSE,
    report_every=2000,
    lr=0.05,
    epochs=200_000,
    slow=True,
)
