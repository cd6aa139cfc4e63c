"""Recurrent networks: a character model with a loss at each step, a reader with one at the end, and a GRU."""

from typing import Any

import numpy as np
import torch

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import normal, sizes


def log_softmax(y: Array) -> Array:
    shifted = y - y.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


# ---- min-char-rnn with a batch: four steps, z1 h1 y1 z2 h2 y2 ... by name ----

STEPS = 4


def char_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h, loss, named = inputs["h0"], 0, {}
    for t in range(STEPS):
        z = inputs["xs"][t] @ params["Wxh"] + h @ params["Whh"] + params["bh"]
        h = torch.tanh(z)
        y = h @ params["Why"] + params["by"]
        loss = loss + torch.nn.functional.cross_entropy(y, inputs["targets"][t])
        named |= {f"z{t + 1}": z, f"h{t + 1}": h, f"y{t + 1}": y}
    return loss, named


def char_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    Wxh, Whh, bh, Why, by = params.values()
    xs, h0, targets = inputs["xs"], inputs["h0"], inputs["targets"]
    N, loss, hs, named = len(h0), 0.0, {-1: h0}, {}
    for t in range(STEPS):
        z = xs[t] @ Wxh + hs[t - 1] @ Whh + bh
        hs[t] = np.tanh(z)
        y = hs[t] @ Why + by
        loss -= log_softmax(y)[np.arange(N), targets[t]].mean()
        named |= {f"z{t + 1}": z, f"h{t + 1}": hs[t], f"y{t + 1}": y}

    grads = {name: np.zeros_like(value) for name, value in params.items()}
    dxs = np.zeros_like(xs)
    dhnext = np.zeros_like(h0)
    for t in reversed(range(STEPS)):
        dy = np.exp(log_softmax(named[f"y{t + 1}"]))
        dy[np.arange(N), targets[t]] -= 1
        dy /= N
        grads["Why"] += hs[t].T @ dy
        grads["by"] += dy.sum(0)
        dh = dy @ Why.T if wrong == "carry lost" else dy @ Why.T + dhnext
        if wrong == "carry alone" and t < STEPS - 1:
            dh = dhnext
        at = {"tanh' at the last state": STEPS - 1, "tanh' at the state before": t - 1}.get(wrong, t)
        dz = dh * (1 - hs[at] ** 2)
        if wrong == "tanh' left out":
            dz = dh
        grads["bh"] += dz.sum(0)
        if wrong != "input weights skip the first step" or t > 0:
            grads["Wxh"] += xs[t].T @ dz
        step = {"h_t for h_{t-1}": t, "h_{t-2} for h_{t-1}": max(t - 2, -1)}.get(wrong, t - 1)
        if wrong == "Whh assigned at each step":
            grads["Whh"] = hs[step].T @ dz
        else:
            grads["Whh"] += hs[step].T @ dz
        dxs[t] = dz @ Wxh.T
        dhnext = dz @ (Whh if wrong == "Whh not transposed" else Whh.T)
        if wrong == "carry without tanh'":
            dhnext = dh @ Whh.T
        elif wrong == "carry decays":
            dhnext = 0.9 * dhnext
        elif wrong == "carry clipped":
            dhnext = np.clip(dhnext, -1e-3, 1e-3)
        named |= {f"dz{t + 1}": dz, f"dh{t + 1}": dh, f"dy{t + 1}": dy}
    if wrong == "Whh divided by the steps":
        grads["Whh"] /= STEPS
    return loss, grads, named | {"dxs": dxs, "dh0": dhnext}


def char_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, v, h, c = sizes(rng, 4, low=5)
    params = {"Wxh": normal(rng, v, h), "Whh": normal(rng, h, h), "bh": normal(rng, h)}
    params |= {"Why": normal(rng, h, c), "by": normal(rng, c)}
    return params, {"xs": normal(rng, STEPS, n, v), "h0": normal(rng, n, h), "targets": rng.integers(0, c, (STEPS, n))}


CHAR = System("character model", char_forward, char_backward, char_make)

# ---- a reader whose loss looks at the last state alone; only that one has a name, and any number of steps ----


def reader_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    x, h = inputs["x"], inputs["h0"]  # (B, T, D)
    for t in range(x.shape[1]):
        h = torch.sigmoid(h @ params["w_hh"].T + x[:, t] @ params["w_ih"].T + params["bias"])
    out = h @ params["w_out"].T
    loss = ((out - inputs["target"]) ** 2).mean()
    return loss, {"h": h, "out": out}


def reader_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    w_hh, w_ih, bias, w_out = params.values()
    x, h0, target = inputs["x"], inputs["h0"], inputs["target"]
    T = x.shape[1]
    states = [h0]
    for t in range(T):
        states.append(1 / (1 + np.exp(-(states[-1] @ w_hh.T + x[:, t] @ w_ih.T + bias))))
    h = states[-1]
    out = h @ w_out.T
    loss = ((out - target) ** 2).mean()

    dout = 2 * (out - target) / out.size
    dw_out = dout.T @ h
    dh = carry = dout @ w_out
    dw_hh, dw_ih, dbias = np.zeros_like(w_hh), np.zeros_like(w_ih), np.zeros_like(bias)
    dx = np.zeros_like(x)
    deltas = []
    for t in reversed(range(T)):
        delta = carry * states[t + 1] * (1 - states[t + 1])
        deltas.append(delta)
        before = states[t + 1] if wrong == "state after the step" else states[t]
        if wrong == "initial state forgotten" and t == 0:
            before = np.zeros_like(h0)
        if wrong == "assigned at each step":
            dw_hh = delta.T @ before
        else:
            dw_hh = dw_hh + delta.T @ before
        if wrong == "bias of the last step" and t < T - 1:
            dbias = dbias + 0
        else:
            dbias = dbias + delta.sum(axis=0)
        dw_ih += delta.T @ x[:, t]
        dx[:, t] = delta @ w_ih
        carry = np.zeros_like(carry) if wrong == "carry lost" else delta @ w_hh
    if wrong == "all steps at once":
        together = np.stack(deltas[::-1], axis=1)
        dw_hh = np.einsum("bto,btd->od", together, np.stack(states[:-1], axis=1))
        dw_ih = np.einsum("bto,btd->od", together, x)
    named = {"h": h, "out": out, "dh": dh, "dout": dout, "dx": dx, "dh0": carry, "dtarget": -dout}
    return loss, {"w_hh": dw_hh, "w_ih": dw_ih, "bias": dbias, "w_out": dw_out}, named


def reader_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, t, d, h, k = sizes(rng, 5)
    params = {"w_hh": 3 * normal(rng, h, h), "w_ih": normal(rng, h, d), "bias": normal(rng, h)}
    params["w_out"] = normal(rng, k, h)
    return params, {"x": normal(rng, n, t, d), "h0": normal(rng, n, h), "target": normal(rng, n, k)}


READER = System("reader of a sequence", reader_forward, reader_backward, reader_make)

MISTAKES = [
    Mistake(CHAR, "carry lost", "BPTT-NO-CARRY", "dh3", same=("ACC-BRANCH-LOST",)),
    Mistake(CHAR, "carry alone", "ACC-BRANCH-LOST", "dh3"),
    Mistake(CHAR, "tanh' at the last state", "CACHE-STALE", "dz3"),
    Mistake(CHAR, "tanh' at the state before", "BPTT-WRONG-STEP", "dz4"),
    Mistake(CHAR, "tanh' left out", "ACT-MISSING", "dz4"),
    Mistake(CHAR, "input weights skip the first step", "ACC-EARLY-RETURN", "dWxh", same=("ACC-BRANCH-LOST",)),
    Mistake(CHAR, "h_t for h_{t-1}", "BPTT-WRONG-STEP", "dWhh"),
    Mistake(CHAR, "h_{t-2} for h_{t-1}", "BPTT-WRONG-STEP", "dWhh"),
    Mistake(CHAR, "Whh assigned at each step", "ACC-OVERWRITE", "dWhh"),
    Mistake(CHAR, "Whh divided by the steps", "", "dWhh"),
    Mistake(CHAR, "Whh not transposed", "LIN-W-NOT-T", "dh3"),
    Mistake(CHAR, "carry without tanh'", "LIN-RAW-ERROR", "dh3"),
    Mistake(CHAR, "carry decays", "", "dh3"),
    Mistake(CHAR, "carry clipped", "", "dh3"),
    Mistake(READER, "state after the step", "BPTT-WRONG-STEP", "dw_hh"),
    Mistake(READER, "initial state forgotten", "ACC-EARLY-RETURN", "dw_hh", same=("ACC-BRANCH-LOST",)),
    Mistake(READER, "assigned at each step", "ACC-OVERWRITE", "dw_hh"),
    Mistake(READER, "bias of the last step", "ACC-EARLY-RETURN", "dbias", same=("BPTT-NO-CARRY",)),
    Mistake(READER, "carry lost", "BPTT-NO-CARRY", "dw_hh"),
]

VARIANTS = [
    Variant(READER, "all steps at once"),
]
