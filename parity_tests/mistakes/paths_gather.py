"""Gradients that meet again: rows of a table, overlapping windows, what a broadcast has copied."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes
from parity_tests.mistakes.softmax import softmax

# ---- words: rows of a table, and the same table once more for the logits ----


def words_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    e = params["E"][inputs["words"]]  # (B, T, D)
    context = torch.tanh(e @ params["W"]).mean(dim=1)
    out = context @ params["V"]
    logits = out @ params["E"].T
    loss = F.cross_entropy(logits, inputs["labels"])
    return loss, pick(locals(), "e context out logits")


def words_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    E, W, V, words, labels = *params.values(), inputs["words"], inputs["labels"]
    n, t = words.shape
    e = E[words]
    h = np.tanh(e @ W)
    context = h.mean(axis=1)
    out = context @ V
    logits = out @ E.T
    p = softmax(logits)
    loss = -np.log(p[np.arange(n), labels]).mean()

    dlogits = (p - np.eye(len(E))[labels]) / n
    of_logits = dlogits.T @ out
    dout = dlogits @ E
    dV = context.T @ dout
    dcontext = dout @ V.T
    dz = dcontext[:, None] / t * (1 - h**2)
    dW = np.einsum("btd,bth->dh", e, dz)
    de = dz @ W.T
    rows = np.zeros_like(E)
    if wrong == "+= by index":
        rows[words] += de
    elif wrong == "assigned in a loop":
        for word, gradient in zip(words.ravel(), de.reshape(-1, E.shape[1]), strict=True):
            rows[word] = gradient
    elif wrong == "first occurrence alone":
        unique, where = np.unique(words, return_index=True)
        rows[unique] = de.reshape(-1, E.shape[1])[where]
    else:
        np.add.at(rows, words, de)
    if wrong == "mean over the occurrences":
        rows = rows / np.maximum(np.bincount(words.ravel(), minlength=len(E)), 1)[:, None]
    elif wrong == "one-hot product":
        rows = np.einsum("btv,btd->vd", np.eye(len(E))[words], de)
    dE = rows + of_logits
    if wrong == "table's use for the logits lost":
        dE = rows
    elif wrong == "table's use for the words lost":
        dE = of_logits
    elif wrong == "logits' use twice":
        dE = rows + 2 * of_logits
    elif wrong == "row of the first word left at zero":  # as if word 0 were padding
        dE = rows + of_logits
        dE[0] = 0
    return loss, *by_hand(locals(), "e context out logits")


def words_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, t, d, h, v = sizes(rng, 5, low=4)
    words = rng.integers(0, v, (n, t))
    words[0, :3] = words[-1, -1] = 1  # one word again, whatever is drawn
    params = {"E": normal(rng, v, d), "W": normal(rng, d, h), "V": normal(rng, h, d)}
    return params, {"words": words, "labels": rng.integers(0, v, n)}


WORDS = System("a table of words, tied", words_forward, words_backward, words_make)

# ---- windows of three steps, every second one: neighbours share a step ----


def windows_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    a = F.softplus(inputs["x"] @ params["W"])  # (B, T, D)
    c = torch.einsum("btdk,kde->bte", a.unfold(1, 3, 2), params["K"])
    loss = ((torch.tanh(c) - inputs["y"]) ** 2).mean()
    return loss, pick(locals(), "a c")


def windows_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, K, x, y = *params.values(), inputs["x"], inputs["y"]
    z = x @ W
    a = np.log1p(np.exp(z))
    starts = range(0, a.shape[1] - 2, 2)
    c = np.stack([np.einsum("bkd,kde->be", a[:, i : i + 3], K) for i in starts], axis=1)
    out = np.tanh(c)
    loss = ((out - y) ** 2).mean()

    dc = 2 * (out - y) / y.size * (1 - out**2)
    dK, da = np.zeros_like(K), np.zeros_like(a)
    for t, i in enumerate(starts):
        mine = np.einsum("be,kde->bkd", dc[:, t], K)
        kernel = np.einsum("bkd,be->kde", a[:, i : i + 3], dc[:, t])
        dK = kernel if wrong == "kernel of the last window" else dK + kernel
        if wrong == "windows assigned":
            da[:, i : i + 3] = mine
        elif wrong == "windows one step late":
            da[:, i + 1 : i + 3] += mine[:, :-1]
        elif wrong == "kernel turned round":
            da[:, i : i + 3] += mine[:, ::-1]
        else:
            da[:, i : i + 3] += mine
    covered = np.ones(a.shape[1])
    covered[2:-1:2] = 2
    if wrong == "divided by the number of windows":
        da = da / covered[:, None]
    dz = da / (1 + np.exp(-z))
    dW, dx = np.einsum("btd,bth->dh", x, dz), dz @ W.T
    return loss, *by_hand(locals(), "a c")


def windows_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, e = sizes(rng, 4, low=4)
    params = {"W": normal(rng, d, h), "K": normal(rng, 3, h, e)}
    return params, {"x": normal(rng, n, 11, d), "y": normal(rng, n, 5, e)}


WINDOWS = System("overlapping windows", windows_forward, windows_backward, windows_make)

# ---- a gain of each step and one of each feature, both broadcast over (B, T, D) ----


def gains_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = torch.sigmoid(inputs["x"] * params["step"])  # step (T, 1)
    out = h * params["feature"] + inputs["shift"][:, None]  # feature (D,), shift (B, D)
    loss = ((out - inputs["y"]) ** 2).mean()
    return loss, pick(locals(), "h out")


def gains_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    step, feature, x, shift, y = *params.values(), inputs["x"], inputs["shift"], inputs["y"]
    h = 1 / (1 + np.exp(-x * step))
    out = h * feature + shift[:, None]
    loss = ((out - y) ** 2).mean()

    dout = 2 * (out - y) / y.size
    dfeature = (dout * h).sum(axis=(0, 1))
    if wrong == "feature's gain of one place":
        dfeature = (dout * h)[0, 0]
    elif wrong == "feature's gain by steps":
        dfeature = (dout * h).sum(axis=0)
    elif wrong == "sums multiplied":
        dfeature = dout.sum(axis=(0, 1)) * h.sum(axis=(0, 1))
    elif wrong == "feature's gain by einsum":
        dfeature = np.einsum("btd,btd->d", dout, h)
    dshift = dout[:, 0] if wrong == "shift of the first step" else dout.sum(axis=1)
    dh = dout * feature
    dz = dh * h * (1 - h)
    dstep = (dz * x).sum(axis=(0, 2))[:, None]
    if wrong == "step's gain not summed over features":
        dstep = (dz * x).sum(axis=0)
    elif wrong == "step's gain loses its axis":
        dstep = (dz * x).sum(axis=(0, 2))
    elif wrong == "step's gain of the last sample":
        dstep = (dz * x)[-1].sum(axis=-1, keepdims=True)
    dx = dz * step
    return loss, *by_hand(locals(), "h out")


def gains_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, t, d = sizes(rng, 3)
    params = {"step": normal(rng, t, 1) + 2, "feature": normal(rng, d) + 2}
    return params, {"x": normal(rng, n, t, d), "shift": normal(rng, n, d), "y": normal(rng, n, t, d)}


GAINS = System("gains broadcast", gains_forward, gains_backward, gains_make)

MISTAKES = [
    Mistake(WORDS, "+= by index", "ACC-DUPLICATE-INDEX", "dE"),
    Mistake(WORDS, "assigned in a loop", "ACC-DUPLICATE-INDEX", "dE"),
    Mistake(WORDS, "first occurrence alone", "ACC-DUPLICATE-INDEX", "dE"),
    Mistake(WORDS, "mean over the occurrences", "", "dE"),
    Mistake(WORDS, "table's use for the logits lost", "ACC-BRANCH-LOST", "dE"),
    Mistake(WORDS, "table's use for the words lost", "ACC-BRANCH-LOST", "dE"),
    Mistake(WORDS, "logits' use twice", "ACC-DOUBLE-COUNT", "dE"),
    Mistake(WORDS, "row of the first word left at zero", "", "dE"),
    Mistake(WINDOWS, "kernel of the last window", "ACC-OVERWRITE", "dK"),
    Mistake(WINDOWS, "windows assigned", "ACC-OVERLAP-ASSIGN", "da"),
    Mistake(WINDOWS, "windows one step late", "", "da"),
    Mistake(WINDOWS, "kernel turned round", "CONV-FLIP", "da"),
    Mistake(WINDOWS, "divided by the number of windows", "", "da"),
    Mistake(GAINS, "feature's gain of one place", "ACC-UNBROADCAST", "dfeature"),
    Mistake(GAINS, "feature's gain by steps", "ACC-UNBROADCAST", "dfeature", same=("BIAS-UNSUMMED",)),
    Mistake(GAINS, "sums multiplied", "", "dfeature"),
    Mistake(GAINS, "shift of the first step", "ACC-UNBROADCAST", "dshift"),
    Mistake(GAINS, "step's gain not summed over features", "ACC-UNBROADCAST", "dstep", same=("BIAS-UNSUMMED",)),
    Mistake(GAINS, "step's gain loses its axis", "", "dstep"),
    Mistake(GAINS, "step's gain of the last sample", "ACC-UNBROADCAST", "dstep", same=("ACC-OVERWRITE",)),
]

VARIANTS = [
    Variant(WORDS, "one-hot product"),
    Variant(GAINS, "feature's gain by einsum"),
]
