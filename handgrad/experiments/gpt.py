"""A small GPT reads first names letter by letter, and says which letter comes next."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from handgrad.data import Data
from handgrad.data.names import ALPHABET, LENGTH, census
from handgrad.experiment import Experiment, Loss, Network, Optimizer
from handgrad.experiments._names import sampled
from handgrad.weights import by_network

if TYPE_CHECKING:
    from handgrad.comparison import Comparison

EMBEDDING = 32
OPTIONS = (
    *(("vocabulary", len(ALPHABET)), ("block_size", LENGTH), ("n_embd", EMBEDDING), ("n_head", 4), ("n_layer", 2)),
)


def network_for(network: Network, data: Data) -> Network:
    """Return the network with the characters of these samples as its vocabulary, and a position for each of a row."""
    count = len(data.classes)
    options = dict(network.options) | {"vocabulary": count, "block_size": data.inputs.shape[1]}
    return replace(network, sizes=(count, *network.sizes[1:-1], count), options=tuple(options.items()))


def remarks(comparison: "Comparison") -> list[str]:
    """Return why free runs part, with the gradient that is nothing but rounding, and what both sides write."""
    hand, autograd = (comparison.lockstep.first_gradients(side) for side in ("hand", "autograd"))
    name = "h.0.attn.in_proj_bias"
    keys = slice(EMBEDDING, 2 * EMBEDDING)  # the biases of query, key and value stand one behind the other
    sizes = [float(np.abs(grads[name][keys]).max()) for grads in (hand, autograd)]
    other = float(np.abs(autograd[name]).max())
    apart, twin = f"{comparison.apart:.1e}", f"{comparison.twin_apart:.1e}"
    return [
        "The keys' biases have no gradient: each adds the same to all scores of a query, and softmax does not notice.",
        f"What stands there at the first step, {sizes[0]:.1e} by hand and {sizes[1]:.1e} with autograd at most, is",
        f"rounding (the largest of all those biases has {other:.1e}). Adam divides a gradient by its own size, so that",
        f"steps of full length come of it. Running free the sides end {apart} apart, as a twin does that started one",
        f"rounding away ({twin}), while every step from one and the same state agrees.",
        "",
        *sampled(comparison),
    ]


EXPERIMENT = Experiment(
    name="gpt",
    title="a GPT with two blocks learns to write first names, letter by letter",
    source="US Census 1990, 5,163 first names (see handgrad/data/names.md)",
    kind="training",
    data=census,
    network=Network("gpt", (len(ALPHABET), EMBEDDING, len(ALPHABET)), output="identity", options=OPTIONS),
    network_for=network_for,
    weights=by_network,
    loss=Loss("classes"),
    report=Loss("classes"),
    optimizer=Optimizer("Adam"),
    lr=0.005,
    epochs=3,
    batch_size=64,
    order="shuffle",
    dtype="float32",
    remarks=remarks,
)
