"""A gated recurrent unit in torch's form: the reset gate multiplies what the state brings, not the state."""

from typing import Any

import numpy as np
import torch

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import normal, sizes

STEPS = 3


def gru_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h, named = inputs["h0"], {}
    for t in range(STEPS):
        x = inputs["x"][:, t]
        r = torch.sigmoid(x @ params["Wr"] + h @ params["Ur"] + params["br"])
        z = torch.sigmoid(x @ params["Wz"] + h @ params["Uz"] + params["bz"])
        u = h @ params["Un"] + params["cn"]
        n = torch.tanh(x @ params["Wn"] + params["bn"] + r * u)
        h = (1 - z) * n + z * h
        named |= {f"r{t + 1}": r, f"z{t + 1}": z, f"u{t + 1}": u, f"n{t + 1}": n, f"h{t + 1}": h}
    y = h @ params["V"]
    loss = torch.nn.functional.mse_loss(y, inputs["target"])
    return loss, named | {"y": y}


def sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def gru_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    Wr, Ur, br, Wz, Uz, bz, Un, cn, Wn, bn, V = params.values()
    x, h0, target = inputs["x"], inputs["h0"], inputs["target"]
    h, named, cache = h0, {}, []
    for t in range(STEPS):
        r = sigmoid(x[:, t] @ Wr + h @ Ur + br)
        z = sigmoid(x[:, t] @ Wz + h @ Uz + bz)
        u = h @ Un + cn
        n = np.tanh(x[:, t] @ Wn + bn + r * u)
        cache.append((h, r, z, u, n))
        h = n + z * (h - n) if wrong == "one product for the update" else (1 - z) * n + z * h
        named |= {f"r{t + 1}": r, f"z{t + 1}": z, f"u{t + 1}": u, f"n{t + 1}": n, f"h{t + 1}": h}
    y = h @ V
    loss = ((y - target) ** 2).mean()

    dy = 2 * (y - target) / y.size
    g = {name: np.zeros_like(value) for name, value in params.items()}
    g["V"] = h.T @ dy
    dh, dx = dy @ V.T, np.zeros_like(x)
    for t in reversed(range(STEPS)):
        h_prev, r, z, u, n = cache[t]
        dn = dh * (z if wrong == "z for 1 - z" else 1 - z)
        dz = dh * (n - h_prev if wrong == "update gate's sign" else h_prev - n)
        if wrong == "update gate's second path lost":
            dz = -dh * n
        da_n = dn * (1 - n**2)
        du = da_n if wrong == "reset gate left out" else da_n * r
        if wrong == "reset gate of the wrong side":
            du = da_n * (1 - r)
        dr = da_n * (h_prev if wrong == "dr with the state" else u)
        da_r = dr * r * (1 - r) ** (2 if wrong == "sigmoid's slope squared" else 1)
        da_z = dz * (1 - z if wrong == "sigmoid's slope cut short" else z * (1 - z))
        named |= {f"dr{t + 1}": dr, f"dz{t + 1}": dz, f"du{t + 1}": du, f"dn{t + 1}": dn, f"dh{t + 1}": dh}
        xt = x[:, t]
        state = named[f"h{t + 1}"] if wrong == "Uz with the state after" else h_prev
        g["Wr"] += xt.T @ da_r
        g["Wz"] += xt.T @ da_z
        g["Wn"] += xt.T @ da_n
        g["br"] += da_r.sum(0)
        g["bz"] += da_z.sum(0)
        g["bn"] += da_n.sum(0)
        g["cn"] += (da_n if wrong == "reset gate missing in one bias" else du).sum(0)
        g["Ur"] += h_prev.T @ da_r
        g["Uz"] += state.T @ da_z
        g["Un"] += (h_prev * r).T @ da_n if wrong == "reset before the product" else h_prev.T @ du
        dx[:, t] = da_r @ Wr.T + da_z @ Wz.T + da_n @ Wn.T
        straight = 0 if wrong == "straight path lost" else dh * z
        if wrong == "straight path without its gate":
            straight = dh
        candidate = (da_n @ Un.T) * r if wrong == "reset after the product" else du @ Un.T
        reset = 0 if wrong == "reset gate's path lost" else da_r @ Ur.T
        dh = straight + candidate + reset + da_z @ Uz.T
    return loss, g, named | {"y": y, "dy": dy, "dx": dx, "dh0": dh, "dtarget": -dy}


def gru_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, d, h, k = sizes(rng, 4, low=4)
    params = {"Wr": normal(rng, d, h), "Ur": normal(rng, h, h), "br": normal(rng, h), "Wz": normal(rng, d, h)}
    params |= {"Uz": normal(rng, h, h), "bz": normal(rng, h), "Un": normal(rng, h, h), "cn": normal(rng, h)}
    params |= {"Wn": normal(rng, d, h), "bn": normal(rng, h), "V": normal(rng, h, k)}
    return params, {"x": normal(rng, b, STEPS, d), "h0": normal(rng, b, h), "target": normal(rng, b, k)}


GRU = System("gated recurrent unit", gru_forward, gru_backward, gru_make)

MISTAKES = [
    Mistake(GRU, "z for 1 - z", "LIN-WRONG-CACHE", "dn3"),
    Mistake(GRU, "update gate's sign", "", "dz3", same=("PATH-SWAPPED",)),  # n and h exchanged: the same numbers
    Mistake(GRU, "update gate's second path lost", "ACC-BRANCH-LOST", "dz3"),
    Mistake(GRU, "reset gate left out", "MUL-FACTOR-LOST", "du3"),
    Mistake(GRU, "reset gate of the wrong side", "", "du3"),
    Mistake(GRU, "dr with the state", "LIN-WRONG-CACHE", "dr3"),
    Mistake(GRU, "sigmoid's slope squared", "", "dh2"),
    Mistake(GRU, "sigmoid's slope cut short", "ACT-WRONG-FORMULA", "dh2"),
    Mistake(GRU, "Uz with the state after", "BPTT-WRONG-STEP", "dUz"),
    Mistake(GRU, "reset gate missing in one bias", "PATH-SWAPPED", "dcn"),
    Mistake(GRU, "reset before the product", "", "dUn"),
    Mistake(GRU, "straight path lost", "ACC-BRANCH-LOST", "dh2", same=("BPTT-NO-CARRY",)),
    Mistake(GRU, "straight path without its gate", "MUL-FACTOR-LOST", "dh2"),
    Mistake(GRU, "reset after the product", "", "dh2"),
    Mistake(GRU, "reset gate's path lost", "ACC-BRANCH-LOST", "dh2"),
]

VARIANTS = [
    Variant(GRU, "one product for the update"),
]
