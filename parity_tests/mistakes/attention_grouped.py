"""Grouped-query attention with learned positions: operands that are broadcast, and must be summed back."""

from typing import Any

import numpy as np
import torch

from parity_tests.mistakes.attention import softmax
from parity_tests.mistakes.case import Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

# ---- G queries share each of K key/value heads; keys and values are repeated for them ----


def grouped_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    x = inputs["tokens"] + params["pos"]  # (B, T, C) + (T, C)
    q = torch.einsum("btc,chd->bhtd", x, params["Wq"])  # (B, K G, T, d)
    k = torch.einsum("btc,chd->bhtd", x, params["Wk"])  # (B, K, T, d)
    v = torch.einsum("btc,chd->bhtd", x, params["Wv"])
    groups = q.shape[1] // k.shape[1]
    kk = k.repeat_interleave(groups, dim=1)
    vv = v.repeat_interleave(groups, dim=1)
    scores = q @ kk.mT * k.shape[-1] ** -0.5 + params["bias"]  # (B, K G, T, T) + (K G, 1, T)
    probs = scores.softmax(-1)
    o = probs @ vv
    y = torch.einsum("bhtd,hdc->btc", o, params["Wo"])
    loss = ((y - inputs["target"]) ** 2).mean(-1).sum()
    return loss, {"h": x, **pick(locals(), "q k v kk vv scores probs o y")}


def grouped_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    pos, Wq, Wk, Wv, bias, Wo = params.values()
    tokens, target = inputs["tokens"], inputs["target"]
    h = tokens + pos
    q, k, v = (np.einsum("btc,chd->bhtd", h, W) for W in (Wq, Wk, Wv))
    B, K, T, d = k.shape
    G = q.shape[1] // K
    kk, vv = np.repeat(k, G, axis=1), np.repeat(v, G, axis=1)
    scores = q @ kk.swapaxes(2, 3) / np.sqrt(d) + bias
    probs = softmax(scores)
    o = probs @ vv
    y = np.einsum("bhtd,hdc->btc", o, Wo)
    loss = ((y - target) ** 2).mean(-1).sum()
    dy = 2 * (y - target) / y.shape[-1]
    dWo = np.einsum("bhtd,btc->hdc", o, dy)
    do = np.einsum("btc,hdc->bhtd", dy, Wo)
    dvv = probs.swapaxes(2, 3) @ do
    dprobs = do @ vv.swapaxes(2, 3)
    dscores = probs * (dprobs - (dprobs * probs).sum(-1, keepdims=True))
    dbias = dscores.sum((0, 2))[:, None]
    if wrong == "bias's gradient of the first query":
        dbias = dscores[:, :, :1].sum(0)
    elif wrong == "bias's gradient for every sample":
        dbias = dscores.sum(2, keepdims=True)
    elif wrong == "bias's gradient averaged over the queries":
        dbias = dscores.mean(2, keepdims=True).sum(0)
    dkk = dscores.swapaxes(2, 3) @ q / np.sqrt(d)
    if wrong == "keys unscaled":
        dkk = dscores.swapaxes(2, 3) @ q
    dq = dscores @ kk / np.sqrt(d)
    dv = dvv.reshape(B, K, G, T, d).sum(2)
    dk = dkk.reshape(B, K, G, T, d).sum(2)
    if wrong == "first copy of the values kept":
        dv = dvv[:, ::G]
    elif wrong == "last copy of the keys kept":
        dk = dkk[:, G - 1 :: G]
    elif wrong == "copies averaged":
        dv = dvv.reshape(B, K, G, T, d).mean(2)
    elif wrong == "groups read the other way round":
        dv = dvv.reshape(B, G, K, T, d).sum(1)
    elif wrong == "copies added one by one":
        dv, dk = np.zeros_like(v), np.zeros_like(k)
        for head in range(K * G):
            dv[:, head // G] += dvv[:, head]
            dk[:, head // G] += dkk[:, head]
    elif wrong == "copies assigned one by one":
        dk = np.zeros_like(k)
        for head in range(K * G):
            dk[:, head // G] = dkk[:, head]
    dWq, dWk, dWv = (np.einsum("btc,bhtd->chd", h, g) for g in (dq, dk, dv))
    dh = sum(np.einsum("bhtd,chd->btc", g, W) for g, W in ((dq, Wq), (dk, Wk), (dv, Wv)))
    dpos = dh.sum(axis=0)
    if wrong == "positions of the first sample":
        dpos = dh[0]
    elif wrong == "positions not summed":
        dpos = dh
    elif wrong == "positions averaged over the batch":
        dpos = dh.mean(axis=0)
    dtokens, dtarget = dh, -dy
    return loss, *by_hand(locals(), "h q k v kk vv scores probs o y")


def grouped_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, t, c, d = sizes(rng, 4, low=4, high=8)
    groups, heads = (int(n) for n in rng.permutation([2, 3]))
    params = {"pos": normal(rng, t, c), "Wq": normal(rng, c, heads * groups, d), "Wk": normal(rng, c, heads, d)}
    params |= {"Wv": normal(rng, c, heads, d), "bias": normal(rng, heads * groups, 1, t)}
    params |= {"Wo": normal(rng, heads * groups, d, c)}
    return params, {"tokens": normal(rng, b, t, c), "target": normal(rng, b, t, c)}


GROUPED = System("grouped-query attention", grouped_forward, grouped_backward, grouped_make)

MISTAKES = [
    Mistake(GROUPED, "bias's gradient of the first query", "ACC-UNBROADCAST", "dbias"),
    Mistake(GROUPED, "bias's gradient for every sample", "ACC-UNBROADCAST", "dbias", same=("BIAS-UNSUMMED",)),
    Mistake(GROUPED, "bias's gradient averaged over the queries", "", "dbias"),
    Mistake(GROUPED, "keys unscaled", "ATT-SCALE", "dkk"),
    Mistake(GROUPED, "first copy of the values kept", "ACC-UNBROADCAST", "dv"),
    Mistake(GROUPED, "last copy of the keys kept", "ACC-UNBROADCAST", "dk", same=("ACC-OVERWRITE",)),
    Mistake(GROUPED, "copies assigned one by one", "ACC-OVERWRITE", "dk", same=("ACC-UNBROADCAST",)),
    Mistake(GROUPED, "copies averaged", "", "dv"),
    Mistake(GROUPED, "groups read the other way round", "SHAPE-FLATTEN-ORDER", "dv"),
    Mistake(GROUPED, "positions of the first sample", "ACC-UNBROADCAST", "dpos"),
    Mistake(GROUPED, "positions not summed", "ACC-UNBROADCAST", "dpos", same=("BIAS-UNSUMMED",)),
    Mistake(GROUPED, "positions averaged over the batch", "BIAS-MEAN", "dpos"),
]

VARIANTS = [
    Variant(GROUPED, "copies added one by one"),
]
