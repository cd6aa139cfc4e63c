"""One case of every class that torch.nn has too: how it is built, and what it is given. Imports no torch.

`build(nn)` builds the module of either side; floats among the inputs have gradients, integers have none.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Case(NamedTuple):
    """How a module is built, and the arrays that forward is given."""

    build: Callable[[Any], Any]
    inputs: tuple[Array, ...]


def normal(*shape: int) -> Array:
    """Return standard normal numbers, the same for every shape."""
    return np.random.default_rng([11, *shape]).standard_normal(shape)


def share(*shape: int) -> Array:
    """Return numbers in (0.05, 0.95)."""
    return np.random.default_rng([12, *shape]).uniform(0.05, 0.95, shape)


def classes(*shape: int, of: int) -> Array:
    """Return integers from 0 to of - 1."""
    return np.random.default_rng([13, *shape]).integers(0, of, shape)


def signs(*shape: int) -> Array:
    """Return 1 and -1."""
    return np.random.default_rng([14, *shape]).choice([-1.0, 1.0], shape)


TABLE, IMAGES, VOLUMES, ROWS = normal(3, 4), normal(2, 4, 5, 6), normal(2, 2, 4, 3, 5), normal(2, 4, 7)
ELEMENTWISE = (
    *("Sigmoid", "Tanh", "ReLU", "LeakyReLU", "PReLU", "ELU", "CELU", "SELU", "GELU", "SiLU", "Softplus", "Mish"),
    *("LogSigmoid", "ReLU6", "Hardtanh", "Hardsigmoid", "Hardswish", "Hardshrink", "Softshrink", "Softsign"),
    *("Tanhshrink", "GLU", "Identity"),
)
PAIRS = ["MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"]


def plain(name: str, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
    """Return a `build` of one class."""
    return lambda nn: getattr(nn, name)(*arguments, **options)


CASES: dict[str, Case] = {
    **{name: Case(plain(name), (TABLE,)) for name in ELEMENTWISE},
    **{name: Case(plain(name, 1), (TABLE,)) for name in ("Softmax", "LogSoftmax", "Softmin")},
    "Softmax2d": Case(plain("Softmax2d"), (IMAGES,)),
    "Threshold": Case(plain("Threshold", 0.2, -1.0), (TABLE,)),
    **{name: Case(plain(name), (TABLE, normal(4, 3).T)) for name in PAIRS},
    "BCELoss": Case(plain("BCELoss"), (share(3, 4), share(4, 3).T)),
    "BCEWithLogitsLoss": Case(plain("BCEWithLogitsLoss"), (TABLE, share(3, 4))),
    "CrossEntropyLoss": Case(plain("CrossEntropyLoss", label_smoothing=0.1), (TABLE, classes(3, of=4))),
    "NLLLoss": Case(plain("NLLLoss"), (TABLE, classes(3, of=4))),
    "KLDivLoss": Case(plain("KLDivLoss", reduction="batchmean"), (TABLE, share(3, 4))),
    "HingeEmbeddingLoss": Case(plain("HingeEmbeddingLoss"), (TABLE, signs(3, 4))),
    "SoftMarginLoss": Case(plain("SoftMarginLoss"), (TABLE, signs(3, 4))),
    "MultiMarginLoss": Case(plain("MultiMarginLoss"), (TABLE, classes(3, of=4))),
    "MarginRankingLoss": Case(plain("MarginRankingLoss", 0.3), (normal(5), normal(6)[:5], signs(5))),
    "CosineEmbeddingLoss": Case(plain("CosineEmbeddingLoss"), (TABLE, normal(4, 3).T, signs(3))),
    "GaussianNLLLoss": Case(plain("GaussianNLLLoss"), (TABLE, normal(4, 3).T, share(3, 4))),
    "PoissonNLLLoss": Case(plain("PoissonNLLLoss"), (TABLE, share(3, 4))),
    "MultiLabelMarginLoss": Case(plain("MultiLabelMarginLoss"), (TABLE, np.array([[1, 3, -1, 0]] * 3))),
    "MultiLabelSoftMarginLoss": Case(plain("MultiLabelSoftMarginLoss"), (TABLE, share(3, 4))),
    "TripletMarginLoss": Case(plain("TripletMarginLoss"), (TABLE, normal(4, 3).T, normal(3, 5)[:, :4])),
    "Linear": Case(plain("Linear", 4, 3), (TABLE,)),
    "Bilinear": Case(plain("Bilinear", 4, 2, 3), (TABLE, normal(3, 2))),
    "Flatten": Case(plain("Flatten"), (ROWS,)),
    "Unflatten": Case(plain("Unflatten", 1, (2, 2)), (TABLE,)),
    "Embedding": Case(plain("Embedding", 5, 3, padding_idx=1), (classes(3, 4, of=5),)),
    "RReLU": Case(lambda nn: nn.RReLU().eval(), (TABLE,)),
    "Dropout": Case(lambda nn: nn.Dropout(0.3).eval(), (TABLE,)),
    "Sequential": Case(lambda nn: nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)), (TABLE,)),
    "Conv1d": Case(plain("Conv1d", 4, 6, 3, stride=2, padding=1, groups=2), (ROWS,)),
    "Conv2d": Case(plain("Conv2d", 4, 3, (3, 2), padding=(1, 0)), (IMAGES,)),
    "Conv3d": Case(plain("Conv3d", 2, 3, 2), (VOLUMES,)),
    "ConvTranspose1d": Case(plain("ConvTranspose1d", 4, 6, 3, stride=2, groups=2), (ROWS,)),
    "ConvTranspose2d": Case(plain("ConvTranspose2d", 4, 3, (3, 2)), (IMAGES,)),
    "ConvTranspose3d": Case(plain("ConvTranspose3d", 2, 3, 2), (VOLUMES,)),
    **{f"MaxPool{n}d": Case(plain(f"MaxPool{n}d", 2), (x,)) for n, x in ((1, ROWS), (2, IMAGES), (3, VOLUMES))},
    **{f"AvgPool{n}d": Case(plain(f"AvgPool{n}d", 2), (x,)) for n, x in ((1, ROWS), (2, IMAGES), (3, VOLUMES))},
    **{
        f"Adaptive{kind}Pool{n}d": Case(plain(f"Adaptive{kind}Pool{n}d", 2), (x,))
        for kind in ("Avg", "Max")
        for n, x in ((1, ROWS), (2, IMAGES), (3, VOLUMES))
    },
    **{
        f"{kind}Pad{n}d": Case(plain(f"{kind}Pad{n}d", 1), (x,))
        for kind in ("Zero", "Reflection", "Replication", "Circular")
        for n, x in ((1, ROWS), (2, IMAGES), (3, VOLUMES))
    },
    **{
        f"ConstantPad{n}d": Case(plain(f"ConstantPad{n}d", 1, 0.5), (x,))
        for n, x in ((1, ROWS), (2, IMAGES), (3, VOLUMES))
    },
    "BatchNorm1d": Case(plain("BatchNorm1d", 4), (ROWS,)),
    "BatchNorm2d": Case(plain("BatchNorm2d", 4), (IMAGES,)),
    "BatchNorm3d": Case(plain("BatchNorm3d", 2), (VOLUMES,)),
    "InstanceNorm1d": Case(plain("InstanceNorm1d", 4), (ROWS,)),
    "InstanceNorm2d": Case(plain("InstanceNorm2d", 4, affine=True), (IMAGES,)),
    "InstanceNorm3d": Case(plain("InstanceNorm3d", 2), (VOLUMES,)),
    "LayerNorm": Case(plain("LayerNorm", 4), (TABLE,)),
    "GroupNorm": Case(plain("GroupNorm", 2, 4), (ROWS,)),
    "RMSNorm": Case(plain("RMSNorm", 4), (TABLE,)),
    "LocalResponseNorm": Case(plain("LocalResponseNorm", 3), (ROWS,)),
    "RNN": Case(plain("RNN", 4, 3), (normal(5, 2, 4),)),
    "LSTM": Case(plain("LSTM", 4, 3, bidirectional=True), (normal(5, 2, 4),)),
    "GRU": Case(plain("GRU", 4, 3, num_layers=2), (normal(5, 2, 4),)),
    "RNNCell": Case(plain("RNNCell", 4, 2), (TABLE, normal(3, 2))),
    "LSTMCell": Case(plain("LSTMCell", 4, 2), (TABLE,)),
    "GRUCell": Case(plain("GRUCell", 4, 2), (TABLE, normal(3, 2))),
    "MultiheadAttention": Case(
        plain("MultiheadAttention", 4, 2), (normal(3, 2, 4), normal(5, 2, 4), normal(5, 2, 4) / 2)
    ),
    "TransformerEncoderLayer": Case(plain("TransformerEncoderLayer", 4, 2, 5, 0.0), (normal(3, 2, 4),)),
    "TransformerDecoderLayer": Case(plain("TransformerDecoderLayer", 4, 2, 5, 0.0), (normal(3, 2, 4), normal(5, 2, 4))),
    "TransformerEncoder": Case(
        lambda nn: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 5, 0.0), 2, enable_nested_tensor=False),
        (normal(3, 2, 4),),
    ),
    "TransformerDecoder": Case(
        lambda nn: nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 5, 0.0), 2),
        (normal(3, 2, 4), normal(5, 2, 4)),
    ),
    "Transformer": Case(plain("Transformer", 4, 2, 1, 1, 5, 0.0), (normal(5, 2, 4), normal(3, 2, 4))),
}


def leaves(structure: Any) -> list[Any]:
    """Return the leaves of a structure of tuples that are there, in order."""
    if isinstance(structure, tuple | list):
        return [leaf for part in structure for leaf in leaves(part)]
    return [] if structure is None else [structure]


def state(shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    """Return parameters and buffers for a module of these names and shapes; a variance is positive, a count 0."""
    drawn = {}
    for number, (name, shape) in enumerate(shapes.items()):
        random = np.random.default_rng([15, number])
        drawn[name] = random.uniform(0.5, 1.5, shape) if "var" in name else random.normal(size=shape)
        if "num_batches" in name:
            drawn[name] = np.zeros(shape, dtype=np.int64)
    return drawn


def upstream(outputs: list[Array]) -> list[Array]:
    """Return a gradient for each output."""
    return [np.random.default_rng([16, number]).normal(size=y.shape) for number, y in enumerate(outputs)]


def excerpt(value: Array) -> list[float]:
    """Return what is kept of a tensor: its size, its sum, the sum of its magnitudes, its first and its last entries."""
    flat = np.asarray(value, dtype=np.float64).reshape(-1)
    return [
        float(flat.size),
        float(flat.sum()),
        float(np.abs(flat).sum()),
        *map(float, flat[:3]),
        *map(float, flat[-2:]),
    ]
