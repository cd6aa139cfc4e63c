"""A perceptron without a bias cannot learn OR: at (0, 0) its output is 0.5, whatever the weights."""

from handgrad.experiment import Experiment, Network
from handgrad.experiments._gates import HALF_SSE, PART_1, PUBLISHED_NOTE, gate, perceptron_state, published

PERCEPTRON = Network("perceptron", (2, 1), bias=False)

EXPERIMENT = Experiment(
    name="or_gate_no_bias",
    title="the same without a bias: (0, 0) stays at exactly 0.5",
    source=f"{PART_1}, OR without a bias",
    kind="training",
    data=lambda: gate(0, 1, 1, 1),
    network=PERCEPTRON,
    weights=lambda seed, network: perceptron_state([0.1, 0.2], None),
    loss=HALF_SSE,
    report=HALF_SSE,
    report_every=100,
    lr=0.05,
    epochs=10_000,
    published=published(PERCEPTRON),
    published_note=PUBLISHED_NOTE,
)
