"""Linear layers: transposes, operands from elsewhere, samples out of step, weights stepped too early."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes
from parity_tests.mistakes.softmax import softmax

RATE = 0.3

# ---- three layers, x @ W: two hidden ones of the same width ----


def three_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z1 = inputs["x"] @ params["W1"] + params["b1"]
    h1 = torch.tanh(z1)
    z2 = h1 @ params["W2"] + params["b2"]
    h2 = torch.sigmoid(z2)
    z3 = h2 @ params["W3"] + params["b3"]
    out = torch.sigmoid(z3)
    loss = ((out - inputs["t"]) ** 2).mean()
    return loss, pick(locals(), "z1 h1 z2 h2 z3 out")


def stepped(W: Array, dW: Array, wrong: str, when: str) -> Array:
    return W - RATE * dW if wrong == when else W


def three_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W1, b1, W2, b2, W3, b3, x, t = *params.values(), inputs["x"], inputs["t"]
    z1 = x @ W1 + b1
    h1 = np.tanh(z1)
    z2 = h1 @ W2 + b2
    h2 = 1 / (1 + np.exp(-z2))
    z3 = h2 @ W3 + b3
    out = 1 / (1 + np.exp(-z3))
    loss = ((out - t) ** 2).mean()

    dout = 2 * (out - t) / t.size
    dz3 = dout * out * (1 - out)
    dW3, db3 = h2.T @ dz3, dz3.sum(axis=0)
    back = stepped(W3, dW3, wrong, "W3 stepped first")
    dh2 = (dout if wrong == "the error, not the delta, sent back" else dz3) @ back.T
    if wrong == "W3 reshaped":
        dh2 = dz3 @ W3.reshape(W3.T.shape)
    elif wrong == "sign of W3":
        dh2 = dz3 @ np.sign(W3).T
    elif wrong == "fixed random weights sent back":
        dh2 = dz3 @ np.random.default_rng(0).standard_normal(W3.shape).T
    elif wrong == "W3's rows normalised":
        dh2 = dz3 @ (W3 / np.abs(W3).sum(axis=1, keepdims=True)).T
    dz2 = dh2 * h2 * (1 - h2)
    if wrong == "delta clipped":
        dz2 = np.clip(dz2, -np.abs(dz2).mean(), np.abs(dz2).mean())
    elif wrong == "delta centred":
        dz2 = dz2 - dz2.mean(axis=0)
    dW2, db2 = gradient_of_w2(wrong, h1, dz2, z1, h2), dz2.sum(axis=0)
    dh1 = dz2 @ stepped(W2, dW2, wrong, "W2 stepped first").T
    if wrong == "W2 not transposed":
        dh1 = dz2 @ W2
    elif wrong == "hidden delta without its slope":
        dh1 = dh2 @ W2.T
    dz1 = dh1 * (1 - h1**2)
    rows = np.arange(len(x))
    if wrong == "two samples exchanged":
        rows[[0, -1]] = rows[[-1, 0]]
    dW1, db1, dx = x[rows].T @ dz1, dz1.sum(axis=0), dz1 @ W1.T
    dt = -dout
    return loss, *by_hand(locals(), "z1 h1 z2 h2 z3 out")


def gradient_of_w2(wrong: str, h1: Array, dz2: Array, z1: Array, h2: Array) -> Array:
    if wrong == "dW2 stored transposed":
        return dz2.T @ h1
    if wrong == "z1 for h1":
        return z1.T @ dz2
    if wrong == "h2 for h1":
        return h2.T @ dz2
    if wrong == "samples in reverse":
        return h1[::-1].T @ dz2
    if wrong == "one sample late":
        return np.roll(h1, 1, axis=0).T @ dz2
    if wrong == "mean activation times mean delta":
        return len(h1) * np.outer(h1.mean(axis=0), dz2.mean(axis=0))
    if wrong == "activation doubled in the square":
        return (h1 * h1).T @ dz2
    if wrong == "einsum":
        return np.einsum("ni,nj->ij", h1, dz2)
    if wrong == "sample by sample":
        return sum(np.outer(a, d) for a, d in zip(h1, dz2, strict=True))
    return h1.T @ dz2


def three_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, k, m = sizes(rng, 4)
    params = {"W1": normal(rng, d, k), "b1": normal(rng, k), "W2": normal(rng, k, k), "b2": normal(rng, k)}
    params |= {"W3": normal(rng, k, m), "b3": normal(rng, m)}
    return params, {"x": normal(rng, n, d), "t": rng.random((n, m))}


THREE = System("three layers", three_forward, three_backward, three_make)

# ---- torch's layout, F.linear with (out, in); a square layer and one fed by x as well ----


def torch_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = F.relu(F.linear(inputs["x"], params["weight1"], params["bias1"]))
    g = torch.tanh(F.linear(h, params["square"]))
    logits = F.linear(g, params["weight2"], params["bias2"])
    loss = F.cross_entropy(logits, inputs["labels"])
    return loss, pick(locals(), "h g logits")


def torch_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    weight1, bias1, square, weight2, bias2, x, labels = *params.values(), inputs["x"], inputs["labels"]
    n = len(x)
    h = np.maximum(x @ weight1.T + bias1, 0)
    g = np.tanh(h @ square.T)
    logits = g @ weight2.T + bias2
    p = softmax(logits)
    loss = -np.log(p[np.arange(n), labels]).mean()

    dlogits = (p - np.eye(len(bias2))[labels]) / n
    if wrong == "1/m deferred":
        dlogits = p - np.eye(len(bias2))[labels]
    dweight2, dbias2 = dlogits.T @ g, dlogits.sum(axis=0)
    if wrong == "activations of the layer below":
        dweight2 = dlogits.T @ h
    dg = dlogits @ weight2
    if wrong == "weight2 reshaped":
        dg = dlogits @ weight2.T.reshape(weight2.shape)
    da = dg * (1 - g**2)
    dsquare = da.T @ h
    if wrong == "square's gradient in the other layout":
        dsquare = h.T @ da
    dh = da @ square
    if wrong == "square transposed as x @ W needs it":
        dh = da @ square.T
    elif wrong == "square stepped first":
        dh = da @ (square - RATE * dsquare)
    dz = dh * (h > 0)
    dweight1, dbias1 = dz.T @ x, dz.sum(axis=0)
    if wrong == "x of the sample after":
        dweight1 = dz.T @ np.roll(x, -1, axis=0)
    elif wrong == "x standardised":
        dweight1 = dz.T @ ((x - x.mean(axis=0)) / x.std(axis=0))
    dx = dz @ weight1
    if wrong == "1/m deferred":
        dweight1, dbias1, dsquare, dweight2, dbias2 = (a / n for a in (dweight1, dbias1, dsquare, dweight2, dbias2))
        dx = dx / n
    grads, named = by_hand(locals(), "h g logits")
    if wrong == "kept as columns":  # (features, batch), as in lecture notes
        turned = [key for key in named if key.removeprefix("d") in ("h", "g", "logits")]
        named |= {key: named[key].T for key in turned}
    return loss, grads, named


def torch_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, k, c = sizes(rng, 4)
    params = {"weight1": normal(rng, k, d), "bias1": normal(rng, k), "square": normal(rng, k, k)}
    params |= {"weight2": normal(rng, c, k), "bias2": normal(rng, c)}
    return params, {"x": normal(rng, n, d), "labels": rng.integers(0, c, n)}


TORCH = System("torch's layout", torch_forward, torch_backward, torch_make)

MISTAKES = [
    Mistake(THREE, "W3 stepped first", "LIN-UPDATED-WEIGHTS", "dh2"),
    Mistake(THREE, "W2 stepped first", "LIN-UPDATED-WEIGHTS", "dh1"),
    Mistake(THREE, "the error, not the delta, sent back", "LIN-RAW-ERROR", "dh2"),
    Mistake(THREE, "hidden delta without its slope", "LIN-RAW-ERROR", "dh1"),
    Mistake(THREE, "W3 reshaped", "LIN-RESHAPE-NOT-T", "dh2"),
    Mistake(THREE, "sign of W3", "", "dh2"),
    Mistake(THREE, "fixed random weights sent back", "", "dh2"),
    Mistake(THREE, "W3's rows normalised", "", "dh2"),
    Mistake(THREE, "delta clipped", "OPT-CLIP-VALUE", "dz2"),
    Mistake(THREE, "delta centred", "", "dz2"),
    Mistake(THREE, "dW2 stored transposed", "LIN-DW-T", "dW2"),
    Mistake(THREE, "z1 for h1", "LIN-WRONG-CACHE", "dW2"),
    Mistake(THREE, "h2 for h1", "LIN-WRONG-CACHE", "dW2"),
    Mistake(THREE, "samples in reverse", "LIN-SAMPLE-MISALIGNED", "dW2"),
    Mistake(THREE, "one sample late", "LIN-SAMPLE-MISALIGNED", "dW2"),
    Mistake(THREE, "mean activation times mean delta", "", "dW2"),
    Mistake(THREE, "activation doubled in the square", "", "dW2"),
    Mistake(THREE, "W2 not transposed", "LIN-W-NOT-T", "dh1"),
    Mistake(THREE, "two samples exchanged", "LIN-SAMPLE-MISALIGNED", "dW1"),
    Mistake(TORCH, "activations of the layer below", "LIN-WRONG-CACHE", "dweight2"),
    Mistake(TORCH, "weight2 reshaped", "LIN-RESHAPE-NOT-T", "dg"),
    Mistake(TORCH, "square's gradient in the other layout", "LIN-DW-T", "dsquare"),
    Mistake(TORCH, "square transposed as x @ W needs it", "LIN-W-NOT-T", "dh"),
    Mistake(TORCH, "square stepped first", "LIN-UPDATED-WEIGHTS", "dh"),
    Mistake(TORCH, "x of the sample after", "LIN-SAMPLE-MISALIGNED", "dweight1"),
    Mistake(TORCH, "x standardised", "", "dweight1"),
]

VARIANTS = [
    Variant(THREE, "einsum"),
    Variant(THREE, "sample by sample"),
    Variant(TORCH, "1/m deferred", reason="factor"),
    Variant(TORCH, "kept as columns", reason="feature-major"),
]
