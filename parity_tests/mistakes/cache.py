"""What a backward reads back: buffers overwritten in between, and a twin's values left in the cache."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, gains, normal, pick, sizes


def sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


# ---- activations that need their input: softplus, mish, sigmoid; `out=` would write over it ----


def buffers_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z1 = F.linear(inputs["x"], params["W1"], params["b1"])
    a1 = F.mish(z1)
    z2 = F.linear(a1, params["W2"], params["b2"])
    a2 = F.softplus(z2)
    z3 = F.linear(a2, params["W3"], params["b3"])
    a3 = torch.sigmoid(z3)
    loss = F.mse_loss(a3, inputs["t"])
    return loss, pick(locals(), "z1 a1 z2 a2 z3 a3")


def mish_slope(z: Array) -> Array:
    t = np.tanh(np.log1p(np.exp(z)))
    return t + z * sigmoid(z) * (1 - t**2)


def buffers_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W1, b1, W2, b2, W3, b3, x, t = *params.values(), inputs["x"], inputs["t"]
    z1 = x @ W1.T + b1
    a1 = z1 * np.tanh(np.log1p(np.exp(z1)))
    z2 = a1 @ W2.T + b2
    a2 = np.log1p(np.exp(z2))
    z3 = a2 @ W3.T + b3
    a3 = sigmoid(z3)
    loss = ((a3 - t) ** 2).mean()
    values = {name: value.copy() for name, value in pick(locals(), "z1 a1 z2 a2 z3 a3").items()}
    if wrong == "z2 handed back overwritten":
        values["z2"] = z2  # the buffer itself, not what it held in the forward
    if wrong == "z1 overwritten by mish":
        z1[...] = a1
    elif wrong in ("z2 overwritten by softplus", "z2 handed back overwritten"):
        z2[...] = a2
    elif wrong == "a2 centred in place":
        a2[...] = a2 - a2.mean(axis=0)
    elif wrong == "a1 shuffled in place":
        a1[...] = a1[::-1].copy()

    da3 = 2 * (a3 - t) / t.size
    slope = a3 * (1 - a3)
    if wrong == "z3 overwritten by the sigmoid":
        slope = sigmoid(a3) * (1 - sigmoid(a3))
    dz3 = da3 * slope
    dW3, db3 = dz3.T @ a2, dz3.sum(0)
    da2 = dz3 @ W3
    dz2 = da2 * sigmoid(z2)
    if wrong == "slope from the softplus":  # sigmoid(z) = 1 - exp(-softplus(z))
        dz2 = da2 * -np.expm1(-a2)
    dW2, db2 = dz2.T @ a1, dz2.sum(0)
    da1 = dz2 @ W2
    if wrong == "gradient written into the activations":  # a1 was read for the last time above
        da1 = np.matmul(dz2, W2, out=a1)
    dz1 = da1 * mish_slope(z1)
    dW1, db1, dx = dz1.T @ x, dz1.sum(0), dz1 @ W1
    dt = -da3
    grads, named = by_hand(locals(), "z1 a1 z2 a2 z3 a3")
    return loss, grads, named | values


def buffers_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h1, h2, m = sizes(rng, 5)
    params = {"W1": normal(rng, h1, d), "b1": normal(rng, h1), "W2": normal(rng, h2, h1), "b2": normal(rng, h2)}
    params |= {"W3": normal(rng, m, h2), "b3": normal(rng, m)}
    return params, {"x": normal(rng, n, d), "t": rng.random((n, m))}


BUFFERS = System("activations in buffers", buffers_forward, buffers_backward, buffers_make)

# ---- twins: one encoder reads two batches of pairs; a cache with one slot keeps the second only ----


def twins_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    def encode(x: Any) -> tuple[Any, ...]:
        z = x @ params["W"] + params["b"]
        h = torch.tanh(z)
        n = F.layer_norm(h, h.shape[-1:], params["g"], params["c"])
        return z, h, n

    z_left, h_left, n_left = encode(inputs["left"])
    z_right, h_right, n_right = encode(inputs["right"])
    gap = n_left @ params["V"] - n_right @ params["V"]
    loss = F.mse_loss(gap, inputs["t"])
    return loss, pick(locals(), "z_left h_left n_left z_right h_right n_right gap")


def encode(params: Arrays, x: Array) -> tuple[Array, ...]:
    z = x @ params["W"] + params["b"]
    h = np.tanh(z)
    mean, rstd = h.mean(1, keepdims=True), 1 / np.sqrt(h.var(1, keepdims=True) + 1e-5)
    hhat = (h - mean) * rstd
    return z, h, hhat, rstd, hhat * params["g"] + params["c"]


def twins_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    left, right, t = inputs["left"], inputs["right"], inputs["t"]
    first, second = encode(params, left), encode(params, right)
    z_left, h_left, n_left = first[0], first[1], first[4]
    z_right, h_right, n_right = second[0], second[1], second[4]
    V = params["V"]
    gap = n_left @ V - n_right @ V
    loss = ((gap - t) ** 2).mean()

    dgap = 2 * (gap - t) / gap.size
    named = {"dgap": dgap, "dt": -dgap}
    sides = {"left": (first, dgap, left), "right": (second, -dgap, right)}
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    for side, (cache, up, x) in sides.items():
        _, h, hhat, rstd, n = cache
        if side == "right" and wrong == "sign of the second lost":
            up = dgap
        grads["V"] += (n_right if wrong == "V with the twin's values" else n).T @ up
        dn = up @ V.T
        grads["g"] += (dn * hhat).sum(0)
        grads["c"] += dn.sum(0)
        scale = second[3] if wrong == "twin's deviation" else rstd
        unit = second[2] if wrong == "twin's normalised values" else hhat
        dhat = dn * params["g"]
        dh = scale * (dhat - dhat.mean(1, keepdims=True) - unit * (dhat * unit).mean(1, keepdims=True))
        slope = 1 - (second[1] if wrong == "twin's activations" else h) ** 2
        dz = dh * slope
        source = inputs["right"] if wrong == "twin's input" else x
        if wrong == "second batch overwrites W" and side == "right":
            grads["W"] = source.T @ dz
        else:
            grads["W"] += source.T @ dz
        grads["b"] += dz.sum(0)
        named |= {f"dn_{side}": dn, f"dh_{side}": dh, f"dz_{side}": dz, f"d{side}": dz @ params["W"].T}
    if wrong == "both batches in one":
        together = np.concatenate([named["dz_left"], named["dz_right"]])
        grads["W"], grads["b"] = np.concatenate([left, right]).T @ together, together.sum(0)
    return loss, grads, named | pick(locals(), "z_left h_left n_left z_right h_right n_right gap")


def twins_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, k = sizes(rng, 4)
    params = {"W": normal(rng, d, h), "b": normal(rng, h), "g": gains(rng, h), "c": normal(rng, h)}
    params["V"] = normal(rng, h, k)
    return params, {"left": normal(rng, n, d), "right": normal(rng, n, d), "t": normal(rng, n, k)}


TWINS = System("twins with one encoder", twins_forward, twins_backward, twins_make)

MISTAKES = [
    Mistake(BUFFERS, "z3 overwritten by the sigmoid", "CACHE-INPLACE", "dz3", same=("ACT-TWICE",)),
    Mistake(BUFFERS, "z2 overwritten by softplus", "CACHE-INPLACE", "dz2", same=("ACT-TWICE",)),
    Mistake(BUFFERS, "z1 overwritten by mish", "CACHE-INPLACE", "dz1", same=("ACT-TWICE",)),
    Mistake(BUFFERS, "z2 handed back overwritten", "CACHE-INPLACE", "z2", stage="forward"),
    Mistake(BUFFERS, "a2 centred in place", "", "dW3"),
    Mistake(BUFFERS, "a1 shuffled in place", "LIN-SAMPLE-MISALIGNED", "dW2", same=("CACHE-INPLACE",)),
    Mistake(TWINS, "V with the twin's values", "CACHE-STALE", "dV", same=("LIN-WRONG-CACHE",)),
    Mistake(TWINS, "twin's deviation", "CACHE-STALE", "dh_left"),
    Mistake(TWINS, "twin's normalised values", "CACHE-STALE", "dh_left"),
    Mistake(TWINS, "twin's activations", "CACHE-STALE", "dz_left"),
    Mistake(TWINS, "twin's input", "CACHE-STALE", "dW", same=("LIN-WRONG-CACHE",)),
    Mistake(TWINS, "sign of the second lost", "OP-SUB-SIGN", "dn_right"),
    Mistake(TWINS, "second batch overwrites W", "ACC-OVERWRITE", "dW"),
]

VARIANTS = [
    Variant(BUFFERS, "slope from the softplus"),
    Variant(BUFFERS, "gradient written into the activations"),
    Variant(TWINS, "both batches in one"),
]
