"""Long short-term memory: one fused gate matrix with a loss at each step, and four matrices on [h, x]."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import normal, sizes

STEPS = 3


def sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


# ---- fused: gates = x W_ih^T + h W_hh^T + b in torch's order i, f, g, o ----


def fused_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h, c, loss, named = inputs["h0"], inputs["c0"], 0, {}
    for t in range(STEPS):
        gates = F.linear(inputs["x"][t], params["W_ih"], params["b"]) + F.linear(h, params["W_hh"])
        i, f, g, o = gates.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        logits = F.linear(h, params["W_y"])
        loss = loss + F.cross_entropy(logits, inputs["targets"][t]) / STEPS
        named |= {f"gates{t + 1}": gates, f"c{t + 1}": c, f"h{t + 1}": h, f"logits{t + 1}": logits}
    return loss, named


def fused_gates(dh: Array, dc: Array, cache: tuple[Array, ...], wrong: str) -> Array:
    """The gradient of the four pre-activations side by side."""
    i, f, g, o, c_prev, c = cache
    old = c if wrong == "c_t for c_{t-1}" else c_prev
    di = dc * g * i * (1 - i)
    df = dc * old * f * (1 - f)
    dg = dc * i * (1 - g**2)
    do = dh * np.tanh(c) * o * (1 - o)
    if wrong == "g without tanh'":
        dg = dc * i
    elif wrong == "sigmoid' for g":
        dg = dc * i * g * (1 - g)
    elif wrong == "f's slope squared":
        df = dc * old * (f * (1 - f)) ** 2
    elif wrong == "i from its own value":
        di = dc * i * i * (1 - i)
    elif wrong == "o with c for tanh(c)":
        do = dh * c * o * (1 - o)
    elif wrong == "f and i exchanged":
        di, df = df, di
    elif wrong == "order i, g, f, o":
        df, dg = dg, df
    return np.concatenate([di, df, dg, do], axis=1)


def fused_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W_ih, W_hh, b, W_y = params.values()
    x, h0, c0, targets = inputs["x"], inputs["h0"], inputs["c0"], inputs["targets"]
    N, loss, hs, caches, named = len(h0), 0.0, [h0], [], {}
    c = c0
    for t in range(STEPS):
        gates = x[t] @ W_ih.T + b + hs[-1] @ W_hh.T
        i, f, g, o = np.split(gates, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c_prev, c = c, f * c + i * g
        hs.append(o * np.tanh(c))
        caches.append((i, f, g, o, c_prev, c))
        logits = hs[-1] @ W_y.T
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        loss -= np.log(p[np.arange(N), targets[t]]).mean() / STEPS
        p[np.arange(N), targets[t]] -= 1
        named |= {f"gates{t + 1}": gates, f"c{t + 1}": c, f"h{t + 1}": hs[-1], f"logits{t + 1}": logits}
        named[f"dlogits{t + 1}"] = p / N / STEPS

    dW_ih, dW_hh, db, dW_y = (np.zeros_like(value) for value in params.values())
    dx, dh_next, dc_next = np.zeros_like(x), np.zeros_like(h0), np.zeros_like(c0)
    for t in reversed(range(STEPS)):
        i, f, g, o, c_prev, c = caches[t]
        dlogits = named[f"dlogits{t + 1}"]
        dW_y += dlogits.T @ (hs[t] if wrong == "W_y with the state before" else hs[t + 1])
        dh = dlogits @ W_y + (0 if wrong == "dh not carried" else dh_next)
        tanh_c = np.tanh(c)
        slope = 1 - (c if wrong == "1 - c^2" else tanh_c) ** 2
        dc = dh * o * (1 if wrong == "tanh(c) taken as c" else slope)
        if wrong == "output gate left out":
            dc = dh * slope
        if wrong != "dc not carried":
            dc = dc + dc_next
        dgates = fused_gates(dh, dc, caches[t], wrong)
        dW_ih += dgates.T @ x[t]
        dW_hh += dgates.T @ (hs[t + 1] if wrong == "h_t for h_{t-1}" else hs[t])
        db += dgates.sum(0)
        dx[t] = dgates @ W_ih
        dh_next = dgates @ W_hh
        dc_next = dc * f
        if wrong == "dc carried without the forget gate":
            dc_next = dc
        elif wrong == "dc carried through the input gate":
            dc_next = dc * i
        elif wrong == "dc carried through the step before's forget gate" and t:
            dc_next = dc * caches[t - 1][1]
        named |= {f"dgates{t + 1}": dgates, f"dc{t + 1}": dc, f"dh{t + 1}": dh}
    if wrong == "weights of all steps at once":
        every = np.concatenate([named[f"dgates{t + 1}"] for t in range(STEPS)])
        dW_hh, dW_ih, db = every.T @ np.concatenate(hs[:-1]), every.T @ np.concatenate(list(x)), every.sum(0)
    grads = {"W_ih": dW_ih, "W_hh": dW_hh, "b": db, "W_y": dW_y}
    return loss, grads, named | {"dx": dx, "dh0": dh_next, "dc0": dc_next}


def fused_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, k = sizes(rng, 4, low=4)
    params = {"W_ih": normal(rng, 4 * h, d), "W_hh": normal(rng, 4 * h, h), "b": normal(rng, 4 * h)}
    params["W_y"] = normal(rng, k, h)
    states = {"h0": normal(rng, n, h), "c0": 2 * normal(rng, n, h)}
    return params, {"x": normal(rng, STEPS, n, d), **states, "targets": rng.integers(0, k, (STEPS, n))}


FUSED = System("lstm with fused gates", fused_forward, fused_backward, fused_make)

MISTAKES = [
    Mistake(FUSED, "c_t for c_{t-1}", "BPTT-WRONG-STEP", "dgates3", same=("LIN-WRONG-CACHE",)),
    Mistake(FUSED, "g without tanh'", "ACT-MISSING", "dgates3"),
    Mistake(FUSED, "sigmoid' for g", "ACT-WRONG-FORMULA", "dgates3"),
    Mistake(FUSED, "f's slope squared", "", "dgates3"),
    Mistake(FUSED, "i from its own value", "", "dgates3"),
    Mistake(FUSED, "o with c for tanh(c)", "LIN-WRONG-CACHE", "dgates3"),
    Mistake(FUSED, "f and i exchanged", "PATH-SWAPPED", "dgates3"),
    Mistake(FUSED, "order i, g, f, o", "PATH-SWAPPED", "dgates3"),
    Mistake(FUSED, "W_y with the state before", "BPTT-WRONG-STEP", "dW_y"),
    Mistake(FUSED, "dh not carried", "BPTT-NO-CARRY", "dh2", same=("ACC-BRANCH-LOST",)),
    Mistake(FUSED, "1 - c^2", "ACT-PREACT", "dc3"),
    Mistake(FUSED, "tanh(c) taken as c", "ACT-MISSING", "dc3"),
    Mistake(FUSED, "output gate left out", "MUL-FACTOR-LOST", "dc3"),
    Mistake(FUSED, "dc not carried", "BPTT-NO-CARRY", "dc2", same=("ACC-BRANCH-LOST",)),
    Mistake(FUSED, "h_t for h_{t-1}", "BPTT-WRONG-STEP", "dW_hh"),
    Mistake(FUSED, "dc carried without the forget gate", "MUL-FACTOR-LOST", "dc2"),
    Mistake(FUSED, "dc carried through the input gate", "", "dc2"),
    Mistake(FUSED, "dc carried through the step before's forget gate", "BPTT-WRONG-STEP", "dc2"),
]

VARIANTS = [
    Variant(FUSED, "weights of all steps at once"),
]
