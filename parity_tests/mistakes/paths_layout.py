"""Which gradient goes where: gate and up, branches put side by side, flattened maps, heads, sorted rows."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes
from parity_tests.mistakes.softmax import softmax

# ---- a gated feed-forward: down(silu(gate) * up), gate and up of one width ----


def gated_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    gate = inputs["x"] @ params["Wg"]
    act = F.silu(gate)
    up = inputs["x"] @ params["Wu"]
    prod = act * up
    out = prod @ params["Wd"]
    loss = ((out - inputs["y"]) ** 2).mean()
    return loss, pick(locals(), "gate act up prod out")


def gated_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    Wg, Wu, Wd, x, y = *params.values(), inputs["x"], inputs["y"]
    gate, up = x @ Wg, x @ Wu
    s = 1 / (1 + np.exp(-gate))
    act = gate * s
    prod = act * up
    out = prod @ Wd
    loss = ((out - y) ** 2).mean()

    dout = 2 * (out - y) / y.size
    dWd, dprod = prod.T @ dout, dout @ Wd.T
    dup, dact = dprod * act, dprod * up
    if wrong == "up and act exchanged":
        dup, dact = dact, dup
    elif wrong == "gate for act":
        dup = dprod * gate
    elif wrong == "both the product":
        dup, dact = dprod * prod, dprod * prod
    dgate = dact * s * (1 + gate * (1 - s))
    dWg, dWu = x.T @ dgate, x.T @ dup
    if wrong == "weights of gate and up exchanged":
        dWg, dWu = dWu, dWg
    elif wrong == "weights in one product":
        dWg, dWu = np.split(x.T @ np.hstack([dgate, dup]), 2, axis=1)
    dx = dgate @ Wg.T + dup @ Wu.T
    if wrong == "x through the other's weights":
        dx = dgate @ Wu.T + dup @ Wg.T
    return loss, *by_hand(locals(), "gate act up prod out")


def gated_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, c = sizes(rng, 4)
    params = {"Wg": normal(rng, d, h), "Wu": normal(rng, d, h), "Wd": normal(rng, h, c)}
    return params, {"x": normal(rng, n, d), "y": normal(rng, n, c)}


GATED = System("a gated feed-forward", gated_forward, gated_backward, gated_make)

# ---- two branches side by side, and the rows sorted by a score that has no gradient ----


def beside_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    left = torch.tanh(inputs["x"] @ params["A"])
    right = torch.sigmoid(inputs["x"] @ params["B"])
    both = torch.cat([left, right], dim=1)
    sorted_rows = both[inputs["order"]]
    logits = sorted_rows @ params["V"]
    loss = F.cross_entropy(logits, inputs["labels"])
    return loss, pick(locals(), "left right both sorted_rows logits")


def beside_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    A, B, V, x, order, labels = *params.values(), inputs["x"], inputs["order"], inputs["labels"]
    h = A.shape[1]
    left, right = np.tanh(x @ A), 1 / (1 + np.exp(-(x @ B)))
    both = np.hstack([left, right])
    sorted_rows = both[order]
    logits = sorted_rows @ V
    p = softmax(logits)
    loss = -np.log(p[np.arange(len(x)), labels]).mean()

    dlogits = (p - np.eye(V.shape[1])[labels]) / len(x)
    dV, dsorted_rows = sorted_rows.T @ dlogits, dlogits @ V.T
    dboth = np.empty_like(both)
    dboth[order] = dsorted_rows
    if wrong == "sorted again":
        dboth = dsorted_rows[order]
    elif wrong == "left in the sorted order":
        dboth = dsorted_rows
    elif wrong == "inverse by argsort":
        dboth = dsorted_rows[np.argsort(order)]
    dleft, dright = dboth[:, :h], dboth[:, h:]
    if wrong == "halves exchanged":
        dleft, dright = dright, dleft
    elif wrong == "every second column":
        dleft, dright = dboth[:, ::2], dboth[:, 1::2]
    da, db = dleft * (1 - left**2), dright * right * (1 - right)
    dA, dB, dx = x.T @ da, x.T @ db, da @ A.T + db @ B.T
    return loss, *by_hand(locals(), "left right both sorted_rows logits")


def beside_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, c = sizes(rng, 4, low=4)
    params = {"A": normal(rng, d, h), "B": normal(rng, d, h), "V": normal(rng, 2 * h, c)}
    order = rng.permutation(n)
    while np.array_equal(order[order], np.arange(n)):  # its own inverse
        order = rng.permutation(n)
    return params, {"x": normal(rng, n, d), "order": order, "labels": rng.integers(0, c, n)}


BESIDE = System("branches side by side", beside_forward, beside_backward, beside_make)

# ---- layouts: channels flattened to one row; features split into heads ----


def layout_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    maps = torch.relu(torch.einsum("nit,io->not", inputs["x"], params["K"]))  # (N, C, T)
    steps = maps.transpose(1, 2)  # (N, T, C)
    heads = (steps @ params["W"]).unflatten(2, (params["u"].shape[0], -1)).transpose(1, 2)  # (N, H, T, D)
    scaled = torch.tanh(heads) * params["u"][:, None, None]
    merged = scaled.transpose(1, 2).flatten(2)  # (N, T, H D)
    flat = merged.flatten(1)
    loss = ((flat @ params["V"] - inputs["y"]) ** 2).mean()
    return loss, pick(locals(), "maps steps heads scaled merged flat")


def layout_dscaled(dmerged: Array, shape: tuple[int, ...], wrong: str) -> Array:
    n, H, t, d = shape
    if wrong == "heads without a transpose":
        return dmerged.reshape(n, H, t, d)
    if wrong == "heads' width before their number":
        return dmerged.reshape(n, t, d, H).transpose(0, 3, 1, 2)
    if wrong == "head by head":
        return np.stack([dmerged[..., i * d : (i + 1) * d] for i in range(H)], axis=1)
    return dmerged.reshape(n, t, H, d).transpose(0, 2, 1, 3)


def layout_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    K, W, u, V, x, y = *params.values(), inputs["x"], inputs["y"]
    maps = np.maximum(np.einsum("nit,io->not", x, K), 0)
    steps = maps.swapaxes(1, 2)
    n, t, _ = steps.shape
    heads = (steps @ W).reshape(n, t, len(u), -1).transpose(0, 2, 1, 3)
    out = np.tanh(heads)
    scaled = out * u[:, None, None]
    merged = scaled.transpose(0, 2, 1, 3).reshape(n, t, -1)
    flat = merged.reshape(n, -1)
    pred = flat @ V
    loss = ((pred - y) ** 2).mean()

    dpred = 2 * (pred - y) / y.size
    dV, dflat = flat.T @ dpred, dpred @ V.T
    dmerged = dflat.reshape(merged.shape)
    if wrong == "unflattened with the features first":
        dmerged = dflat.reshape(n, -1, t).swapaxes(1, 2)
    elif wrong == "samples and steps mixed":
        dmerged = dflat.reshape(t, n, -1).swapaxes(0, 1)
    dscaled = layout_dscaled(dmerged, heads.shape, wrong)
    du = (dscaled * out).sum(axis=(0, 2, 3))
    if wrong == "u in reverse":
        du = du[::-1]
    dheads = dscaled * u[:, None, None] * (1 - out**2)
    dz = dheads.transpose(0, 2, 1, 3).reshape(n, t, -1)
    if wrong == "heads merged without a transpose":
        dz = dheads.reshape(n, t, -1)
    dW, dsteps = np.einsum("ntc,ntd->cd", steps, dz), dz @ W.T
    dmaps = dsteps.swapaxes(1, 2)
    if wrong == "steps reshaped to channels":
        dmaps = dsteps.reshape(maps.shape)
    da = dmaps * (maps > 0)
    dK, dx = np.einsum("nit,not->io", x, da), np.einsum("not,io->nit", da, K)
    return loss, *by_hand(locals(), "maps steps heads scaled merged flat")


def layout_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, i, c, t, H, d, k = sizes(rng, 7)
    params = {"K": normal(rng, i, c), "W": normal(rng, c, H * d, scale=0.4), "u": normal(rng, H) + 2}
    params["V"] = normal(rng, t * H * d, k, scale=0.2)
    return params, {"x": normal(rng, n, i, t), "y": normal(rng, n, k)}


LAYOUT = System("channels, steps and heads", layout_forward, layout_backward, layout_make)

MISTAKES = [
    Mistake(GATED, "up and act exchanged", "PATH-SWAPPED", "dup"),
    Mistake(GATED, "gate for act", "LIN-WRONG-CACHE", "dup"),
    Mistake(GATED, "both the product", "LIN-WRONG-CACHE", "dup"),
    Mistake(GATED, "weights of gate and up exchanged", "PATH-SWAPPED", "dWg"),
    Mistake(GATED, "x through the other's weights", "PATH-SWAPPED", "dx", same=("LIN-WRONG-CACHE",)),
    Mistake(BESIDE, "halves exchanged", "PATH-SWAPPED", "dright"),
    Mistake(BESIDE, "every second column", "SHAPE-FLATTEN-ORDER", "dright"),
    Mistake(BESIDE, "sorted again", "LIN-SAMPLE-MISALIGNED", "dboth"),
    Mistake(BESIDE, "left in the sorted order", "LIN-SAMPLE-MISALIGNED", "dboth"),
    Mistake(LAYOUT, "unflattened with the features first", "SHAPE-FLATTEN-ORDER", "dmerged"),
    Mistake(LAYOUT, "samples and steps mixed", "SHAPE-FLATTEN-ORDER", "dmerged"),
    Mistake(LAYOUT, "heads without a transpose", "SHAPE-FLATTEN-ORDER", "dscaled"),
    Mistake(LAYOUT, "heads' width before their number", "SHAPE-FLATTEN-ORDER", "dscaled"),
    Mistake(LAYOUT, "u in reverse", "", "du"),
    Mistake(LAYOUT, "heads merged without a transpose", "SHAPE-FLATTEN-ORDER", "dsteps"),
    Mistake(LAYOUT, "steps reshaped to channels", "SHAPE-FLATTEN-ORDER", "dmaps"),
]

VARIANTS = [
    Variant(GATED, "weights in one product"),
    Variant(BESIDE, "inverse by argsort"),
    Variant(LAYOUT, "head by head"),
]
