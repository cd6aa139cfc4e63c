"""A small network as a student writes it, with one switch for each mistake."""

import numpy as np
import torch


def make(rng):
    n, d, h, c = rng.permutation(np.arange(3, 9))[:4]
    params = {"W1": (d, h), "b1": (h,), "W2": (h, c), "b2": (c,)}
    return {k: rng.normal(size=s) for k, s in params.items()}, {
        "x": rng.normal(size=(n, d)),
        "y": rng.normal(size=(n, c)),
    }


def forward(p, i):
    z1 = i["x"] @ p["W1"] + p["b1"]
    a1 = torch.sigmoid(z1)
    z2 = a1 @ p["W2"] + p["b2"]
    a2 = torch.tanh(z2)
    return ((a2 - i["y"]) ** 2).mean(), {"z1": z1, "a1": a1, "z2": z2, "a2": a2}


def backward(p, i, wrong="", named=("z1", "a1", "z2", "a2")):
    if wrong == "float32":
        p, i = ({name: array.astype(np.float32) for name, array in part.items()} for part in (p, i))
    x, y, size = i["x"], i["y"], i["y"].size
    z1 = x @ p["W1"] + p["b1"]
    a1 = 1 / (1 + np.exp(-z1))
    z2 = a1 @ p["W2"] + p["b2"]
    a2 = np.tanh(z2)
    loss = ((a2 - y) ** 2).mean() * (2 if wrong == "loss" else 1)
    da2 = {"no mean": 2, "no two": 1 / size, "sign": -2 / size}.get(wrong, 2 / size) * (a2 - y)
    if wrong == "deferred":
        da2 = 2 * (a2 - y)
    dz2 = da2 if wrong == "no slope" else da2 * (1 - (z2 if wrong == "of z" else a2) ** 2)
    if wrong == "unknown":
        dz2 = da2 * (1 - np.abs(a2) ** 3)
    da1 = dz2 @ p["W2"].T
    s = 1 / (1 + np.exp(-a1)) if wrong == "twice" else a1
    dz1 = da1 * s * (1 - s)
    if wrong == "tiny":
        dz1[1, 1] *= 1 + 1e-9
    over = size if wrong == "deferred" else 1
    grads = {"W2": a1.T @ dz2, "W1": x.T @ dz1, "b1": dz1.sum(0), "b2": dz2.sum(0), "x": dz1 @ p["W1"].T}
    if wrong == "bias mean":
        grads["b1"] = dz1.mean(0)
    if wrong == "bias all":
        grads["b1"] = np.full(grads["b1"].shape, dz1.sum())
    if wrong == "unsummed":
        grads["b2"] = dz2
    if wrong == "two":
        grads["W2"] = -grads["W2"]
        grads["b1"] = dz1.mean(0)
    if wrong == "nan":
        grads["W1"][0, 0] = np.nan
    if wrong == "overwrites":
        p["W1"] *= 0
    values = {"z1": z1, "a1": a1, "z2": z2, "a2": a2, "dz1": dz1, "da1": da1, "dz2": dz2, "da2": da2}
    if wrong == "feature-major":
        values = {name: value.T for name, value in values.items()}
    given = {name: value for name, value in values.items() if name.removeprefix("d") in named}
    return loss, {name: grad / over for name, grad in grads.items()}, given
