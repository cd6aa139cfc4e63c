"""Average pooling: windows side by side, a map of weights, and the mean of all positions."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, gains, normal, pick, sizes


def average(x: Array, k: int) -> Array:
    """The mean of the k x k windows side by side, (B, C, k h, k w) to (B, C, h, w)."""
    B, C, height, width = x.shape
    return x.reshape(B, C, height // k, k, width // k, k).mean(axis=(3, 5))


def average_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z = torch.einsum("bchw,co->bohw", inputs["x"], params["K"])
    a = torch.tanh(z)
    s = F.avg_pool2d(a, 2)
    w = s * params["map"]
    g = F.adaptive_avg_pool2d(w, 1).flatten(1)
    y = g @ params["W"]
    loss = F.mse_loss(y, inputs["t"])
    return loss, pick(locals(), "z a s w g y")


def average_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    K, weights, W, x, t = *params.values(), inputs["x"], inputs["t"]
    z = np.einsum("bchw,co->bohw", x, K)
    a = np.tanh(z)
    s = average(a, 2)
    w = s * weights
    g = w.mean(axis=(2, 3))
    y = g @ W
    loss = ((y - t) ** 2).mean()

    dy = 2 * (y - t) / y.size
    dW = g.T @ dy
    dg = dy @ W.T
    height, width = s.shape[2:]
    area = {"area not divided by": 1, "divided by the input's area": 4 * height * width}.get(wrong, height * width)
    dw = np.ones_like(w) * dg[:, :, None, None] / area
    dmap = (dw * s).sum(axis=(0, 1))
    if wrong == "map's gradient of one channel":
        dmap = (dw * s)[:, 0].sum(axis=0)
    ds = dw * weights
    da = np.kron(ds, np.ones((2, 2))) / {"not divided by k^2": 1, "divided by k": 2}.get(wrong, 4)
    if wrong == "to the corner alone":
        da = np.kron(ds, np.array([[1.0, 0.0], [0.0, 0.0]]))
    elif wrong == "tiled, not repeated":
        da = np.tile(ds, (1, 1, 2, 2)) / 4
    dz = da * (1 - a**2)
    dK, dx = np.einsum("bchw,bohw->co", x, dz), np.einsum("bohw,co->bchw", dz, K)
    dt = -dy
    return loss, *by_hand(locals(), "z a s w g y")


def average_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, c, o, rows, columns, k = sizes(rng, 6, high=8)
    params = {"K": normal(rng, c, o), "map": gains(rng, rows, columns), "W": 5 * normal(rng, o, k)}
    return params, {"x": normal(rng, b, c, 2 * rows, 2 * columns), "t": normal(rng, b, k)}


AVERAGE = System("average pooling", average_forward, average_backward, average_make)

MISTAKES = [
    Mistake(AVERAGE, "area not divided by", "POOL-NO-DIVIDE", "dw"),
    Mistake(AVERAGE, "divided by the input's area", "POOL-NO-DIVIDE", "dw"),
    Mistake(AVERAGE, "map's gradient of one channel", "ACC-UNBROADCAST", "dmap"),
    Mistake(AVERAGE, "not divided by k^2", "POOL-NO-DIVIDE", "da"),
    Mistake(AVERAGE, "divided by k", "POOL-NO-DIVIDE", "da"),
    Mistake(AVERAGE, "to the corner alone", "", "da"),
    Mistake(AVERAGE, "tiled, not repeated", "SHAPE-FLATTEN-ORDER", "da"),
]

VARIANTS: list[Variant] = []
