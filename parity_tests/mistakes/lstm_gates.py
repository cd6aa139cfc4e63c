"""Long short-term memory with four matrices on the joined [h, x], as first courses write it; all gates by name."""

from typing import Any

import numpy as np
import torch

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import normal, sizes

STEPS = 3


def gates_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h, c, named = inputs["h0"], inputs["c0"], {}
    for t in range(STEPS):
        concat = torch.cat([h, inputs["x"][:, t]], dim=1)
        f = torch.sigmoid(concat @ params["Wf"] + params["bf"])
        i = torch.sigmoid(concat @ params["Wi"] + params["bi"])
        k = torch.tanh(concat @ params["Wc"] + params["bc"])
        o = torch.sigmoid(concat @ params["Wo"] + params["bo"])
        c = f * c + i * k
        m = torch.tanh(c)
        h = o * m
        step = {"concat": concat, "f": f, "i": i, "k": k, "o": o, "c": c, "m": m, "h": h}
        named |= {f"{name}{t + 1}": value for name, value in step.items()}
    y = h @ params["Wy"] + params["by"]
    loss = ((y - inputs["target"]) ** 2).sum() / (2 * len(y))
    return loss, named | {"y": y}


def sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def weigh(cell: Arrays, delta: Arrays, grads: Arrays, wrong: str) -> None:
    """Adds one step's part to the gradients of the four matrices and biases."""
    for gate in "fico":
        grads["W" + gate] += cell["concat"].T @ delta[gate]
        bias = delta["f"] if wrong == "bi from the forget gate" and gate == "i" else delta[gate]
        grads["b" + gate] += bias.sum(0)
        if wrong == "bo from dWo" and gate == "o":
            grads["bo"] += (cell["concat"].T @ delta["o"]).sum(0) - bias.sum(0)
        elif wrong == "bo averaged over the batch" and gate == "o":
            grads["bo"] += bias.mean(0) - bias.sum(0)


def gates_step(params: Arrays, dh: Array, dc_next: Array, cell: Arrays, wrong: str) -> Arrays:
    """All gradients of one step, the last first."""
    do = dh * (cell["c"] if wrong == "o with c for tanh(c)" else cell["m"])
    dm = dh * cell["o"]
    dc = dm * (1 - cell["m"] ** 2) + dc_next
    if wrong == "cell's own path lost":
        dc = dc_next if dc_next.any() else dc
    dk, di = dc * cell["i"], dc * cell["k"]
    if wrong == "input and candidate exchanged":
        dk, di = di, dk
    df = dc * (cell["c"] if wrong == "c_t for c_{t-1}" else cell["c_prev"])
    up = {"f": df, "i": di, "o": do}
    delta = {gate: up[gate] * cell[gate] * (1 - cell[gate]) for gate in up}
    if wrong == "forget gate without its slope":
        delta["f"] = df
    elif wrong == "slope from the gradient":
        delta["i"] = di * di * (1 - di)
    delta["c"] = dk * (1 - cell["k"] ** 2)
    paths = "fic" if wrong == "output gate's path lost" else "fico"
    dconcat = sum(delta[gate] @ params["W" + gate].T for gate in paths)
    if wrong == "forget gate's path twice":
        dconcat = dconcat + delta["f"] @ params["Wf"].T
    return {"h": dh, "o": do, "m": dm, "c": dc, "k": dk, "i": di, "f": df, "concat": dconcat, "delta": delta}


def gates_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    x, h, c, target = inputs["x"], inputs["h0"], inputs["c0"], inputs["target"]
    cells, named = [], {}
    for t in range(STEPS):
        concat = np.hstack([h, x[:, t]])
        f, i, o = (sigmoid(concat @ params["W" + gate] + params["b" + gate]) for gate in "fio")
        k = np.tanh(concat @ params["Wc"] + params["bc"])
        c_prev, c = c, f * c + i * k
        m = np.tanh(c)
        h = o * m
        step = {"concat": concat, "f": f, "i": i, "k": k, "o": o, "c": c, "m": m, "h": h}
        cells.append(step | {"c_prev": c_prev})
        named |= {f"{name}{t + 1}": value for name, value in step.items()}
    y = h @ params["Wy"] + params["by"]
    loss = ((y - target) ** 2).sum() / (2 * len(y))

    dy = (y - target) / len(y)
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    grads |= {"Wy": h.T @ dy, "by": dy.sum(0)}
    dh, dc_next, dx = dy @ params["Wy"].T, np.zeros_like(c), np.zeros_like(x)
    for t in reversed(range(STEPS)):
        d = gates_step(params, dh, dc_next, cells[t], wrong)
        weigh(cells[t], d.pop("delta"), grads, wrong)
        named |= {f"d{name}{t + 1}": value for name, value in d.items()}
        width = dh.shape[1]
        dx[:, t] = d["concat"][:, width:]
        dh = d["concat"][:, :width]
        if wrong == "state and input cut at the wrong place":
            dh = d["concat"][:, -width:]
        dc_next = np.zeros_like(c) if wrong == "dc not carried" else d["c"] * cells[t]["f"]
    return loss, grads, named | {"y": y, "dy": dy, "dx": dx, "dh0": dh, "dc0": dc_next, "dtarget": -dy}


def gates_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, m = sizes(rng, 4)
    params: Arrays = {}
    for gate in "fico":
        params |= {"W" + gate: normal(rng, h + d, h), "b" + gate: normal(rng, h)}
    params |= {"Wy": normal(rng, h, m), "by": normal(rng, m)}
    states = {"h0": normal(rng, n, h), "c0": 2 * normal(rng, n, h)}
    return params, {"x": normal(rng, n, STEPS, d), **states, "target": normal(rng, n, m)}


GATES = System("lstm with four matrices", gates_forward, gates_backward, gates_make)

MISTAKES = [
    Mistake(GATES, "bi from the forget gate", "LIN-WRONG-CACHE", "dbi", same=("PATH-SWAPPED",)),
    Mistake(GATES, "bo from dWo", "BIAS-FROM-DW", "dbo"),
    Mistake(GATES, "bo averaged over the batch", "BIAS-MEAN", "dbo"),
    Mistake(GATES, "o with c for tanh(c)", "LIN-WRONG-CACHE", "do3"),
    Mistake(GATES, "cell's own path lost", "ACC-BRANCH-LOST", "dc2"),
    Mistake(GATES, "input and candidate exchanged", "PATH-SWAPPED", "dk3"),
    Mistake(GATES, "c_t for c_{t-1}", "BPTT-WRONG-STEP", "df3", same=("LIN-WRONG-CACHE",)),
    Mistake(GATES, "forget gate without its slope", "ACT-MISSING", "dconcat3"),
    Mistake(GATES, "slope from the gradient", "ACT-ON-GRAD", "dconcat3"),
    Mistake(GATES, "output gate's path lost", "ACC-BRANCH-LOST", "dconcat3"),
    Mistake(GATES, "forget gate's path twice", "ACC-DOUBLE-COUNT", "dconcat3"),
    Mistake(GATES, "state and input cut at the wrong place", "", "dh2"),
    Mistake(GATES, "dc not carried", "BPTT-NO-CARRY", "dc2", same=("ACC-BRANCH-LOST",)),
]

VARIANTS: list[Variant] = []
