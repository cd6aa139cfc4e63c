"""Attention: causal heads written out, torch's fused call, and grouped queries with positions added."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes


def softmax(s: Array) -> Array:
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


# ---- causal self-attention with heads, minGPT's way: (B, T, C) -> (B, H, T, d) ----


def causal_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    x = inputs["x"]
    B, T, _ = x.shape
    H = 3
    q = (x @ params["Wq"] + params["bq"]).view(B, T, H, -1).transpose(1, 2)
    k = (x @ params["Wk"]).view(B, T, H, -1).transpose(1, 2)
    v = (x @ params["Wv"] + params["bv"]).view(B, T, H, -1).transpose(1, 2)
    att = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    masked = att.masked_fill(torch.triu(torch.ones(T, T, dtype=torch.bool), 1), float("-inf"))
    P = F.softmax(masked, dim=-1)
    ctx = P @ v
    merged = ctx.transpose(1, 2).reshape(B, T, -1)
    y = merged @ params["Wo"]
    loss = F.mse_loss(y, inputs["target"])
    return loss, pick(locals(), "q k v att P ctx merged y")


def split(m: Array) -> Array:
    """(B, T, H d) -> (B, H, T, d) for three heads."""
    B, T, _ = m.shape
    return m.reshape(B, T, 3, -1).transpose(0, 2, 1, 3)


def merge(m: Array) -> Array:
    """(B, H, T, d) -> (B, T, H d)."""
    B, _, T, _ = m.shape
    return m.transpose(0, 2, 1, 3).reshape(B, T, -1)


def causal_datt(P: Array, dP: Array, wrong: str) -> Array:
    if wrong == "no row sum":
        return P * dP
    if wrong == "sum over the queries":
        return P * (dP - (dP * P).sum(axis=-2, keepdims=True))
    if wrong == "P (1 - P)":
        return dP * P * (1 - P)
    if wrong == "softmax skipped":
        return dP * np.tri(P.shape[-1])
    if wrong == "sum over the heads":
        return P * (dP - (dP * P).sum(axis=1, keepdims=True))
    return P * (dP - (dP * P).sum(axis=-1, keepdims=True))


def causal_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    Wq, bq, Wk, Wv, bv, Wo = params.values()
    x, target = inputs["x"], inputs["target"]
    B, T, _ = x.shape
    q, k, v = split(x @ Wq + bq), split(x @ Wk), split(x @ Wv + bv)
    d = q.shape[-1]
    att = q @ k.swapaxes(-2, -1) / np.sqrt(d)
    P = softmax(np.where(np.tri(T, dtype=bool), att, -np.inf))
    ctx = P @ v
    merged = merge(ctx)
    y = merged @ Wo
    loss = ((y - target) ** 2).mean()

    dy = 2 * (y - target) / y.size
    dWo = np.einsum("bti,btj->ij", merged, dy)
    dmerged = dy @ Wo.T
    dctx = split(dmerged)
    if wrong == "heads split without a transpose":
        dctx = dmerged.reshape(ctx.shape)
    again = P
    if wrong == "mask lost when recomputed":
        again = softmax(att)
    elif wrong == "recomputed from the log-sum-exp":  # as a fused kernel does, block by block
        lse = np.log((np.exp(att) * np.tri(T)).sum(-1, keepdims=True))
        again = np.exp(att - lse) * np.tri(T)
    dv = (P if wrong == "P not transposed for dv" else P.swapaxes(-2, -1)) @ dctx
    dP = dctx @ v.swapaxes(-2, -1)
    datt = causal_datt(again, dP, wrong)
    if wrong == "row sum from the output":
        datt = P * (dP - (dctx * ctx).sum(-1, keepdims=True))
    if wrong == "diagonal masked too":
        datt = datt * np.tri(T, k=-1)
    dscores = datt / np.sqrt(d)
    if wrong == "scaled by the model's width":
        dscores = datt / np.sqrt(3 * d)
    elif wrong == "scaled by d":
        dscores = datt / d
    dk = dscores.swapaxes(-2, -1) @ q
    dq = dscores @ k
    if wrong == "dk unscaled":
        dk = datt.swapaxes(-2, -1) @ q
    elif wrong == "dq unscaled":
        dq = datt @ k
    elif wrong == "scores not transposed for dk":
        dk = dscores @ q
    elif wrong == "dq with the queries":
        dq = dscores @ q
    gq, gk, gv = merge(dq), merge(dk), merge(dv)
    dWq, dWk, dWv = (np.einsum("bti,btj->ij", x, g) for g in (gq, gk, gv))
    dbq, dbv = gq.sum((0, 1)), gv.sum((0, 1))
    dx = gq @ Wq.T + gk @ Wk.T + gv @ Wv.T
    if wrong == "keys' path lost":
        dx = gq @ Wq.T + gv @ Wv.T
    dtarget = -dy
    return loss, *by_hand(locals(), "q k v att P ctx merged y")


def causal_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, t, d, c, o = sizes(rng, 5, low=4)
    params = {"Wq": normal(rng, c, 3 * d), "bq": normal(rng, 3 * d), "Wk": normal(rng, c, 3 * d)}
    params |= {"Wv": normal(rng, c, 3 * d), "bv": normal(rng, 3 * d), "Wo": normal(rng, 3 * d, o)}
    return params, {"x": normal(rng, n, t, c), "target": normal(rng, n, t, o)}


CAUSAL = System("causal heads", causal_forward, causal_backward, causal_make)

# ---- torch's fused attention over another sequence; scores and probabilities have no names in the forward ----


def cross_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    q = F.linear(inputs["x"], params["wq"])  # (B, T, d)
    k = F.linear(inputs["memory"], params["wk"])  # (B, S, d)
    v = F.linear(inputs["memory"], params["wv"])  # (B, S, e)
    o = F.scaled_dot_product_attention(q, k, v)
    logits = F.linear(o, params["wo"], params["bo"]).flatten(0, 1)
    loss = F.cross_entropy(logits, inputs["labels"])
    return loss, pick(locals(), "q k v o logits")


def cross_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    wq, wk, wv, wo, bo = params.values()
    x, memory, labels = inputs["x"], inputs["memory"], inputs["labels"]
    q, k, v = x @ wq.T, memory @ wk.T, memory @ wv.T
    scale = q.shape[-1] ** -0.5
    s = np.einsum("btd,bsd->bts", q, k) * scale
    p = softmax(s)
    o = p @ v
    logits = (o @ wo.T + bo).reshape(len(labels), -1)
    probs = softmax(logits)
    loss = -np.log(probs[np.arange(len(labels)), labels]).mean()

    dlogits = probs
    dlogits[np.arange(len(labels)), labels] -= 1
    dlogits /= len(labels)
    dwo, dbo = dlogits.T @ o.reshape(len(labels), -1), dlogits.sum(0)
    do = (dlogits @ wo).reshape(o.shape)
    dv = np.einsum("bts,bte->bse", s if wrong == "dv from the scores" else p, do)
    if wrong == "dv from the unnormalised weights":
        dv = np.einsum("bts,bte->bse", np.exp(s), do)
    dp = np.einsum("bte,bse->bts", do, v)
    row = np.einsum("bte,bte->bt", do, o)[..., None]
    if wrong == "sum over the queries":
        row = (dp * p).sum(axis=1, keepdims=True)
    elif wrong == "no row sum":
        row = 0.0
    ds = dp if wrong == "softmax skipped" else p * (dp - row)
    if wrong == "p (1 - p)":
        ds = dp * p * (1 - p)
    dk = np.einsum("bts,btd->bsd", ds, q) * scale
    dq = np.einsum("bts,bsd->btd", ds, k) * scale
    if wrong == "dk unscaled":
        dk = dk / scale
    elif wrong == "scaled twice":
        dk, dq = dk * scale, dq * scale
    elif wrong == "neither scaled":
        dk, dq = dk / scale, dq / scale
    dwv = np.einsum("bse,bsm->em", dv, memory)
    dwk = np.einsum("bsd,bsm->dm", dk, memory)
    dwq = np.einsum("btd,btc->dc", dq, x)
    dmemory = dk @ wk if wrong == "values' path lost" else dk @ wk + dv @ wv
    dx = dq @ wq
    return loss, *by_hand(locals(), "q k v o logits")


def cross_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, t, m, d, e, c, w, u = sizes(rng, 8)
    params = {"wq": normal(rng, d, c), "wk": normal(rng, d, w), "wv": normal(rng, e, w)}
    params |= {"wo": normal(rng, u, e), "bo": normal(rng, u)}
    return params, {"x": normal(rng, n, t, c), "memory": normal(rng, n, m, w), "labels": rng.integers(0, u, n * t)}


CROSS = System("fused cross attention", cross_forward, cross_backward, cross_make)

MISTAKES = [
    Mistake(CAUSAL, "heads split without a transpose", "SHAPE-FLATTEN-ORDER", "dctx"),
    Mistake(CAUSAL, "P not transposed for dv", "LIN-W-NOT-T", "dv"),
    Mistake(CAUSAL, "mask lost when recomputed", "ATT-MASK-LOST", "datt"),
    Mistake(CAUSAL, "no row sum", "SOFTMAX-NO-ROWSUM", "datt"),
    Mistake(CAUSAL, "sum over the queries", "SOFTMAX-AXIS", "datt"),
    Mistake(CAUSAL, "sum over the heads", "SOFTMAX-AXIS", "datt"),
    Mistake(CAUSAL, "P (1 - P)", "SOFTMAX-DIAG", "datt"),
    Mistake(CAUSAL, "softmax skipped", "SOFTMAX-IDENTITY", "datt"),
    Mistake(CAUSAL, "diagonal masked too", "", "datt"),
    Mistake(CAUSAL, "scaled by the model's width", "", "dk"),
    Mistake(CAUSAL, "scaled by d", "ATT-SCALE", "dk"),
    Mistake(CAUSAL, "dk unscaled", "ATT-SCALE", "dk"),
    Mistake(CAUSAL, "dq unscaled", "ATT-SCALE", "dq"),
    Mistake(CAUSAL, "scores not transposed for dk", "LIN-W-NOT-T", "dk"),
    Mistake(CAUSAL, "dq with the queries", "LIN-WRONG-CACHE", "dq"),
    Mistake(CAUSAL, "keys' path lost", "ACC-BRANCH-LOST", "dx"),
    Mistake(CROSS, "dv from the scores", "", "dv"),
    Mistake(CROSS, "dv from the unnormalised weights", "", "dv"),
    Mistake(CROSS, "no row sum", "SOFTMAX-NO-ROWSUM", "dk"),
    Mistake(CROSS, "sum over the queries", "SOFTMAX-AXIS", "dk"),
    Mistake(CROSS, "softmax skipped", "SOFTMAX-IDENTITY", "dk"),
    Mistake(CROSS, "p (1 - p)", "SOFTMAX-DIAG", "dk"),
    Mistake(CROSS, "dk unscaled", "ATT-SCALE", "dk"),
    Mistake(CROSS, "neither scaled", "ATT-SCALE", "dk"),
    Mistake(CROSS, "scaled twice", "ATT-SCALE", "dk"),
    Mistake(CROSS, "values' path lost", "ACC-BRANCH-LOST", "dmemory"),
]

VARIANTS = [
    Variant(CAUSAL, "recomputed from the log-sum-exp"),
    Variant(CAUSAL, "row sum from the output"),
]
