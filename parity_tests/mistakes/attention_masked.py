"""Attention in kernels' manner: torch's call with masks, and a backward that computes the weights again."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.attention import softmax
from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

# ---- keys that are padding are hidden by a boolean mask; scale is torch's own ----


def padded_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    q = torch.einsum("btc,chd->bhtd", inputs["x"], params["Wq"])
    k = torch.einsum("btc,chd->bhtd", inputs["x"], params["Wk"])
    v = torch.einsum("btc,chd->bhtd", inputs["x"], params["Wv"])
    real = torch.arange(q.shape[2]) < inputs["lengths"][:, None]
    o = F.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None, :])
    y = torch.einsum("bhtd,hdc->btc", o, params["Wo"])
    loss = (F.softplus(y) - inputs["target"]).pow(2).mean()
    return loss, pick(locals(), "q k v o y")


def weights_again(q: Array, k: Array, lse: Array, real: Array, wrong: str) -> Array:
    """exp(scores - log-sum-exp), the weights without the softmax's passes."""
    s = np.einsum("bhtd,bhsd->bhts", q, k) / np.sqrt(q.shape[-1])
    if wrong == "mask lost, normalised anew":
        return softmax(s)
    if wrong == "mask lost, old log-sum-exp":
        return np.exp(s - lse)
    if wrong == "last key hidden too":
        real = real & np.append(real[..., 1:], np.zeros_like(real[..., :1]), axis=-1)
    return np.where(real, np.exp(s - lse), 0.0)


def padded_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    Wq, Wk, Wv, Wo = params.values()
    x, lengths, target = inputs["x"], inputs["lengths"], inputs["target"]
    q, k, v = (np.einsum("btc,chd->bhtd", x, W) for W in (Wq, Wk, Wv))
    B, H, T, d = q.shape
    real = (np.arange(T) < lengths[:, None])[:, None, None, :]
    scores = np.where(real, q @ k.swapaxes(2, 3) / np.sqrt(d), -np.inf)
    lse = np.log(np.exp(scores).sum(-1, keepdims=True))
    o = softmax(scores) @ v
    y = np.einsum("bhtd,hdc->btc", o, Wo)
    soft = np.log1p(np.exp(y))
    loss = ((soft - target) ** 2).mean()

    dy = 2 * (soft - target) / y.size / (1 + np.exp(-y))
    dWo = np.einsum("bhtd,btc->hdc", o, dy)
    do = np.einsum("btc,hdc->bhtd", dy, Wo)
    p = weights_again(q, k, lse, real, wrong)
    delta = (do * o).sum(-1, keepdims=True)
    if wrong == "delta summed over the heads":
        delta = delta.sum(axis=1, keepdims=True)
    dv = p.swapaxes(2, 3) @ do
    dp = do @ v.swapaxes(2, 3)
    ds = p * (dp - delta) / np.sqrt(d)
    if wrong == "p not multiplied again":
        ds = np.where(real, dp - delta, 0.0) / np.sqrt(d)
    elif wrong == "in blocks of two keys":
        ds = np.zeros_like(p)
        for start in range(0, T, 2):
            block = slice(start, start + 2)
            ds[..., block] = p[..., block] * (do @ v[:, :, block].swapaxes(2, 3) - delta) / np.sqrt(d)
    dk = ds.swapaxes(2, 3) @ q
    dq = ds @ k
    if wrong == "dk unscaled":
        dk = dk * np.sqrt(d)
    elif wrong == "scaled by 1/T":
        dk, dq = dk * np.sqrt(d) / T, dq * np.sqrt(d) / T
    elif wrong == "last block of keys assigned":
        dq = ds[..., T // 2 :] @ k[:, :, T // 2 :]
    dWq, dWk, dWv = (np.einsum("btc,bhtd->chd", x, g) for g in (dq, dk, dv))
    dx = sum(np.einsum("bhtd,chd->btc", g, W) for g, W in ((dq, Wq), (dk, Wk), (dv, Wv)))
    return loss, *by_hand(locals(), "q k v o y")


def padded_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, t, c, h, d = sizes(rng, 5, high=8)
    t += 2
    params = {"Wq": normal(rng, c, h, d), "Wk": normal(rng, c, h, d), "Wv": normal(rng, c, h, d)}
    params["Wo"] = normal(rng, h, d, c)
    lengths = rng.integers(3, t, b)
    return params, {"x": normal(rng, b, t, c), "lengths": lengths, "target": rng.random((b, t, c))}


PADDED = System("attention that hides padding", padded_forward, padded_backward, padded_make)

MISTAKES = [
    Mistake(PADDED, "mask lost, normalised anew", "ATT-MASK-LOST", "dv"),
    Mistake(PADDED, "mask lost, old log-sum-exp", "ATT-MASK-LOST", "dv"),
    Mistake(PADDED, "last key hidden too", "", "dv"),
    Mistake(PADDED, "delta summed over the heads", "", "dk"),
    Mistake(PADDED, "p not multiplied again", "", "dk"),
    Mistake(PADDED, "dk unscaled", "ATT-SCALE", "dk"),
    Mistake(PADDED, "scaled by 1/T", "", "dk"),
    Mistake(PADDED, "last block of keys assigned", "ACC-OVERWRITE", "dq"),
]

VARIANTS = [
    Variant(PADDED, "in blocks of two keys"),
]
