"""Root-mean-square normalisation: torch's own before a gated unit, and LLaMA's written out, on queries."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, gains, normal, pick, sizes

EPS = 1e-6

# ---- pre-norm with torch's rms_norm: y = x + SwiGLU(norm(x)) ----


def swiglu_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    x = inputs["x"] @ params["embed"]
    n = F.rms_norm(x, (x.shape[-1],), params["weight"], EPS)
    gate, up = n @ params["w_gate"], n @ params["w_up"]
    act = F.silu(gate)
    m = act * up
    y = x + m @ params["w_down"]
    loss = (y - inputs["target"]).pow(2).mean()
    return loss, {"h": x, "n": n, "gate": gate, "up": up, "act": act, "m": m, "y": y}


def swiglu_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    embed, weight, w_gate, w_up, w_down = params.values()
    x, target = inputs["x"], inputs["target"]
    h = x @ embed
    D = h.shape[1]
    ms = (h**2).mean(axis=1, keepdims=True)
    if wrong == "divided by D - 1":
        ms = (h**2).sum(axis=1, keepdims=True) / (D - 1)
    r = 1 / np.sqrt(ms + EPS)
    hhat = h * r
    n = hhat * weight
    gate, up = n @ w_gate, n @ w_up
    sig = 1 / (1 + np.exp(-gate))
    act = gate * sig
    m = act * up
    y = h + m @ w_down
    loss = ((y - target) ** 2).mean()

    dy = 2 * (y - target) / y.size
    dw_down = m.T @ dy
    dm = dy @ w_down.T
    dact, dup = dm * up, dm * act
    dgate = dact * sig * (1 + gate * (1 - sig))
    dw_gate, dw_up = n.T @ dgate, n.T @ dup
    dn = dgate @ w_gate.T + dup @ w_up.T
    if wrong == "the second projection lost":
        dn = dgate @ w_gate.T
    dweight = (dn * (h if wrong == "dweight with the input" else hhat)).sum(axis=0)
    dhhat = dn if wrong == "weight dropped" else dn * weight
    inner = (dhhat * hhat).mean(axis=1, keepdims=True)
    if wrong == "divided by D - 1":
        inner = inner * D / (D - 1)
    elif wrong == "inner product not averaged":
        inner = inner * D
    elif wrong == "mean over the batch":
        inner = (dhhat * hhat).mean(axis=0, keepdims=True)
    elif wrong == "inner product with the plain input":
        inner = (dhhat * h).mean(axis=1, keepdims=True)
    elif wrong == "layer norm's mean as well":
        inner = inner + dhhat.mean(axis=1, keepdims=True) / hhat
    elif wrong == "no variance path":
        inner = 0.0
    power = {"not divided": 0, "r squared": 2}.get(wrong, 1)
    dh = dy + r**power * (dhhat - hhat * inner)
    if wrong == "r^3 form":
        dh = dy + r * dhhat - h * r**3 * (dhhat * h).sum(axis=1, keepdims=True) / D
    dembed, dx = x.T @ dh, dh @ embed.T
    dtarget = -dy
    return loss, *by_hand(locals(), "h n gate up act m y")


def swiglu_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, f, d, k = sizes(rng, 4)
    params = {"embed": normal(rng, f, d), "weight": gains(rng, d), "w_gate": normal(rng, d, k)}
    params |= {"w_up": normal(rng, d, k), "w_down": normal(rng, k, d)}
    return params, {"x": normal(rng, n, f), "target": normal(rng, n, d)}


SWIGLU = System("rms norm before a gated unit", swiglu_forward, swiglu_backward, swiglu_make)

# ---- queries normalised head by head, written out as in LLaMA ----


def heads_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    x = inputs["x"]  # (B, T, D)
    q = torch.einsum("btd,dhk->bthk", x, params["wq"])
    ms = q.pow(2).mean(-1, keepdim=True)
    inv = torch.rsqrt(ms + EPS)
    qhat = q * inv
    qn = qhat * params["scale"]
    s = torch.einsum("bthk,hk->bth", qn, params["keys"])
    a = torch.tanh(s)
    loss = ((a - inputs["target"]) ** 2).sum(-1).mean()
    return loss, pick(locals(), "q ms inv qhat qn s a")


def heads_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    wq, scale, keys, x, target = *params.values(), inputs["x"], inputs["target"]
    q = np.einsum("btd,dhk->bthk", x, wq)
    K = q.shape[-1]
    ms = (q**2).mean(-1, keepdims=True)
    if wrong == "mean taken off first":
        ms = q.var(-1, keepdims=True)
    if wrong == "eps outside the root":
        inv = 1 / (np.sqrt(ms) + EPS)
    else:
        inv = 1 / np.sqrt(ms + EPS)
    qhat = q * inv
    qn = qhat * scale
    s = np.einsum("bthk,hk->bth", qn, keys)
    a = np.tanh(s)
    loss = ((a - target) ** 2).sum(-1).mean()

    da = 2 * (a - target) / (x.shape[0] * x.shape[1])
    ds = da * (1 - a**2)
    dkeys = np.einsum("bthk,bth->hk", qn, ds)
    dqn = ds[..., None] * keys
    dscale = (dqn * qhat).sum((0, 1, 2))
    if wrong == "scale's gradient for each head":
        dscale = (dqn * qhat).sum((0, 1))
    elif wrong == "scale's gradient of the first head":
        dscale = (dqn * qhat)[:, :, 0].sum((0, 1))
    dqhat = dqn if wrong == "scale dropped" else dqn * scale
    dinv = (dqhat * q).sum(-1, keepdims=True)
    power = {"inv for inv^3": 1, "inv^2 for inv^3": 2}.get(wrong, 3)
    dms = -0.5 * dinv * inv**power
    if wrong == "eps outside the root":
        dms = -0.5 * dinv * inv**2 / np.sqrt(ms)
    elif wrong == "the half forgotten":
        dms = -dinv * inv**3
    through = 2 * q * dms / K
    if wrong == "mean taken off first":
        through = 2 * (q - q.mean(-1, keepdims=True)) * dms / K
    dq = dqhat * inv if wrong == "variance path lost" else dqhat * inv + through
    dwq, dx = np.einsum("btd,bthk->dhk", x, dq), np.einsum("dhk,bthk->btd", wq, dq)
    dtarget = -da
    return loss, *by_hand(locals(), "q ms inv qhat qn s a")


def heads_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, t, d, h, k = sizes(rng, 5, high=8)
    params = {"wq": normal(rng, d, h, k), "scale": gains(rng, k), "keys": normal(rng, h, k)}
    return params, {"x": normal(rng, b, t, d), "target": normal(rng, b, t, h)}


HEADS = System("rms norm of queries", heads_forward, heads_backward, heads_make)

MISTAKES = [
    Mistake(SWIGLU, "divided by D - 1", "NORM-DDOF-FORWARD", "n", stage="forward"),
    Mistake(SWIGLU, "the second projection lost", "ACC-BRANCH-LOST", "dn"),
    Mistake(SWIGLU, "dweight with the input", "NORM-DGAMMA-X", "dweight"),
    Mistake(SWIGLU, "weight dropped", "NORM-GAMMA-DROPPED", "dh"),
    Mistake(SWIGLU, "inner product not averaged", "", "dh"),
    Mistake(SWIGLU, "mean over the batch", "NORM-WRONG-AXIS", "dh"),
    Mistake(SWIGLU, "inner product with the plain input", "", "dh"),
    Mistake(SWIGLU, "layer norm's mean as well", "", "dh"),
    Mistake(SWIGLU, "no variance path", "NORM-NO-VAR-PATH", "dh"),
    Mistake(SWIGLU, "not divided", "NORM-POWER", "dh"),
    Mistake(SWIGLU, "r squared", "NORM-POWER", "dh"),
    Mistake(HEADS, "mean taken off first", "", "ms", stage="forward"),
    Mistake(HEADS, "eps outside the root", "NORM-EPS-PLACE", "inv", stage="forward"),
    Mistake(HEADS, "scale's gradient for each head", "ACC-UNBROADCAST", "dscale", same=("BIAS-UNSUMMED",)),
    Mistake(HEADS, "scale's gradient of the first head", "ACC-UNBROADCAST", "dscale"),
    Mistake(HEADS, "scale dropped", "NORM-GAMMA-DROPPED", "dqhat"),
    Mistake(HEADS, "inv for inv^3", "NORM-POWER", "dms"),
    Mistake(HEADS, "inv^2 for inv^3", "NORM-POWER", "dms"),
    Mistake(HEADS, "the half forgotten", "OP-POW", "dms"),
    Mistake(HEADS, "variance path lost", "NORM-NO-VAR-PATH", "dq", same=("ACC-BRANCH-LOST",)),
]

VARIANTS = [
    Variant(SWIGLU, "r^3 form"),
]
