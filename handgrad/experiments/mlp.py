"""A multi-layer perceptron on handwritten digits."""

from dataclasses import replace

from handgrad.data import Data
from handgrad.data.images import digits
from handgrad.experiment import Experiment, Loss, Network
from handgrad.experiments._images import flat, flat_folder
from handgrad.weights import by_network


def data() -> Data:
    """Return the digits as rows of 64 pixels."""
    return flat(digits())


def network_for(network: Network, data: Data) -> Network:
    """Return the network with as many inputs as an image has pixels, and an output for each class."""
    return replace(network, sizes=(data.inputs.shape[1], *network.sizes[1:-1], len(data.classes)))


EXPERIMENT = Experiment(
    name="mlp",
    title="a layered network of sigmoids tells handwritten digits apart",
    source="UCI, Optical Recognition of Handwritten Digits (1,797 images of 8 x 8, by scikit-learn)",
    kind="training",
    data=data,
    folder=flat_folder,
    network=Network("mlp", (64, 32, 10), output="identity"),
    network_for=network_for,
    weights=by_network,
    loss=Loss("classes"),
    report=Loss("classes"),
    lr=0.5,
    epochs=20,
    batch_size=32,
    order="shuffle",
    dtype="float32",
    resizable=True,
)
