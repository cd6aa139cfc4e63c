"""Layers in a list, one loop forward and one back, each of a width of its own; PReLU between them, weighted classes."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import normal, sizes
from parity_tests.mistakes.softmax import softmax

DEPTH = 3


def list_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    a, named = inputs["x"], {}
    for layer in range(DEPTH):
        z = a @ params[f"W{layer}"] + params[f"b{layer}"]
        a = torch.where(z > 0, z, params["alpha"] * z) if layer < DEPTH - 1 else z
        named |= {f"z{layer}": z, f"a{layer}": a}
    return F.cross_entropy(a, inputs["labels"], weight=inputs["weight"].detach()), named


def list_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    labels, alpha = inputs["labels"], params["alpha"]
    values, zs, named = [inputs["x"]], [], {}
    for layer in range(DEPTH):
        z = values[-1] @ params[f"W{layer}"] + params[f"b{layer}"]
        a = np.where(z > 0, z, alpha * z) if layer < DEPTH - 1 else z
        zs.append(z)
        values.append(a)
        named |= {f"z{layer}": z, f"a{layer}": a}
    p, rows = softmax(values[-1]), np.arange(len(labels))
    weight = inputs["weight"][labels]
    loss = -(weight * np.log(p[rows, labels])).sum() / weight.sum()

    dz = p.copy()
    dz[rows, labels] -= 1
    if wrong == "class weights forgotten":
        dz = dz / len(labels)
    else:
        dz = dz * weight[:, None] / (len(labels) if wrong == "divided by the batch" else weight.sum())
    grads: Arrays = {"alpha": np.zeros_like(alpha)}
    for layer in reversed(range(DEPTH)):
        named[f"dz{layer}"] = dz
        above = zs[layer - 1] if wrong == "z for a" and layer == 2 else values[layer]
        grads[f"W{layer}"] = above.T @ dz
        grads[f"b{layer}"] = dz.mean(0) if wrong == "biases averaged" else dz.sum(0)
        if layer == 0:
            break
        W = params[f"W{layer}"]
        if wrong == "weights stepped first":
            W = W - 0.1 * grads[f"W{layer}"]
        da, z = dz @ W.T, zs[layer - 1]
        named[f"da{layer - 1}"] = da
        grads["alpha"] += (da * z).sum() if wrong == "alpha over all entries" else (da * z * (z <= 0)).sum()
        dz = da * np.where(z > 0, 1, alpha)
        if wrong == "no slope":
            dz = da
    if wrong == "alpha over all entries, as minimum":
        grads["alpha"] = sum((named[f"da{n}"] * np.minimum(zs[n], 0)).sum() for n in range(DEPTH - 1))
    grads["alpha"] = np.asarray(grads["alpha"])
    return loss, grads, named | {"dx": dz @ params["W0"].T}


def list_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, *widths = sizes(rng, DEPTH + 2)
    params: Arrays = {"alpha": np.array(0.3)}
    for layer in range(DEPTH):
        params |= {f"W{layer}": normal(rng, *widths[layer : layer + 2]), f"b{layer}": normal(rng, widths[layer + 1])}
    labels = rng.integers(0, widths[-1], n)
    return params, {"x": normal(rng, n, widths[0]), "labels": labels, "weight": rng.uniform(0.5, 2, widths[-1])}


LISTED = System("layers in a list", list_forward, list_backward, list_make)

MISTAKES = [
    Mistake(LISTED, "class weights forgotten", "", "dz2"),
    Mistake(LISTED, "divided by the batch", "LOSS-WRONG-COUNT", "dz2"),
    Mistake(LISTED, "z for a", "LIN-WRONG-CACHE", "dW2"),
    Mistake(LISTED, "biases averaged", "BIAS-MEAN", "db2"),
    Mistake(LISTED, "weights stepped first", "LIN-UPDATED-WEIGHTS", "da1"),
    Mistake(LISTED, "alpha over all entries", "ACT-MASK-VACUOUS", "dalpha"),
    Mistake(LISTED, "no slope", "ACT-MISSING", "dz1", same=("ACT-MASK-VACUOUS",)),
]
VARIANTS = [Variant(LISTED, "alpha over all entries, as minimum")]
