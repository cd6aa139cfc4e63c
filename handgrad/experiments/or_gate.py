"""A perceptron learns OR."""

from handgrad.experiment import Experiment, Network
from handgrad.experiments._gates import HALF_SSE, PART_1, PUBLISHED_NOTE, gate, perceptron_state, published

PERCEPTRON = Network("perceptron", (2, 1))

EXPERIMENT = Experiment(
    name="or_gate",
    title="a perceptron with a bias learns OR",
    source=f"{PART_1}, OR with a bias",
    kind="training",
    data=lambda: gate(0, 1, 1, 1),
    network=PERCEPTRON,
    weights=lambda seed, network: perceptron_state([0.1, 0.2], 0.3),
    loss=HALF_SSE,
    report=HALF_SSE,
    report_every=100,
    lr=0.05,
    epochs=10_000,
    published=published(PERCEPTRON),
    published_note=PUBLISHED_NOTE,
)
