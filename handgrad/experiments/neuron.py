"""One neuron, forward only."""

import numpy as np

from handgrad.data import Data
from handgrad.experiment import Experiment, Network

EXPERIMENT = Experiment(
    name="neuron",
    title="one neuron: w = [0, 1], b = 4, x = [2, 3]",
    source='Zhou, "Machine Learning for Beginners", Building Blocks: Neurons',
    kind="forward",
    data=lambda: Data(np.array([[2.0, 3.0]]), np.zeros((1, 1)), ("x1", "x2")),
    network=Network("neuron", (2, 1)),
    weights=lambda seed, network: {"weight": np.array([0.0, 1.0]), "bias": np.array(4.0)},
)
