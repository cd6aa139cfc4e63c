"""Three neurons in a network, forward only."""

import numpy as np

from handgrad.data import Data
from handgrad.experiment import Experiment, Network, State


def weights(seed: int, network: Network) -> State:
    """Every neuron has w = [0, 1] and b = 0."""
    neurons = [(f"{neuron}.weight", f"{neuron}.bias") for neuron in ("h1", "h2", "o1")]
    return {key: value for w, b in neurons for key, value in ((w, np.array([0.0, 1.0])), (b, np.array(0.0)))}


EXPERIMENT = Experiment(
    name="neuron_network",
    title="three neurons, h1, h2 and o1, all with w = [0, 1] and b = 0; x = [2, 3]",
    source='Zhou, "Machine Learning for Beginners", Combining Neurons into a Neural Network',
    kind="forward",
    data=lambda: Data(np.array([[2.0, 3.0]]), np.zeros((1, 1)), ("x1", "x2")),
    network=Network("neuron_network", (2, 2, 1)),
    weights=weights,
)
