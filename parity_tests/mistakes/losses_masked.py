"""Losses of which a part does not count: padding, clipped probabilities, cut-off residuals; and micro-batches."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes
from parity_tests.mistakes.softmax import softmax

PAD = -100

# ---- sentences of different lengths: the mean over the words that are there ----


def words_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = torch.tanh(inputs["x"] @ params["W"] + params["b"])
    logits = h @ params["V"]  # (B, T, C)
    loss = F.cross_entropy(logits.flatten(0, 1), inputs["words"].flatten(), ignore_index=PAD)
    return loss, pick(locals(), "h logits")


def words_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, b, V, x, words = *params.values(), inputs["x"], inputs["words"]
    valid = words != PAD
    target = np.where(valid, words, 0)
    h = np.tanh(x @ W + b)
    logits = h @ V
    p = softmax(logits)
    of_word = np.take_along_axis(p, target[..., None], axis=-1)[..., 0]
    loss = -np.log(of_word)[valid].mean()

    delta = p - np.eye(p.shape[-1])[target]
    dlogits = delta * valid[..., None] / valid.sum()
    if wrong == "padding counted as word 0":
        dlogits = delta / valid.sum()
    elif wrong == "all places counted":
        dlogits = delta * valid[..., None] / valid.size
    elif wrong == "mean forgotten":
        dlogits = delta * valid[..., None]
    elif wrong == "mean by sentence":
        dlogits = delta * valid[..., None] / valid.sum(axis=1)[:, None, None] / len(x)
    elif wrong == "mask one step late":
        dlogits = delta * np.roll(valid, 1, axis=1)[..., None] / valid.sum()
    elif wrong == "valid rows gathered":
        dlogits = np.zeros_like(p)
        dlogits[valid] = delta[valid] / np.count_nonzero(valid)
    dV = np.einsum("bth,btc->hc", h, dlogits)
    dh = dlogits @ V.T
    dz = dh * (1 - h**2)
    dW, db, dx = np.einsum("btd,bth->dh", x, dz), dz.sum(axis=(0, 1)), dz @ W.T
    return loss, *by_hand(locals(), "h logits")


def words_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, t, d, h, c = sizes(rng, 5)
    params = {"W": normal(rng, d, h), "b": normal(rng, h), "V": normal(rng, h, c)}
    words = rng.integers(0, c, (n, t))
    lengths = rng.permutation([1, 2, *rng.integers(2, t + 1, n - 2)])
    return params, {"x": normal(rng, n, t, d), "words": np.where(np.arange(t) < lengths[:, None], words, PAD)}


WORDS = System("sentences with padding", words_forward, words_backward, words_make)

# ---- probabilities kept away from 0 and 1, so that the logarithm stays small ----


def clipped_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z = inputs["x"] @ params["W"] + params["b"]
    p = torch.sigmoid(z)
    kept = torch.clamp(p, 0.05, 0.95)
    loss = F.binary_cross_entropy(kept, inputs["t"])
    return loss, pick(locals(), "z p kept")


def clipped_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, b, x, t = *params.values(), inputs["x"], inputs["t"]
    z = x @ W + b
    p = 1 / (1 + np.exp(-z))
    kept = np.clip(p, 0.05, 0.95)
    inside = (p >= 0.05) & (p <= 0.95)
    loss = -(t * np.log(kept) + (1 - t) * np.log(1 - kept)).mean()

    if wrong == "p - t although clipped":
        dz = (p - t) / t.size
    elif wrong == "fused, and masked":
        dz = (p - t) * inside / t.size
    else:
        dkept = (kept - t) / (kept * (1 - kept)) / t.size
        if wrong == "logarithm's slope for log10":
            dkept = (kept / (kept * np.log(10)) - t) / (kept * (1 - kept)) / t.size
        dp = dkept * inside
        if wrong == "clipping let through":
            dp = dkept
        elif wrong == "clipped from below alone":
            dp = dkept * (p >= 0.05)
        elif wrong == "gradient clipped instead":
            dp = np.clip(dkept, -0.9 / t.size, 0.9 / t.size)
        elif wrong == "mask turned round":
            dp = dkept * ~inside
        dz = dp * p * (1 - p)
    dW, db, dx = x.T @ dz, dz.sum(axis=0), dz @ W.T
    return loss, *by_hand(locals(), "z p kept")


def clipped_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, c = sizes(rng, 3)
    b = np.concatenate([[6.0, -6.0], normal(rng, c - 2, scale=0.3)])  # a column above, one below, the others inside
    x, t = normal(rng, n, d, scale=0.5), rng.uniform(0.1, 0.9, (n, c))
    return {"W": normal(rng, d, c, scale=0.3), "b": b}, {"x": x, "t": t}


CLIPPED = System("clipped probabilities", clipped_forward, clipped_backward, clipped_make)

# ---- Huber's loss: large residuals count by their size alone ----


def huber_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    pred = torch.tanh(inputs["x"] @ params["W"]) @ params["V"]
    loss = F.huber_loss(pred, inputs["t"], delta=0.5)
    return loss, {"pred": pred}


def huber_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, V, x, t = *params.values(), inputs["x"], inputs["t"]
    h = np.tanh(x @ W)
    pred = h @ V
    r = pred - t
    small = np.abs(r) <= 0.5
    loss = np.where(small, 0.5 * r**2, 0.5 * (np.abs(r) - 0.25)).mean()

    slope = np.where(small, r, 0.5 * np.sign(r))
    if wrong == "square throughout":
        slope = r
    elif wrong == "delta forgotten where large":
        slope = np.where(small, r, np.sign(r))
    elif wrong == "large residuals dropped":
        slope = r * small
    elif wrong == "as a clip":
        slope = np.clip(r, -0.5, 0.5)
    dpred, dt = slope / r.size, -slope / r.size
    dV = h.T @ dpred
    dW = x.T @ (dpred @ V.T * (1 - h**2))
    return loss, *by_hand(locals(), "pred")


def huber_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, c = sizes(rng, 4)
    t = rng.choice([-1.0, 1.0], (n, c)) * rng.uniform(0.2, 4.0, (n, c))
    return {"W": normal(rng, d, h), "V": normal(rng, h, c, scale=0.2)}, {"x": normal(rng, n, d), "t": t}


HUBER = System("Huber's loss", huber_forward, huber_backward, huber_make)

# ---- micro-batches: the loss is the mean of three micro-batches' means ----

PARTS = 3


def micro_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = F.relu(inputs["x"] @ params["W"] + params["b"])
    pred = h @ params["V"]
    parts = zip(pred.chunk(PARTS), inputs["y"].chunk(PARTS), strict=True)
    loss = torch.stack([F.mse_loss(mine, theirs) for mine, theirs in parts]).mean()
    return loss, pick(locals(), "h pred")


def micro_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, b, V, x, y = *params.values(), inputs["x"], inputs["y"]
    h = np.maximum(x @ W + b, 0)
    pred = h @ V
    loss = ((pred - y) ** 2).mean()

    dpred = np.zeros_like(pred)
    for part in np.split(np.arange(len(x)), PARTS):
        mean = 2 * (pred[part] - y[part]) / y[part].size
        dpred[part] = mean if wrong == "added, not averaged" else mean / PARTS
    if wrong == "averaged over the batch besides":
        dpred = dpred / len(x)
    elif wrong == "all samples at once":
        dpred = 2 * (pred - y) / y.size
    dV = h.T @ dpred
    dh = dpred @ V.T
    dz = dh * (h > 0)
    dW, db, dx = x.T @ dz, dz.sum(axis=0), dz @ W.T
    if wrong == "weights of the last micro-batch":
        dW = x[-(len(x) // PARTS) :].T @ dz[-(len(x) // PARTS) :]
    return loss, *by_hand(locals(), "h pred")


def micro_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    m, d, h, c = sizes(rng, 4, low=4)
    params = {"W": normal(rng, d, h), "b": normal(rng, h), "V": normal(rng, h, c)}
    return params, {"x": normal(rng, PARTS * m, d), "y": normal(rng, PARTS * m, c)}


MICRO = System("micro-batches", micro_forward, micro_backward, micro_make)

MISTAKES = [
    Mistake(WORDS, "padding counted as word 0", "LOSS-MASK-LOST", "dlogits"),
    Mistake(WORDS, "all places counted", "LOSS-WRONG-COUNT", "dlogits"),
    Mistake(WORDS, "mean forgotten", "LOSS-NO-MEAN", "dlogits"),
    Mistake(WORDS, "mean by sentence", "", "dlogits"),
    Mistake(WORDS, "mask one step late", "", "dlogits"),
    Mistake(CLIPPED, "p - t although clipped", "LOSS-CLIP-IGNORED", "dz"),
    Mistake(CLIPPED, "clipping let through", "LOSS-CLIP-IGNORED", "dp", same=("ACT-MISSING", "ACT-MASK-VACUOUS")),
    Mistake(CLIPPED, "logarithm's slope for log10", "", "dkept"),
    Mistake(CLIPPED, "clipped from below alone", "", "dp"),
    Mistake(CLIPPED, "gradient clipped instead", "", "dp"),
    Mistake(CLIPPED, "mask turned round", "", "dp"),
    Mistake(HUBER, "square throughout", "", "dpred"),
    Mistake(HUBER, "delta forgotten where large", "", "dpred"),
    Mistake(HUBER, "large residuals dropped", "", "dpred"),
    Mistake(MICRO, "added, not averaged", "LOSS-NO-MEAN", "dpred"),
    Mistake(MICRO, "averaged over the batch besides", "LOSS-DOUBLE-MEAN", "dpred"),
    Mistake(MICRO, "weights of the last micro-batch", "ACC-OVERWRITE", "dW"),
]

VARIANTS = [
    Variant(WORDS, "valid rows gathered"),
    Variant(CLIPPED, "fused, and masked"),
    Variant(HUBER, "as a clip"),
    Variant(MICRO, "all samples at once"),
]
