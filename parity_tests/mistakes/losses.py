"""Losses: regression, binary and categorical cross entropy; their counts, factors, signs and targets."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

# ---- several outputs: the mean of (pred - y)^2 over samples and outputs ----


def regression_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z = inputs["x"] @ params["W1"] + params["b1"]
    h = torch.tanh(z)
    pred = h @ params["W2"] + params["b2"]
    residual = pred - inputs["y"]
    loss = (residual**2).mean()
    return loss, pick(locals(), "z h pred residual")


def regression_dresidual(residual: Array, wrong: str) -> Array:
    n, c = residual.shape
    if wrong == "mean forgotten":
        return 2 * residual
    if wrong == "divided by the batch alone":
        return 2 * residual / n
    if wrong == "divided by the outputs alone":
        return 2 * residual / c
    if wrong == "2 forgotten":
        return residual / residual.size
    if wrong == "target minus prediction":
        return -2 * residual / residual.size
    if wrong == "absolute value":
        return 2 * np.abs(residual) / residual.size
    if wrong == "sign alone":  # the derivative of |pred - y|
        return np.sign(residual) / residual.size
    if wrong == "worst sample alone":
        return 2 * residual / residual.size * (np.abs(residual) == np.abs(residual).max(axis=0))
    return 2 * residual / residual.size


def regression_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W1, b1, W2, b2, x, y = *params.values(), inputs["x"], inputs["y"]
    n = len(x)
    z = x @ W1 + b1
    h = np.tanh(z)
    pred = h @ W2 + b2
    residual = pred - y
    loss = (residual**2).mean()

    dresidual = regression_dresidual(residual, wrong)
    if wrong == "1/m deferred":
        dresidual = 2 * residual
    dpred, dy = dresidual, -dresidual
    dW2, db2 = h.T @ dpred, dpred.sum(axis=0)
    dh = dpred @ W2.T
    if wrong == "mean again in the hidden layer":
        dh = dh / n
    dz = dh * (1 - h**2)
    dW1, db1 = x.T @ dz, dz.sum(axis=0)
    if wrong == "mean again for W1":
        dW1 = dW1 / n
    dx = dz @ W1.T
    if wrong == "1/m deferred":
        dW1, db1, dW2, db2, dx, dy = (grad / residual.size for grad in (dW1, db1, dW2, db2, dx, dy))
    return loss, *by_hand(locals(), "z h pred residual")


def regression_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, c = sizes(rng, 4)
    params = {"W1": normal(rng, d, h), "b1": normal(rng, h), "W2": normal(rng, h, c), "b2": normal(rng, c)}
    return params, {"x": normal(rng, n, d), "y": normal(rng, n, c)}


REGRESSION = System("regression", regression_forward, regression_backward, regression_make)

# ---- one output: half the mean of (out - t)^2, out (N, 1) and t (N,) ----


def single_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = torch.sigmoid(inputs["x"] @ params["W"] + params["b"])
    out = h @ params["v"]  # (N, 1)
    residual = out[:, 0] - inputs["t"]
    loss = 0.5 * residual.pow(2).mean()
    return loss, pick(locals(), "h out residual")


def single_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, b, v, x, t = *params.values(), inputs["x"], inputs["t"]
    h = 1 / (1 + np.exp(-(x @ W + b)))
    out = h @ v
    residual = out[:, 0] - t
    if wrong == "(N, 1) minus (N,)":
        residual = out - t  # (N, N)
    loss = 0.5 * (residual**2).mean()

    dresidual = residual / residual.size
    if wrong == "2 left over":
        dresidual = 2 * residual / residual.size
    elif wrong == "mean forgotten":
        dresidual = residual
    dout = dresidual[:, None] if dresidual.ndim == 1 else dresidual.sum(axis=1, keepdims=True)
    if wrong == "descent's sign in the error":
        dout = -dout
    dv = h.T @ dout
    da = dout * v[:, 0] * h * (1 - h)
    dW, db = x.T @ da, da.sum(axis=0)
    dh = dout * v[:, 0]
    return loss, *by_hand(locals(), "h out residual")


def single_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h = sizes(rng, 3)
    params = {"W": normal(rng, d, h), "b": normal(rng, h), "v": normal(rng, h, 1)}
    return params, {"x": normal(rng, n, d), "t": normal(rng, n)}


SINGLE = System("one output, half the square", single_forward, single_backward, single_make)

# ---- several yes-or-no questions: sigmoid and binary cross entropy ----


def binary_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = torch.relu(inputs["x"] @ params["W1"].T + params["b1"])
    logits = h @ params["W2"].T + params["b2"]
    p = torch.sigmoid(logits)
    loss = F.binary_cross_entropy(p, inputs["t"])
    return loss, pick(locals(), "h logits p")


def binary_dlogits(p: Array, t: Array, wrong: str) -> Array:
    dlogits = (p - t) / p.size
    if wrong == "slope of the sigmoid again":
        dlogits = dlogits * p * (1 - p)
    elif wrong == "divided by the batch alone":
        dlogits = (p - t) / len(p)
    elif wrong == "t - p":
        dlogits = (t - p) / p.size
    elif wrong == "answers of no counted as yes":
        dlogits = (p - (1 - t)) / p.size
    elif wrong == "threshold for the probability":
        dlogits = ((p > 0.5) - t) / p.size
    elif wrong == "clipped":
        dlogits = np.clip(dlogits, -0.1 / p.size, 0.1 / p.size)
    return dlogits


def binary_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W1, b1, W2, b2, x, t = *params.values(), inputs["x"], inputs["t"]
    h = np.maximum(x @ W1.T + b1, 0)
    logits = h @ W2.T + b2
    p = 1 / (1 + np.exp(-logits))
    loss = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()

    if wrong in ("through p", "log(1 - p) forgotten"):
        dp = ((1 - t) / (1 - p) - t / p) / p.size
        if wrong == "log(1 - p) forgotten":
            dp = -t / p / p.size
        dlogits = dp * p * (1 - p)
    else:
        dlogits = binary_dlogits(p, t, wrong)
    if wrong == "from the logits":  # the form that cannot overflow
        loss = (np.maximum(logits, 0) - logits * t + np.log1p(np.exp(-np.abs(logits)))).mean()
    dW2, db2 = dlogits.T @ h, dlogits.sum(axis=0)
    dh = dlogits @ W2
    da = dh * (h > 0)
    dW1, db1, dx = da.T @ x, da.sum(axis=0), da @ W1
    if wrong == "mean again for W2":
        dW2 = dW2 / len(x)
    return loss, *by_hand(locals(), "h logits p")


def binary_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, c = sizes(rng, 4)
    params = {"W1": normal(rng, h, d), "b1": normal(rng, h), "W2": normal(rng, c, h), "b2": normal(rng, c)}
    return params, {"x": normal(rng, n, d), "t": rng.integers(0, 2, (n, c)).astype(float)}


BINARY = System("sigmoid and binary cross entropy", binary_forward, binary_backward, binary_make)

MISTAKES = [
    Mistake(REGRESSION, "mean forgotten", "LOSS-NO-MEAN", "dresidual"),
    Mistake(REGRESSION, "divided by the batch alone", "LOSS-WRONG-COUNT", "dresidual"),
    Mistake(REGRESSION, "divided by the outputs alone", "LOSS-WRONG-COUNT", "dresidual", same=("LOSS-NO-MEAN",)),
    Mistake(REGRESSION, "2 forgotten", "LOSS-FACTOR-2", "dresidual"),
    Mistake(REGRESSION, "target minus prediction", "LOSS-SIGN", "dresidual"),
    Mistake(REGRESSION, "absolute value", "", "dresidual"),
    Mistake(REGRESSION, "sign alone", "", "dresidual"),
    Mistake(REGRESSION, "worst sample alone", "", "dresidual"),
    Mistake(REGRESSION, "mean again in the hidden layer", "LOSS-DOUBLE-MEAN", "dh"),
    Mistake(REGRESSION, "mean again for W1", "LOSS-DOUBLE-MEAN", "dW1"),
    Mistake(SINGLE, "(N, 1) minus (N,)", "LOSS-BROADCAST", "residual", stage="forward"),
    Mistake(SINGLE, "2 left over", "LOSS-FACTOR-2", "dresidual", same=("ACC-DOUBLE-COUNT",)),
    Mistake(SINGLE, "mean forgotten", "LOSS-NO-MEAN", "dresidual"),
    Mistake(SINGLE, "descent's sign in the error", "LOSS-SIGN", "dout", same=("OP-SUB-SIGN",)),
    Mistake(BINARY, "slope of the sigmoid again", "LOSS-EXTRA-FPRIME", "dlogits"),
    Mistake(BINARY, "divided by the batch alone", "LOSS-WRONG-COUNT", "dlogits"),
    Mistake(BINARY, "t - p", "LOSS-SIGN", "dlogits", same=("OP-SUB-SIGN",)),
    Mistake(BINARY, "answers of no counted as yes", "", "dlogits"),
    Mistake(BINARY, "threshold for the probability", "", "dlogits"),
    Mistake(BINARY, "clipped", "OPT-CLIP-VALUE", "dlogits"),
    Mistake(BINARY, "log(1 - p) forgotten", "", "dp"),
    Mistake(BINARY, "mean again for W2", "LOSS-DOUBLE-MEAN", "dW2"),
]

VARIANTS = [
    Variant(REGRESSION, "1/m deferred", reason="factor"),
    Variant(BINARY, "through p"),
    Variant(BINARY, "from the logits"),
]
