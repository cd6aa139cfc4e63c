"""Random networks that are right: a forward in torch, a backward by hand in NumPy, parameters and inputs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays
from parity_tests.mistakes.random_pieces import (
    Draw,
    Piece,
    Shape,
    activation,
    gate,
    layer_norm,
    linear,
    rms_norm,
    sigmoid,
    softmax,
    tied,
)
from parity_tests.mistakes.random_steps import embedding, mixing, recurrence, residual, together, windows

Network = tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any], Arrays, Arrays]
Loss = tuple[Callable[[Any, Any], Any], Callable[[Array, Arrays], tuple[Any, Array]], Arrays]

ANYWHERE = [linear, linear, linear, activation, activation, layer_norm, rms_norm, softmax, tied, gate, residual]
WITH_STEPS = [windows, mixing, recurrence, together]


def random_network(rng: np.random.Generator, mild: bool = False) -> Network:
    """(forward, backward, params, inputs): one to four layers, with all, some or none of their outputs named.

    Unless `mild`, the loss may be scaled, weights badly scaled, zero or whole, and the batch a single sample.
    """
    draw = Draw(rng, mild)
    pieces, data = body(draw)
    name, (of_torch, by_hand, target) = next(iter(data)), loss(draw, pieces[-1].shape)
    scale = 1.0 if mild or draw.yes() else float(10 ** rng.uniform(-6, 6))
    share = rng.choice([0.0, 0.5, 1.0])
    named = [i for i in range(len(pieces)) if draw.yes(share)]
    handed = {i: str(rng.choice(["both", "both", "value", "gradient"])) for i in named}

    def forward(params: Any, inputs: Any) -> Any:
        x, seen = inputs[name], {}
        for number, piece in enumerate(pieces):
            x = piece.torch(x, params)
            if number in handed:
                seen[f"h{number}"] = x
        return scale * of_torch(x, inputs), seen

    def backward(params: Arrays, inputs: Arrays) -> tuple[Any, Arrays, Arrays]:
        x, backs, seen = inputs[name], [], {}
        for number, piece in enumerate(pieces):
            x, back = piece.numpy(x, params)
            backs.append(back)
            if handed.get(number) in ("both", "value"):
                seen[f"h{number}"] = x
        value, dx = by_hand(x, inputs)
        dx = scale * dx
        grads = {key: np.zeros_like(array) for key, array in params.items()}
        for number in reversed(range(len(pieces))):
            if handed.get(number) in ("both", "gradient"):
                seen[f"dh{number}"] = dx
            dx = backs[number](dx, grads)
        if inputs[name].dtype.kind == "f":
            seen["d" + name] = dx
        return scale * value, grads, seen

    return forward, backward, draw.params, data | target


def body(draw: Draw) -> tuple[list[Piece], Arrays]:
    """The layers, and what they read: numbers, or indices into a table."""
    n = 1 if not draw.mild and draw.yes(0.1) else draw.size(3, 6)
    shape: Shape = (n, draw.size(3, 5), draw.size()) if draw.yes(0.4) else (n, draw.size())
    pieces: list[Piece] = []
    data = {"x": draw.numbers(*shape, scale=1.0)}
    if draw.yes(0.2):
        data = {"words": draw.rng.integers(0, 4, shape[:-1] if len(shape) == 3 else (n, 3))}
        pieces.append(embedding(draw, data["words"]))
        shape = pieces[-1].shape
    for _ in range(draw.size(1, 4)):
        choice = [*ANYWHERE, *WITH_STEPS] if len(shape) == 3 and shape[1] > 1 else ANYWHERE
        pieces.append(choice[draw.rng.integers(len(choice))](draw, shape))
        shape = pieces[-1].shape
    if not draw.params or draw.yes(0.7):
        pieces.append(linear(draw, shape))
    return pieces, data


def loss(draw: Draw, shape: Shape) -> Loss:
    """A loss for an output of this shape: (in torch, in NumPy with the gradient, its target)."""
    kinds = ["squares", "half squares", "yes or no", "classes", "smoothed classes"]
    kind = str(draw.rng.choice(kinds))
    if kind in ("squares", "half squares"):
        return squares(draw, shape, half=kind == "half squares")
    if kind == "yes or no":
        return yes_or_no(draw, shape)
    return classes(draw, shape, 0.1 if kind == "smoothed classes" else 0.0)


def squares(draw: Draw, shape: Shape, half: bool) -> Loss:
    def of_torch(x: Any, inputs: Any) -> Any:
        return 0.5 * ((x - inputs["t"]) ** 2).sum() / shape[0] if half else F.mse_loss(x, inputs["t"])

    def by_hand(x: Array, inputs: Arrays) -> tuple[Any, Array]:
        r = x - inputs["t"]
        return ((r * r).sum() / (2 * shape[0]), r / shape[0]) if half else ((r * r).mean(), 2 * r / r.size)

    return of_torch, by_hand, {"t": draw.numbers(*shape, scale=1.0)}


def yes_or_no(draw: Draw, shape: Shape) -> Loss:
    def by_hand(x: Array, inputs: Arrays) -> tuple[Any, Array]:
        each = np.maximum(x, 0) - x * inputs["t"] + np.log1p(np.exp(-np.abs(x)))
        return each.mean(), (sigmoid(x) - inputs["t"]) / x.size

    target = draw.rng.integers(0, 2, shape).astype(float) if draw.yes() else draw.rng.random(shape)
    return lambda x, inputs: F.binary_cross_entropy_with_logits(x, inputs["t"]), by_hand, {"t": target}


def classes(draw: Draw, shape: Shape, smoothing: float) -> Loss:
    c = shape[-1]

    def of_torch(x: Any, inputs: Any) -> Any:
        return F.cross_entropy(x.reshape(-1, c), inputs["labels"].reshape(-1), label_smoothing=smoothing)

    def by_hand(x: Array, inputs: Arrays) -> tuple[Any, Array]:
        shifted = x - x.max(axis=-1, keepdims=True)
        logp = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        q = (1 - smoothing) * np.eye(c)[inputs["labels"]] + smoothing / c
        rows = x.size / c
        return -(q * logp).sum() / rows, (np.exp(logp) - q) / rows

    return of_torch, by_hand, {"labels": draw.rng.integers(0, c, shape[:-1])}
