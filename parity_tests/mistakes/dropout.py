"""Dropout with the mask as an input: 0/1 and scaled in the code, scaled beforehand, and whole channels."""

from typing import Any

import numpy as np
import torch

from parity_tests.mistakes.case import Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

FRESH = np.random.default_rng(2)  # draws another mask at each backward, as a backward that draws its own does

# ---- inverted dropout after two hidden layers; the mask is 0 or 1 and drop is the probability of a zero ----

DROP = 0.3


def inverted_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    keep = 1 - DROP
    z1 = inputs["x"] @ params["W1"] + params["b1"]
    a1 = torch.tanh(z1)
    d1 = a1 * inputs["mask1"] / keep
    z2 = d1 @ params["W2"] + params["b2"]
    a2 = torch.relu(z2)
    d2 = a2 * inputs["mask2"] / keep
    z3 = d2 @ params["W3"] + params["b3"]
    loss = torch.nn.functional.cross_entropy(z3, inputs["y"])
    return loss, pick(locals(), "z1 a1 d1 z2 a2 d2 z3")


def inverted_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W1, b1, W2, b2, W3, b3 = params.values()
    x, mask1, mask2, y = inputs["x"], inputs["mask1"], inputs["mask2"], inputs["y"]
    N, keep = len(x), 1 - DROP
    z1 = x @ W1 + b1
    a1 = np.tanh(z1)
    d1 = a1 * mask1 / keep
    z2 = d1 @ W2 + b2
    a2 = np.maximum(z2, 0)
    d2 = a2 * mask2 / keep
    z3 = d2 @ W3 + b3
    p = np.exp(z3) / np.exp(z3).sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(N), y]).mean()

    dz3 = p
    dz3[range(N), y] -= 1
    dz3 /= N
    dW3, db3 = d2.T @ dz3, dz3.sum(axis=0)
    dd2 = dz3 @ W3.T
    da2 = dd2 * (1 if wrong == "mask 2 not applied" else mask2) / keep
    if wrong == "scaled by keep, not by its inverse":
        da2 = dd2 * mask2 * keep
    dz2 = da2 * (z2 > 0)
    dW2, db2 = d1.T @ dz2, dz2.sum(axis=0)
    if wrong == "dW2 with the activation before dropout":
        dW2 = a1.T @ dz2
    dd1 = dz2 @ W2.T
    da1 = dd1 * mask1 / keep
    if wrong == "mask 1 not applied":
        da1 = dd1 / keep
    elif wrong == "neither mask nor scale":
        da1 = dd1
    elif wrong == "no scale":
        da1 = dd1 * mask1
    elif wrong == "drop for keep":
        da1 = dd1 * mask1 / DROP
    elif wrong == "a fresh mask":
        da1 = dd1 * (FRESH.random(dd1.shape) < keep) / keep
    elif wrong == "mask inverted":
        da1 = dd1 * (1 - mask1) / keep
    elif wrong == "scaled twice":
        da1 = dd1 * mask1 / keep**2
    elif wrong == "mask read from the output":  # tanh is 0 nowhere, so a zero of d1 is the mask's
        da1 = np.where(d1 != 0, dd1 / keep, 0.0)
    dz1 = da1 * (1 - a1**2)
    if wrong == "tanh' of the dropped activation":
        dz1 = da1 * (1 - d1**2)
    dW1, db1, dx = x.T @ dz1, dz1.sum(axis=0), dz1 @ W1.T
    return loss, *by_hand(locals(), "z1 a1 d1 z2 a2 d2 z3")


def inverted_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h1, h2, c = sizes(rng, 5, low=5, high=10)
    params = {"W1": normal(rng, d, h1), "b1": normal(rng, h1), "W2": normal(rng, h1, h2), "b2": normal(rng, h2)}
    params |= {"W3": normal(rng, h2, c), "b3": normal(rng, c)}
    masks = {"mask1": (rng.random((n, h1)) > DROP) * 1.0, "mask2": (rng.random((n, h2)) > DROP) * 1.0}
    return params, {"x": normal(rng, n, d), **masks, "y": rng.integers(0, c, n)}


INVERTED = System("inverted dropout", inverted_forward, inverted_backward, inverted_make)

# ---- a mask that already has 1/keep in it, on a residual branch; and one for whole features of a sequence ----


def branch_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = inputs["x"] @ params["W"].T  # (B, T, D)
    branch = torch.sigmoid(h @ params["U"].T)
    dropped = branch * inputs["scaled"]
    y = h + dropped
    locked = y * inputs["feature_mask"][:, None, :]
    out = locked @ params["V"].T
    loss = ((out - inputs["target"]) ** 2).mean()
    return loss, pick(locals(), "h branch dropped y locked out")


def branch_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, U, V, x = *params.values(), inputs["x"]
    scaled, feature_mask, target = inputs["scaled"], inputs["feature_mask"], inputs["target"]
    h = x @ W.T
    branch = 1 / (1 + np.exp(-(h @ U.T)))
    dropped = branch * scaled
    y = h + dropped
    locked = y * feature_mask[:, None, :]
    out = locked @ V.T
    loss = ((out - target) ** 2).mean()

    dout = 2 * (out - target) / out.size
    dV = np.einsum("bto,btd->od", dout, locked)
    dlocked = dout @ V
    dy = dlocked * feature_mask[:, None, :]
    if wrong == "feature mask not applied":
        dy = dlocked
    elif wrong == "feature mask without its scale":
        dy = dlocked * (feature_mask > 0)[:, None, :]
    dfeature_mask = (dlocked * y).sum(axis=1)
    ddropped = dy
    dbranch = ddropped * scaled
    if wrong == "mask not applied":
        dbranch = ddropped
    elif wrong == "mask without its scale":
        dbranch = ddropped * (scaled > 0)
    elif wrong == "mask of the first step":
        dbranch = ddropped * scaled[:, :1]
    elif wrong == "a fresh mask":
        dbranch = ddropped * (FRESH.random(scaled.shape) < 1 / scaled.max()) * scaled.max()
    elif wrong == "drop for keep":
        keep = 1 / scaled.max()
        dbranch = ddropped * (scaled > 0) / (1 - keep)
    dscaled = ddropped * branch
    dg = dbranch * branch * (1 - branch)
    dU = np.einsum("bto,btd->od", dg, h)
    dh = dy + dg @ U
    if wrong == "skip masked too":
        dh = dy * (scaled > 0) + dg @ U
    dW, dx = np.einsum("btd,bti->di", dh, x), dh @ W
    dtarget = -dout
    return loss, *by_hand(locals(), "h branch dropped y locked out")


def branch_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, t, d, f, o = sizes(rng, 5)
    keep = float(rng.uniform(0.6, 0.85))
    params = {"W": normal(rng, d, f), "U": normal(rng, d, d), "V": normal(rng, o, d)}
    masks = {"scaled": (rng.random((b, t, d)) < keep) / keep, "feature_mask": (rng.random((b, d)) < 0.75) / 0.75}
    return params, {"x": normal(rng, b, t, f), **masks, "target": normal(rng, b, t, o)}


BRANCH = System("dropout on a residual branch", branch_forward, branch_backward, branch_make)

MISTAKES = [
    Mistake(INVERTED, "mask 2 not applied", "DROP-NO-MASK", "da2"),
    Mistake(INVERTED, "scaled by keep, not by its inverse", "", "da2"),
    Mistake(INVERTED, "dW2 with the activation before dropout", "LIN-WRONG-CACHE", "dW2"),
    Mistake(INVERTED, "mask 1 not applied", "DROP-NO-MASK", "da1"),
    Mistake(INVERTED, "neither mask nor scale", "DROP-NO-MASK", "da1"),
    Mistake(INVERTED, "no scale", "DROP-NO-SCALE", "da1"),
    Mistake(INVERTED, "drop for keep", "DROP-P-SWAPPED", "da1"),
    Mistake(INVERTED, "a fresh mask", "DROP-NEW-MASK", "da1"),
    Mistake(INVERTED, "mask inverted", "", "da1"),
    Mistake(INVERTED, "scaled twice", "", "da1"),
    Mistake(INVERTED, "tanh' of the dropped activation", "", "dz1"),
    Mistake(BRANCH, "feature mask not applied", "DROP-NO-MASK", "dy"),
    Mistake(BRANCH, "feature mask without its scale", "DROP-NO-SCALE", "dy"),
    Mistake(BRANCH, "mask not applied", "DROP-NO-MASK", "dbranch"),
    Mistake(BRANCH, "mask without its scale", "DROP-NO-SCALE", "dbranch"),
    Mistake(BRANCH, "mask of the first step", "", "dbranch"),
    Mistake(BRANCH, "a fresh mask", "DROP-NEW-MASK", "dbranch"),
    Mistake(BRANCH, "drop for keep", "DROP-P-SWAPPED", "dbranch"),
    Mistake(BRANCH, "skip masked too", "", "dh"),
]

VARIANTS = [
    Variant(INVERTED, "mask read from the output"),
]
