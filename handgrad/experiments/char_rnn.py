"""A recurrent network reads first names letter by letter, and says which letter comes next."""

from dataclasses import replace

from handgrad.data import Data
from handgrad.data.names import ALPHABET, census
from handgrad.experiment import Experiment, Loss, Network, Optimizer
from handgrad.experiments._names import sampled
from handgrad.weights import by_network

SIZES = {"embedding_dim": 16, "hidden_size": 48}


def network(cell: str) -> Network:
    """Return the network with this kind of cell."""
    options: tuple[tuple[str, int | str], ...] = (("vocabulary", len(ALPHABET)), *SIZES.items(), ("cell", cell))
    return Network("char_rnn", (len(ALPHABET), *SIZES.values(), len(ALPHABET)), output="identity", options=options)


def network_for(network: Network, data: Data) -> Network:
    """Return the network with the characters of these samples as its vocabulary."""
    count = len(data.classes)
    options = dict(network.options) | {"vocabulary": count}
    return replace(network, sizes=(count, *network.sizes[1:-1], count), options=tuple(options.items()))


EXPERIMENT = Experiment(
    name="char_rnn",
    title="a recurrent network learns to write first names, letter by letter",
    source="US Census 1990, 5,163 first names (see handgrad/data/names.md)",
    kind="training",
    data=census,
    network=network("gru"),
    network_for=network_for,
    cells={cell: network(cell) for cell in ("rnn", "gru", "lstm")},
    weights=by_network,
    loss=Loss("classes"),
    report=Loss("classes"),
    optimizer=Optimizer("Adam"),
    lr=0.01,
    epochs=4,
    batch_size=64,
    order="shuffle",
    dtype="float32",
    remarks=sampled,
)
