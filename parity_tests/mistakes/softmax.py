"""Softmax inside a network: gating units, attention pooling over steps, a temperature, a log-softmax."""

from typing import Any

import numpy as np
import torch

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

# ---- a mixture of values: y = softmax(x W + b) V ----


def gate_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z = inputs["x"] @ params["W"] + params["b"]
    p = torch.softmax(z, dim=1)
    y = p @ params["V"]
    loss = ((y - inputs["t"]) ** 2).mean()
    return loss, pick(locals(), "z p y")


def softmax(z: Array, axis: int = -1) -> Array:
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def gate_dz(p: Array, dp: Array, wrong: str) -> Array:
    if wrong == "p (1 - p) element by element":
        return dp * p * (1 - p)
    if wrong == "no row sum":
        return p * dp
    if wrong == "inner sum over the batch":
        return p * (dp - (dp * p).sum(axis=0, keepdims=True))
    if wrong == "gradient copied through":
        return dp
    if wrong == "row sum added":
        return p * (dp + (dp * p).sum(axis=1, keepdims=True))
    if wrong == "plain mean of dp":
        return p * (dp - dp.mean(axis=1, keepdims=True))
    if wrong == "p squared":
        return p * (dp - (dp * p * p).sum(axis=1, keepdims=True))
    if wrong == "Jacobian by sample":
        return np.stack([(np.diag(row) - np.outer(row, row)) @ d for row, d in zip(p, dp, strict=True)])
    return p * (dp - (dp * p).sum(axis=1, keepdims=True))


def gate_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, b, V, x, t = *params.values(), inputs["x"], inputs["t"]
    z = x @ W + b
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) if wrong == "not shifted" else softmax(z)
    y = p @ V
    loss = ((y - t) ** 2).mean()

    dy = 2 * (y - t) / y.size
    dV = p.T @ dy
    dp = dy @ V.T
    dz = gate_dz(p, dp, wrong)
    dW, db = x.T @ dz, dz.sum(axis=0)
    dx = dz @ W.T
    return loss, *by_hand(locals(), "z p y")


def gate_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, k, m = sizes(rng, 4)
    params = {"W": normal(rng, d, k), "b": normal(rng, k), "V": normal(rng, k, m)}
    return params, {"x": normal(rng, n, d), "t": normal(rng, n, m)}


GATE = System("softmax gate", gate_forward, gate_backward, gate_make)

# ---- attention pooling: steps weighted by a softmax over time, all written out ----


def pool_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    H = inputs["H"]  # (B, T, D)
    u = torch.tanh(H @ params["W_a"].T + params["b_a"])
    scores = u @ params["v"]
    shifted = scores - scores.max(dim=1, keepdim=True).values
    e = torch.exp(shifted)
    s = e.sum(dim=1, keepdim=True)
    alpha = e / s
    context = (alpha[:, :, None] * H).sum(dim=1)
    logits = context @ params["W_o"].T + params["b_o"]
    loss = torch.nn.functional.cross_entropy(logits, inputs["labels"])
    return loss, pick(locals(), "u scores shifted e s alpha context logits")


def pool_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W_a, b_a, v, W_o, b_o = params.values()
    H, labels = inputs["H"], inputs["labels"]
    B = len(H)
    u = np.tanh(H @ W_a.T + b_a)
    scores = u @ v
    shifted = scores - scores.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    s = e.sum(axis=1, keepdims=True)
    alpha = e / s
    context = np.einsum("bt,btd->bd", alpha, H)
    logits = context @ W_o.T + b_o
    probs = softmax(logits)
    loss = -np.log(probs[np.arange(B), labels]).mean()

    dlogits = (probs - np.eye(len(b_o))[labels]) / B
    dW_o, db_o = dlogits.T @ context, dlogits.sum(axis=0)
    dcontext = dlogits @ W_o
    dalpha = np.einsum("bd,btd->bt", dcontext, H)
    power = 1 if wrong == "1/s instead of 1/s^2" else 2
    ds = -(dalpha * e / s**power).sum(axis=1, keepdims=True)
    de = dalpha / s + ds
    if wrong == "normaliser taken as constant":
        de = dalpha / s
    elif wrong == "normaliser's path with the other sign":
        de = dalpha / s - ds
    dshifted = de if wrong == "exp taken as the identity" else de * e
    dscores = dshifted
    if wrong == "maximum differentiated too":  # the shift cancels: rows of dshifted sum to zero
        top = scores == scores.max(axis=1, keepdims=True)
        dscores = dshifted - top * dshifted.sum(axis=1, keepdims=True)
    dv = np.einsum("btk,bt->k", u, dscores)
    da = dscores[:, :, None] * v * (1 - u**2)
    du = dscores[:, :, None] * v
    dW_a, db_a = np.einsum("btk,btd->kd", da, H), da.sum(axis=(0, 1))
    dH = alpha[:, :, None] * dcontext[:, None, :] + da @ W_a
    if wrong == "steps' own path lost":
        dH = da @ W_a
    return loss, *by_hand(locals(), "u scores shifted e s alpha context logits")


def pool_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, t, d, k, c = sizes(rng, 5)
    params = {"W_a": normal(rng, k, d), "b_a": normal(rng, k), "v": normal(rng, k)}
    params |= {"W_o": normal(rng, c, d), "b_o": normal(rng, c)}
    return params, {"H": normal(rng, b, t, d), "labels": rng.integers(0, c, b)}


POOL = System("attention pooling", pool_forward, pool_backward, pool_make)

# ---- a softened log-softmax against a teacher: distillation ----


def distil_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = torch.sigmoid(inputs["x"] @ params["W1"].t() + params["b1"])
    z = h @ params["W2"].t()
    q = z / 2.5
    logp = torch.log_softmax(q, dim=-1)
    loss = -(inputs["teacher"] * logp).sum(-1).mean()
    return loss, pick(locals(), "h z q logp")


def distil_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W1, b1, W2, x, teacher = *params.values(), inputs["x"], inputs["teacher"]
    h = 1 / (1 + np.exp(-(x @ W1.T + b1)))
    z = h @ W2.T
    q = z / 2.5
    logp = q - q.max(axis=-1, keepdims=True)
    logp = logp - np.log(np.exp(logp).sum(axis=-1, keepdims=True))
    loss = -(teacher * logp).sum(-1).mean()

    dlogp = -teacher / len(x)
    p = np.exp(logp)
    inner = (dlogp * p if wrong == "softmax's rule for a log-softmax" else dlogp).sum(axis=-1, keepdims=True)
    dq = dlogp - p * inner
    if wrong == "teacher not normalised to one":  # p - y is right only where the targets sum to one
        dq = (p - teacher) / len(x)
    dz = dq if wrong == "temperature forgotten" else dq / 2.5
    dW2 = dz.T @ h
    dh = dz @ W2
    da = dh * h * (1 - h)
    dW1, db1, dx = da.T @ x, da.sum(0), da @ W1
    dteacher = -logp / len(x)
    return loss, *by_hand(locals(), "h z q logp")


def distil_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, k, c = sizes(rng, 4)
    params = {"W1": normal(rng, k, d), "b1": normal(rng, k), "W2": normal(rng, c, k)}
    return params, {"x": normal(rng, n, d), "teacher": rng.uniform(0.05, 0.6, (n, c))}


DISTIL = System("distillation", distil_forward, distil_backward, distil_make)

MISTAKES = [
    Mistake(GATE, "p (1 - p) element by element", "SOFTMAX-DIAG", "dz"),
    Mistake(GATE, "no row sum", "SOFTMAX-NO-ROWSUM", "dz"),
    Mistake(GATE, "inner sum over the batch", "SOFTMAX-AXIS", "dz"),
    Mistake(GATE, "gradient copied through", "SOFTMAX-IDENTITY", "dz"),
    Mistake(GATE, "row sum added", "", "dz"),
    Mistake(GATE, "plain mean of dp", "", "dz"),
    Mistake(GATE, "p squared", "", "dz"),
    Mistake(POOL, "normaliser taken as constant", "SOFTMAX-NO-ROWSUM", "de", same=("ACC-BRANCH-LOST",)),
    Mistake(POOL, "normaliser's path with the other sign", "", "de"),
    Mistake(POOL, "1/s instead of 1/s^2", "", "ds"),
    Mistake(POOL, "exp taken as the identity", "ACT-MISSING", "dshifted"),
    Mistake(POOL, "steps' own path lost", "ACC-BRANCH-LOST", "dH"),
    Mistake(DISTIL, "softmax's rule for a log-softmax", "", "dq"),
    Mistake(DISTIL, "teacher not normalised to one", "", "dq"),
    Mistake(DISTIL, "temperature forgotten", "MUL-FACTOR-LOST", "dz"),
]

VARIANTS = [
    Variant(GATE, "not shifted"),
    Variant(GATE, "Jacobian by sample"),
    Variant(POOL, "maximum differentiated too"),
]
