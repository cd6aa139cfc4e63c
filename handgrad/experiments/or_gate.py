"""A perceptron learns OR."""

from handgrad.experiment import Network
from handgrad.experiments._gates import PART_1, gate, perceptron, perceptron_state

EXPERIMENT = perceptron(
    Network("perceptron", (2, 1)),
    name="or_gate",
    title="a perceptron with a bias learns OR",
    source=f"{PART_1}, OR with a bias",
    data=lambda: gate(0, 1, 1, 1),
    weights=lambda seed, network: perceptron_state([0.1, 0.2], 0.3),
)
