"""A small GPT reads first names letter by letter, and says which letter comes next."""

from handgrad.data.names import ALPHABET, LENGTH, census
from handgrad.experiment import Experiment, Loss, Network, Optimizer
from handgrad.experiments._names import sampled_names
from handgrad.weights import by_network

OPTIONS = (("vocabulary", len(ALPHABET)), ("block_size", LENGTH), ("n_embd", 32), ("n_head", 4), ("n_layer", 2))

EXPERIMENT = Experiment(
    name="gpt",
    title="a GPT with two blocks learns to write first names, letter by letter",
    source="US Census 1990, 5,163 first names (see handgrad/data/names.md)",
    kind="training",
    data=census,
    network=Network("gpt", (len(ALPHABET), 32, len(ALPHABET)), output="identity", options=OPTIONS),
    weights=by_network,
    loss=Loss("classes"),
    report=Loss("classes"),
    optimizer=Optimizer("Adam"),
    lr=0.005,
    epochs=4,
    batch_size=64,
    order="shuffle",
    dtype="float32",
    remarks=sampled_names,
)
