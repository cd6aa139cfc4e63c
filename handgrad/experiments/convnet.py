"""A convolutional network on handwritten digits."""

from dataclasses import replace

from handgrad.data import Data
from handgrad.data.images import digits, idx_folder
from handgrad.errors import UsageError
from handgrad.experiment import Experiment, Loss, Network, Optimizer
from handgrad.weights import by_network


def network_for(network: Network, data: Data) -> Network:
    """Return the network for such images; UsageError where they are not square, or too small to pool twice."""
    height, width = data.inputs.shape[2:]
    if height != width or height < 4:
        raise UsageError(f"convnet takes square images of 4 x 4 or more, but these are {height} x {width}")
    classes = len(data.classes)
    options = (("image_size", height), ("classes", classes))
    return replace(network, sizes=(height * width, classes), options=options)


EXPERIMENT = Experiment(
    name="convnet",
    title="convolutions in the manner of LeNet tell handwritten digits apart",
    source="UCI, Optical Recognition of Handwritten Digits (1,797 images of 8 x 8, by scikit-learn)",
    kind="training",
    data=digits,
    folder=idx_folder,
    network=Network("convnet", (64, 10), output="identity", options=(("image_size", 8),)),
    network_for=network_for,
    weights=by_network,
    loss=Loss("classes"),
    report=Loss("classes"),
    optimizer=Optimizer("SGD", (("momentum", 0.9),)),
    lr=0.05,
    epochs=8,
    batch_size=32,
    order="shuffle",
    dtype="float32",
)
