"""Losses in other spellings: from a logit, as a mixture, with a mask that multiplies; micro-batches; two diamonds."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes
from parity_tests.mistakes.softmax import softmax

# ---- one logit a sample ----


def logit_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = F.elu(inputs["x"] @ params["W"] + params["b"])
    logit = (h @ params["v"])[:, 0]
    loss = F.binary_cross_entropy_with_logits(logit, inputs["t"])
    return loss, {"h": h}


def logit_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, b, v, x, t = *params.values(), inputs["x"], inputs["t"]
    z = x @ W + b
    h = np.where(z > 0, z, np.expm1(np.minimum(z, 0)))
    logit = h @ v
    if wrong != "(N, 1) against (N,)":
        logit = logit[:, 0]
    loss = (np.logaddexp(logit, 0) - t * logit).mean()

    p = 1 / (1 + np.exp(-logit))
    dlogit = (p - t) / p.size
    if wrong == "slope of the sigmoid again":
        dlogit = dlogit * p * (1 - p)
    elif wrong == "logit for the probability":
        dlogit = (logit - t) / p.size
    elif wrong == "mean forgotten":
        dlogit = p - t
    elif wrong == "answers of -1 and 1":
        dlogit = (p - (2 * t - 1)) / p.size
    column = dlogit.sum(axis=1, keepdims=True) if dlogit.ndim > 1 else dlogit[:, None]
    dv, dh = h.T @ column, column @ v.T
    dz = dh * np.where(z > 0, 1, h + 1)
    dW, db, dx = x.T @ dz, dz.sum(axis=0), dz @ W.T
    return loss, *by_hand(locals(), "h")


def logit_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h = sizes(rng, 3)
    t = np.concatenate([[0.0, 1.0], rng.integers(0, 2, n - 2)])
    return {"W": normal(rng, d, h), "b": normal(rng, h), "v": normal(rng, h, 1)}, {"x": normal(rng, n, d), "t": t}


LOGIT = System("one logit a sample", logit_forward, logit_backward, logit_make)

# ---- smoothing as a mixture of the label's -log p with the mean of all, masked by length, over steps ----

EPS = 0.15


def mixture_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    logits = torch.tanh(inputs["x"] @ params["W"]) @ params["V"]  # (B, T, C)
    logp = logits - torch.logsumexp(logits, dim=-1, keepdim=True)
    of_label = -logp.gather(-1, inputs["labels"][..., None])[..., 0]
    each = (1 - EPS) * of_label - EPS * logp.mean(dim=-1)
    mask = inputs["mask"].detach()
    loss = (each * mask).sum() / mask.sum()
    return loss, pick(locals(), "logits")


def mixture_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, V, x, labels, mask = *params.values(), inputs["x"], inputs["labels"], inputs["mask"]
    c = V.shape[1]
    h = np.tanh(x @ W)
    logits = h @ V
    p = softmax(logits)
    onehot = np.eye(c)[labels]
    q = (1 - EPS) * onehot + EPS / c
    loss = -((q * np.log(p)).sum(axis=-1) * mask).sum() / mask.sum()

    if wrong == "hard targets":
        q = onehot
    elif wrong == "labels counted from 1":
        q = (1 - EPS) * np.eye(c)[(labels + 1) % c] + EPS / c
    elif wrong == "smoothing not shared out":
        q = (1 - EPS) * onehot + EPS
    delta = p - q
    if wrong == "slope of a sigmoid besides":
        delta = delta * p * (1 - p)
    if wrong == "mask lost":
        dlogits = delta / mask.sum()
    elif wrong == "all places counted":
        dlogits = delta * mask[..., None] / mask.size
    elif wrong == "mask on the probabilities alone":
        dlogits = (p * mask[..., None] - q) / mask.sum()
    else:
        dlogits = delta * mask[..., None] / mask.sum()
    if wrong == "p of the label less 1":
        rest = p.copy()
        np.put_along_axis(rest, labels[..., None], np.take_along_axis(p, labels[..., None], -1) - (1 - EPS), -1)
        dlogits = (rest - EPS / c) * (mask / mask.sum())[..., None]
    dV = np.einsum("bth,btc->hc", h, dlogits)
    dz = dlogits @ V.T * (1 - h**2)
    dW, dx = np.einsum("btd,bth->dh", x, dz), dz @ W.T
    return loss, *by_hand(locals(), "logits")


def mixture_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, t, d, h, c = sizes(rng, 5)
    lengths = np.concatenate([[1, 2], rng.integers(1, t + 1, n - 2)])
    mask = (np.arange(t) < lengths[:, None]).astype(float)
    params = {"W": normal(rng, d, h), "V": normal(rng, h, c)}
    return params, {"x": normal(rng, n, t, d), "labels": rng.integers(0, c, (n, t)), "mask": mask}


MIXTURE = System("a smoothed mixture with a mask", mixture_forward, mixture_backward, mixture_make)

# ---- micro-batches whose gradients are added up, through a node with two consumers that share another ----

PARTS = 4


def diamond_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    losses = []
    for x, y in zip(inputs["x"].chunk(PARTS), inputs["y"].chunk(PARTS), strict=True):
        s = torch.sigmoid(x @ params["W"])
        u = s * params["p"]
        w = u + s
        v = w * u
        losses.append((((v + w) @ params["V"] - y) ** 2).mean())
    return torch.stack(losses).sum() / PARTS, {}


def diamond_part(params: Arrays, x: Any, y: Any, wrong: str) -> tuple[Any, Arrays]:
    """The loss and the gradients of one micro-batch: s into u and w, u into w and v, w into v and the output."""
    W, p, V = params["W"], params["p"], params["V"]
    s = 1 / (1 + np.exp(-(x @ W)))
    u = s * p
    w = u + s
    v = w * u
    error = (v + w) @ V - y
    dpred = 2 * error / y.size
    dv = dpred @ V.T
    dw = dv + dv * u
    du = dv * w + dw
    if wrong == "first arrival handed on, then the sum":  # w hands on what came from the output, and then all
        du = dv * w + dv + dw
    elif wrong == "w's share for u lost":
        du = dv * w
    ds = du * p + dw
    if wrong == "u visited twice":
        ds = (dv * w) * p + du * p + dw
    elif wrong == "u's share assigned":
        ds = du * p
    dz = ds * s * (1 - s)
    return (error**2).mean(), {"V": (v + w).T @ dpred, "p": (du * s).sum(axis=0), "W": x.T @ dz}


def diamond_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    parts = zip(np.split(inputs["x"], PARTS), np.split(inputs["y"], PARTS), strict=True)
    found = [diamond_part(params, x, y, wrong) for x, y in parts]
    loss = sum(value for value, _ in found) / PARTS
    grads = {name: sum(grads[name] for _, grads in found) for name in params}
    if wrong == "last micro-batch alone":
        grads["p"] = found[-1][1]["p"] * PARTS
    elif wrong == "a buffer of the step before":
        grads = {name: 2 * grad for name, grad in grads.items()}
    if wrong != "added, not averaged":
        grads = {name: grad / PARTS for name, grad in grads.items()}
    if wrong == "running mean":
        mean = dict(found[0][1])
        for number, (_, more) in enumerate(found[1:], start=2):
            mean = {name: old + (more[name] - old) / number for name, old in mean.items()}
        grads = mean
    return loss, grads, {}


def diamond_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    m, d, h, c = sizes(rng, 4)
    params = {"V": normal(rng, h, c), "p": normal(rng, h), "W": normal(rng, d, h)}
    return params, {"x": normal(rng, PARTS * m, d), "y": normal(rng, PARTS * m, c)}


DIAMOND = System("micro-batches through two diamonds", diamond_forward, diamond_backward, diamond_make)

MISTAKES = [
    Mistake(LOGIT, "(N, 1) against (N,)", "LOSS-BROADCAST", "loss", stage="forward"),
    Mistake(LOGIT, "slope of the sigmoid again", "LOSS-EXTRA-FPRIME", "dh"),
    Mistake(LOGIT, "logit for the probability", "", "dh"),
    Mistake(LOGIT, "mean forgotten", "LOSS-NO-MEAN", "dh"),
    Mistake(LOGIT, "answers of -1 and 1", "", "dh"),
    Mistake(MIXTURE, "hard targets", "LOSS-SMOOTHING-IGNORED", "dlogits"),
    Mistake(MIXTURE, "labels counted from 1", "LOSS-ONEHOT-SHIFT", "dlogits"),
    Mistake(MIXTURE, "smoothing not shared out", "", "dlogits"),
    Mistake(MIXTURE, "slope of a sigmoid besides", "LOSS-EXTRA-FPRIME", "dlogits"),
    Mistake(MIXTURE, "mask lost", "LOSS-MASK-LOST", "dlogits"),
    Mistake(MIXTURE, "all places counted", "LOSS-WRONG-COUNT", "dlogits"),
    Mistake(MIXTURE, "mask on the probabilities alone", "", "dlogits"),
    Mistake(DIAMOND, "added, not averaged", "LOSS-NO-MEAN", "dV"),
    Mistake(
        DIAMOND, "a buffer of the step before", "STATE-NOT-ZEROED", "dV", same=("ACC-DOUBLE-COUNT", "LOSS-FACTOR-2")
    ),
    Mistake(DIAMOND, "last micro-batch alone", "ACC-OVERWRITE", "dp"),
    Mistake(DIAMOND, "first arrival handed on, then the sum", "ACC-NON-TOPO", "dp", same=("ACC-DOUBLE-COUNT",)),
    Mistake(DIAMOND, "u visited twice", "ACC-NON-TOPO", "dW", same=("ACC-DOUBLE-COUNT",)),
    Mistake(DIAMOND, "w's share for u lost", "ACC-BRANCH-LOST", "dp"),
    Mistake(DIAMOND, "u's share assigned", "ACC-OVERWRITE", "dW", same=("ACC-BRANCH-LOST",)),
]

VARIANTS = [
    Variant(MIXTURE, "p of the label less 1"),
    Variant(DIAMOND, "running mean"),
]
