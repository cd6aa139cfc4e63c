"""A perceptron without a bias cannot learn OR: at (0, 0) its output is 0.5, whatever the weights."""

from handgrad.experiment import Network
from handgrad.experiments._gates import PART_1, gate, perceptron, perceptron_state

EXPERIMENT = perceptron(
    Network("perceptron", (2, 1), bias=False),
    name="or_gate_no_bias",
    title="the same without a bias: (0, 0) stays at exactly 0.5",
    source=f"{PART_1}, OR without a bias",
    data=lambda: gate(0, 1, 1, 1),
    weights=lambda seed, network: perceptron_state([0.1, 0.2], None),
)
