"""Sums over samples, steps and consumers: assigned for added, left too early, a part lost, a part twice."""

from typing import Any

import numpy as np
import torch

from parity_tests.mistakes.case import Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

# ---- a loop over the samples, as in the first networks that people write ----


def samples_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = torch.tanh(inputs["x"] @ params["W1"] + params["b1"])
    pred = h @ params["W2"] + params["b2"]
    loss = ((pred - inputs["y"]) ** 2).mean()
    return loss, pick(locals(), "h pred")


def samples_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    b2, W2, b1, W1, x, y = *params.values(), inputs["x"], inputs["y"]
    h = np.tanh(x @ W1 + b1)
    pred = h @ W2 + b2
    loss = ((pred - y) ** 2).mean()

    dpred = 2 * (pred - y) / y.size
    db2, dW2, db1, dW1 = (np.zeros_like(param) for param in params.values())
    for i in range(len(x) - 1 if wrong == "last sample left out" else len(x)):
        dz = (W2 @ dpred[i]) * (1 - h[i] ** 2)
        db2 += dpred[i]
        if wrong == "W2 assigned":
            dW2 = np.outer(h[i], dpred[i])
        else:
            dW2 += np.outer(h[i], dpred[i])
        db1 += dz
        if wrong == "W1 assigned":
            dW1 = np.outer(x[i], dz)
        elif wrong == "running mean of W1":  # the mean so far and the new one, half and half
            dW1 = (dW1 + np.outer(x[i], dz)) / 2
        else:
            dW1 += np.outer(x[i], dz)
        if wrong == "return inside the loop":
            break
    if wrong == "first sample again for W1":
        dW1 += np.outer(x[0], (W2 @ dpred[0]) * (1 - h[0] ** 2))
    elif wrong == "from the last sample to the first":
        dW1 = sum(np.outer(x[i], (W2 @ dpred[i]) * (1 - h[i] ** 2)) for i in reversed(range(len(x))))
    return loss, *by_hand(locals(), "h pred")


def samples_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, c = sizes(rng, 4)
    params = {"b2": normal(rng, c), "W2": normal(rng, h, c), "b1": normal(rng, h), "W1": normal(rng, d, h)}
    return params, {"x": normal(rng, n, d), "y": normal(rng, n, c)}


SAMPLES = System("a loop over samples", samples_forward, samples_backward, samples_make)

# ---- a loop over steps: a running sum that decays, read at the end ----


def steps_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    x = inputs["x"]
    state = x.new_zeros(x.shape[0], params["W"].shape[1])
    for step in range(x.shape[1]):
        state = params["decay"] * state + torch.sigmoid(x[:, step] @ params["W"])
    loss = ((state @ params["V"] - inputs["y"]) ** 2).mean()
    return loss, {"state": state}


def steps_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, decay, V, x, y = *params.values(), inputs["x"], inputs["y"]
    steps = x.shape[1]
    states, s = [np.zeros((len(x), len(decay)))], []
    for step in range(steps):
        s.append(1 / (1 + np.exp(-(x[:, step] @ W))))
        states.append(decay * states[-1] + s[-1])
    state = states[-1]
    pred = state @ V
    loss = ((pred - y) ** 2).mean()

    dpred = 2 * (pred - y) / y.size
    dV, dstate = state.T @ dpred, dpred @ V.T
    dW, ddecay = np.zeros_like(W), np.zeros_like(decay)
    dx, carry = np.zeros_like(x), dstate
    for step in reversed(range(steps)):
        dz = carry * s[step] * (1 - s[step])
        dW = x[:, step].T @ dz + (0 if wrong == "W assigned at each step" else dW)
        if wrong != "decay of the last step alone" or step == steps - 1:
            ddecay += (carry * states[step + 1 if wrong == "the state after for the one before" else step]).sum(axis=0)
        dx[:, step] = dz @ W.T
        if wrong == "decay squared on the way":
            carry = carry * decay**2
        else:
            carry = carry * decay
        if wrong == "W of the two last steps" and step == steps - 2:
            two = dW.copy()
    if wrong == "W of the two last steps":
        dW = two
    elif wrong == "powers of the decay":
        powers = decay ** np.arange(steps)[::-1, None]  # (T, H)
        slopes = np.stack(s, axis=1) * (1 - np.stack(s, axis=1))
        dW = np.einsum("ntd,nth,th,nh->dh", x, slopes, powers, dstate)
    return loss, *by_hand(locals(), "state")


def steps_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, t, d, h, c = sizes(rng, 5, low=4)
    params = {"W": normal(rng, d, h), "decay": rng.uniform(0.6, 0.95, h), "V": normal(rng, h, c)}
    return params, {"x": normal(rng, n, t, d), "y": normal(rng, n, c)}


STEPS = System("a loop over steps", steps_forward, steps_backward, steps_make)

# ---- one node with three consumers: h, in a product, in its gate, and past both ----


def shared_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z = inputs["x"] @ params["W"]
    h = torch.tanh(z)
    k = torch.sigmoid(h @ params["A"])
    m = h * k
    a = m + h
    loss = ((a @ params["V"] - inputs["y"]) ** 2).mean()
    return loss, pick(locals(), "z h k m a")


def shared_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, A, V, x, y = *params.values(), inputs["x"], inputs["y"]
    z = x @ W
    h = np.tanh(z)
    k = 1 / (1 + np.exp(-(h @ A)))
    m = h * k
    a = m + h
    pred = a @ V
    loss = ((pred - y) ** 2).mean()

    dpred = 2 * (pred - y) / y.size
    dV, da = a.T @ dpred, dpred @ V.T
    dm = da
    dk = dm * h
    gate = dk * k * (1 - k)
    dA = h.T @ gate
    past, product, through = da, dm * k, gate @ A.T
    dh = past + product + through
    if wrong == "gate's path lost":
        dh = past + product
    elif wrong == "product's path lost":
        dh = past + through
    elif wrong == "assigned by the last consumer":
        dh = through
    elif wrong == "past both twice":
        dh = past + past + product + through
    elif wrong == "mean of the three":
        dh = (past + product + through) / 3
    elif wrong == "largest of the three":
        dh = np.maximum(np.maximum(past, product), through)
    elif wrong == "factored":
        dh = da * (1 + k) + through
    arrived = dh
    if wrong == "parent visited at every arrival":  # recursion from each consumer, before all have handed in theirs
        arrived = past + (past + product) + (past + product + through)
    dz = arrived * (1 - h**2)
    dW, dx = x.T @ dz, dz @ W.T
    return loss, *by_hand(locals(), "z h k m a")


def shared_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, c = sizes(rng, 4)
    params = {"W": normal(rng, d, h), "A": normal(rng, h, h), "V": normal(rng, h, c)}
    return params, {"x": normal(rng, n, d), "y": normal(rng, n, c)}


SHARED = System("a node with three consumers", shared_forward, shared_backward, shared_make)

MISTAKES = [
    Mistake(SAMPLES, "return inside the loop", "ACC-EARLY-RETURN", "db2"),
    Mistake(SAMPLES, "last sample left out", "ACC-EARLY-RETURN", "db2"),
    Mistake(SAMPLES, "W2 assigned", "ACC-OVERWRITE", "dW2"),
    Mistake(SAMPLES, "W1 assigned", "ACC-OVERWRITE", "dW1"),
    Mistake(SAMPLES, "running mean of W1", "", "dW1"),
    Mistake(SAMPLES, "first sample again for W1", "ACC-DOUBLE-COUNT", "dW1"),
    Mistake(STEPS, "W assigned at each step", "ACC-OVERWRITE", "dW"),
    Mistake(STEPS, "W of the two last steps", "ACC-EARLY-RETURN", "dW"),
    Mistake(STEPS, "decay of the last step alone", "ACC-EARLY-RETURN", "ddecay", same=("BPTT-NO-CARRY",)),
    Mistake(STEPS, "the state after for the one before", "BPTT-WRONG-STEP", "ddecay"),
    Mistake(STEPS, "decay squared on the way", "", "dW"),
    Mistake(SHARED, "gate's path lost", "ACC-BRANCH-LOST", "dh"),
    Mistake(SHARED, "product's path lost", "ACC-BRANCH-LOST", "dh"),
    Mistake(SHARED, "assigned by the last consumer", "ACC-OVERWRITE", "dh"),
    Mistake(SHARED, "past both twice", "ACC-DOUBLE-COUNT", "dh"),
    Mistake(SHARED, "mean of the three", "", "dh", same=("LOSS-WRONG-COUNT",)),
    Mistake(SHARED, "largest of the three", "", "dh"),
    Mistake(SHARED, "parent visited at every arrival", "ACC-NON-TOPO", "dz", same=("ACC-DOUBLE-COUNT",)),
]

VARIANTS = [
    Variant(SAMPLES, "from the last sample to the first"),
    Variant(STEPS, "powers of the decay"),
    Variant(SHARED, "factored"),
]
