"""What is kept and in which form: buffers not emptied, whole-number buffers, half precision, arrays written over."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

# ---- sums of squares over the samples, so that gradients are large enough to lose digits alone, not all ----


def sums_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = torch.tanh(inputs["x"] @ params["W1"] + params["b1"])
    pred = h @ params["W2"] + params["b2"]
    loss = 20 * ((pred - inputs["y"]) ** 2).sum(dim=1).mean()
    return loss, pick(locals(), "h pred")


def half(array: Array) -> Array:
    return array.astype(np.float16)


def sums_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    kept = [np.array(array) for array in (*params.values(), inputs["x"], inputs["y"])]
    if wrong == "float32":
        kept = [array.astype(np.float32) for array in kept]
    b2, W2, b1, W1, x, y = kept
    h = np.tanh(x @ W1 + b1)
    pred = h @ W2 + b2
    loss = 20 * ((pred - y) ** 2).sum(axis=1).mean()

    dpred = 40 * (pred - y) / len(x)
    dW2, db2 = h.T @ dpred, dpred.sum(axis=0)
    dh = dpred @ W2.T
    if wrong == "truncated on the way":
        dh = dh.astype(int).astype(float)
    elif wrong == "half precision on the way":
        dh = half(dh).astype(float)
    elif wrong == "rounded to two digits":
        dh = np.round(dh, 2)
    dz = dh * (1 - h**2)
    dW1, db1, dx = x.T @ dz, dz.sum(axis=0), dz @ W1.T
    grads = {"b2": db2, "W2": dW2, "b1": db1, "W1": dW1}
    if wrong == "buffers of the step before":  # the same batch a second time, with nothing set to zero between
        buffers = {name: np.zeros_like(grad) for name, grad in grads.items()}
        for _ in range(2):
            for name, grad in grads.items():
                buffers[name] += grad
        grads = buffers
    elif wrong == "a buffer of integers":
        grads["W1"] = np.zeros(dW1.shape, dtype=int)
        grads["W1"][...] = dW1
    elif wrong == "an integer buffer, added sample by sample":
        grads["W1"] = np.zeros(dW1.shape, dtype=int)
        for a, d in zip(x, dz, strict=True):
            grads["W1"] += np.outer(a, d).astype(int)
    elif wrong == "half precision added up":
        total = half(np.zeros_like(dW1))
        for a, d in zip(x, dz, strict=True):
            total += half(np.outer(a, d))
        grads["W1"] = total
    elif wrong == "product in half precision":
        grads["W1"] = (half(x).T @ half(dz)).astype(float)
    elif wrong == "decaying buffer":
        grads["W1"] = 0.9 * dW1 + 0.1 * dW1**2
    elif wrong == "weights stepped in place at the end":
        for name in params:
            params[name] -= 0.1 * grads[name]
    named = pick(locals(), "h pred dpred dh dx")
    return loss, grads, named


def sums_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, c = sizes(rng, 4)
    params = {"b2": normal(rng, c), "W2": normal(rng, h, c), "b1": normal(rng, h), "W1": normal(rng, d, h)}
    return params, {"x": normal(rng, n, d), "y": normal(rng, n, c)}


SUMS = System("gradients in buffers", sums_forward, sums_backward, sums_make)

# ---- arrays that stand under two names: a residual's gradient, a mask written into what came in ----


def alias_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z = inputs["x"] @ params["W"] + params["b"]
    h = torch.relu(z)
    k = torch.sigmoid(h @ params["A"])
    res = h + k
    out = F.elu(res + params["c"])
    loss = ((out - inputs["y"]) ** 2).mean()
    return loss, pick(locals(), "z h k res out")


def alias_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, b, A, c, x, y = *params.values(), inputs["x"], inputs["y"]
    z = x @ W + b
    h = np.maximum(z, 0)
    k = 1 / (1 + np.exp(-(h @ A)))
    res = h + k
    shifted = res + c
    out = np.where(shifted > 0, shifted, np.expm1(np.minimum(shifted, 0)))
    loss = ((out - y) ** 2).mean()

    dout = 2 * (out - y) / y.size
    dres = dout * np.where(shifted > 0, 1, out + 1)
    dc = dres.sum(axis=0)
    dk = dres
    da = dk * k * (1 - k)
    dA = h.T @ da
    if wrong == "branch added into the residual's gradient":
        dh = dres  # no copy: what is added here is added to dres and dk as well
        dh += da @ A.T
    elif wrong == "branch added before the bias is summed":
        dh = dres + da @ A.T
        dc = dh.sum(axis=0)
    else:
        dh = dres + da @ A.T
    if wrong == "mask written into dh":
        dz = dh
        dz[z <= 0] = 0
    elif wrong == "mask written into a copy":
        dz = dh.copy()
        dz[z <= 0] = 0
    else:
        dz = dh * (z > 0)
    if wrong == "x centred in place":
        x -= x.mean(axis=0)
    elif wrong == "x scaled by its largest":
        x /= np.abs(x).max(axis=0)
    dW, db, dx = x.T @ dz, dz.sum(axis=0), dz @ W.T
    if wrong == "dx written into x, read once more":
        x[...] = dx
        dW = x.T @ dz
    elif wrong == "dx written into x":
        x[...] = dx
        dx = x
    return loss, *by_hand(locals(), "z h k res out")


def alias_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h = sizes(rng, 3, low=4)
    params = {"W": normal(rng, d, h), "b": normal(rng, h), "A": normal(rng, h, h), "c": normal(rng, h) - 1}
    return params, {"x": normal(rng, n, d) + 0.2, "y": normal(rng, n, h)}


ALIAS = System("arrays under two names", alias_forward, alias_backward, alias_make)

MISTAKES = [
    Mistake(SUMS, "buffers of the step before", "STATE-NOT-ZEROED", "db2", same=("ACC-DOUBLE-COUNT", "LOSS-FACTOR-2")),
    Mistake(SUMS, "a buffer of integers", "NUM-INT-TRUNC", "dW1"),
    Mistake(SUMS, "an integer buffer, added sample by sample", "NUM-INT-TRUNC", "dW1"),
    Mistake(SUMS, "truncated on the way", "NUM-INT-TRUNC", "dh"),
    Mistake(SUMS, "half precision on the way", "NUM-HALF", "dh"),
    Mistake(SUMS, "half precision added up", "NUM-HALF", "dW1"),
    Mistake(SUMS, "product in half precision", "NUM-HALF", "dW1"),
    Mistake(SUMS, "rounded to two digits", "", "dh"),
    Mistake(SUMS, "decaying buffer", "", "dW1"),
    Mistake(ALIAS, "branch added into the residual's gradient", "LIN-WRONG-CACHE", "dres"),
    Mistake(ALIAS, "branch added before the bias is summed", "LIN-WRONG-CACHE", "dc"),
    Mistake(ALIAS, "mask written into dh", "", "dh", same=("ACT-TWICE", "CACHE-INPLACE")),
    Mistake(ALIAS, "x centred in place", "", "dW", same=("CACHE-INPLACE",)),
    Mistake(ALIAS, "x scaled by its largest", "", "dW", same=("CACHE-INPLACE",)),
    Mistake(ALIAS, "dx written into x, read once more", "", "dW", same=("CACHE-INPLACE", "LIN-WRONG-CACHE")),
]

VARIANTS = [
    Variant(SUMS, "float32", reason="float32"),
    Variant(SUMS, "weights stepped in place at the end"),
    Variant(ALIAS, "mask written into a copy"),
    Variant(ALIAS, "dx written into x"),
]
