"""Nine numbers, as the first network that people write has them: no tensor has more than one entry."""

from typing import Any

import numpy as np
import torch

from parity_tests.mistakes.case import Array, Arrays, Mistake, System

NAMES = ("w1", "w2", "w3", "w4", "w5", "w6", "b1", "b2", "b3")


def numbers_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    w1, w2, w3, w4, w5, w6, b1, b2, b3 = (params[name] for name in NAMES)
    loss, people = 0, len(inputs["t"])
    for x, t in zip(inputs["x"], inputs["t"], strict=True):
        h1 = torch.sigmoid(w1 * x[0] + w2 * x[1] + b1)
        h2 = torch.sigmoid(w3 * x[0] + w4 * x[1] + b2)
        y = torch.sigmoid(w5 * h1 + w6 * h2 + b3)
        loss = loss + (t - y) ** 2
    return loss / people, {}


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def slope(z: Any) -> Any:
    return sigmoid(z) * (1 - sigmoid(z))


def person(p: Arrays, x: Array, t: Any, wrong: str) -> tuple[Any, dict[str, Any]]:
    """The squared error of one person, and its nine partials."""
    z1 = p["w1"] * x[0] + p["w2"] * x[1] + p["b1"]
    z2 = p["w3"] * x[0] + p["w4"] * x[1] + p["b2"]
    h1, h2 = sigmoid(z1), sigmoid(z2)
    z = p["w5"] * h1 + p["w6"] * h2 + p["b3"]
    y = sigmoid(z)
    d_L_d_y = -2 * (t - y)
    if wrong == "sign of the error":
        d_L_d_y = 2 * (t - y)
    elif wrong == "without the two":
        d_L_d_y = -(t - y)
    d_y_d_z = slope(y) if wrong == "slope at the output" else slope(z)
    if wrong == "output without its slope":
        d_y_d_z = 1.0
    d = d_L_d_y * d_y_d_z
    d1 = slope(h1) if wrong == "slope at h1" else slope(z1)
    d2 = slope(z2)
    w6 = p["w5"] if wrong == "w5 for w6" else p["w6"]
    g = {"w5": d * h1, "w6": d * h2, "b3": d}
    g |= {"w1": d * p["w5"] * x[0] * d1, "w2": d * p["w5"] * x[1] * d1, "b1": d * p["w5"] * d1}
    g |= {"w3": d * w6 * x[0] * d2, "w4": d * w6 * x[1] * d2, "b2": d * w6 * d2}
    return (t - y) ** 2, g


def numbers_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    found = [person(params, x, t, wrong) for x, t in zip(inputs["x"], inputs["t"], strict=True)]
    count = 1 if wrong == "not divided" else len(found)
    partials = [g for _, g in found]
    if wrong == "the last person alone":
        partials = partials[-1:]
    grads = {name: np.asarray(sum(g[name] for g in partials) / count) for name in NAMES}
    return sum(error for error, _ in found) / len(found), grads, {}


def numbers_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    people = int(rng.integers(3, 8))
    params = {name: np.array(rng.normal()) for name in NAMES}
    return params, {"x": rng.normal(size=(people, 2)), "t": rng.integers(0, 2, people).astype(float)}


NUMBERS = System("nine numbers", numbers_forward, numbers_backward, numbers_make)

MISTAKES = [
    Mistake(NUMBERS, "slope at the output", "ACT-TWICE", "db3", same=("CACHE-INPLACE",)),
    Mistake(NUMBERS, "output without its slope", "ACT-MISSING", "db3"),
    Mistake(NUMBERS, "slope at h1", "ACT-TWICE", "db1", same=("CACHE-INPLACE",)),
    Mistake(NUMBERS, "sign of the error", "LOSS-SIGN", "db3"),
    Mistake(NUMBERS, "without the two", "LOSS-FACTOR-2", "db3"),
    Mistake(NUMBERS, "not divided", "LOSS-NO-MEAN", "db3"),
    Mistake(NUMBERS, "the last person alone", "ACC-OVERWRITE", "db3"),
    Mistake(NUMBERS, "w5 for w6", "", "db2", same=("LIN-WRONG-CACHE",)),
]
