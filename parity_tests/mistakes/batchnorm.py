"""Batch normalisation: torch's own in an MLP, the long chain written out, over images, and by hand in the forward."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, gains, normal, pick, sizes

EPS = 1e-5

# ---- torch's batch norm between two linear layers, the short formula backward ----


def mlp_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z1 = F.linear(inputs["x"], params["W1"], params["b1"])
    y1 = F.batch_norm(z1, None, None, params["gamma"], params["beta"], training=True, eps=EPS)
    a1 = torch.tanh(y1)
    z2 = F.linear(a1, params["W2"], params["b2"])
    loss = F.cross_entropy(z2, inputs["labels"])
    return loss, pick(locals(), "z1 y1 a1 z2")


def short_dz(dy: Array, gamma: Array, xhat: Array, std: Array, z: Array, wrong: str) -> Array:
    """dz = (dxhat - mean dxhat - xhat mean(dxhat xhat)) / std."""
    N = len(dy)
    dxhat = dy if wrong == "gamma dropped" else dy * gamma
    if wrong == "statistics constant":
        return dxhat / std
    if wrong == "no mean path":
        return (dxhat - xhat * (dxhat * xhat).mean(axis=0)) / std
    if wrong == "no variance path":
        return (dxhat - dxhat.mean(axis=0)) / std
    if wrong == "mean twice":
        return (dxhat - 2 * dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0)) / std
    if wrong == "N - 1 in the variance path":
        return (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).sum(axis=0) / (N - 1)) / std
    if wrong == "means over the features":
        return (dxhat - dxhat.mean(axis=1, keepdims=True) - xhat * (dxhat * xhat).mean(axis=1, keepdims=True)) / std
    if wrong == "divided by the variance":
        return (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0)) / std**2
    if wrong == "not divided":
        return dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0)
    if wrong == "variance path added":
        return (dxhat - dxhat.mean(axis=0) + xhat * (dxhat * xhat).mean(axis=0)) / std
    if wrong == "z for xhat in the variance path":
        return (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * z).mean(axis=0)) / std
    if wrong == "through dgamma and dbeta":
        return gamma / (N * std) * (N * dy - dy.sum(axis=0) - xhat * (dy * xhat).sum(axis=0))
    if wrong == "centring matrix":
        centring = np.eye(N) - 1 / N
        return (centring @ dxhat - xhat * np.einsum("nd,nd->d", dxhat, xhat) / N) / std
    return (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0)) / std


def mlp_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W1, b1, gamma, beta, W2, b2 = params.values()
    x, labels = inputs["x"], inputs["labels"]
    N = len(x)
    z1 = x @ W1.T + b1
    mu, var = z1.mean(axis=0), z1.var(axis=0)
    if wrong == "unbiased variance in the forward":
        var = z1.var(axis=0, ddof=1)
    if wrong == "variance as E[z^2] - E[z]^2":
        var = (z1**2).mean(axis=0) - mu**2
    std = np.sqrt(var + EPS)
    if wrong == "eps outside the root":
        std = np.sqrt(var) + 1e-2
    xhat = (z1 - mu) / std
    y1 = gamma * xhat + beta
    a1 = np.tanh(y1)
    z2 = a1 @ W2.T + b2
    e = np.exp(z2 - z2.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(N), labels]).mean()

    dz2 = p.copy()
    dz2[np.arange(N), labels] -= 1
    dz2 /= N
    dW2, db2 = dz2.T @ a1, dz2.sum(axis=0)
    da1 = dz2 @ W2
    dy1 = da1 * (1 - a1**2)
    dgamma = (dy1 * (z1 if wrong == "dgamma with z1" else xhat)).sum(axis=0)
    if wrong == "dgamma with the centred z1":
        dgamma = (dy1 * (z1 - mu)).sum(axis=0)
    if wrong == "dgamma with y1":
        dgamma = (dy1 * y1).sum(axis=0)
    dbeta = (dy1 * gamma).sum(axis=0) if wrong == "dbeta scaled by gamma" else dy1.sum(axis=0)
    dz1 = short_dz(dy1, gamma, xhat, std, z1, wrong)
    if wrong == "unbiased variance in the forward":
        dxhat = dy1 * gamma
        dz1 = (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).sum(axis=0) / (N - 1)) / std
    if wrong == "eps outside the root":
        dxhat = dy1 * gamma
        spread = (dxhat * (z1 - mu)).mean(axis=0) / (std * np.sqrt(var))
        dz1 = (dxhat - dxhat.mean(axis=0) - (z1 - mu) * spread) / std
    dW1, db1, dx = dz1.T @ x, dz1.sum(axis=0), dz1 @ W1
    return loss, *by_hand(locals(), "z1 y1 a1 z2")


def mlp_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, c = sizes(rng, 4)
    params = {"W1": normal(rng, h, d), "b1": normal(rng, h), "gamma": gains(rng, h), "beta": normal(rng, h)}
    params |= {"W2": normal(rng, c, h), "b2": normal(rng, c)}
    return params, {"x": normal(rng, n, d), "labels": rng.integers(0, c, n)}


MLP = System("batch norm in an MLP", mlp_forward, mlp_backward, mlp_make)

# ---- the whole chain by name, as the course notes derive it: mu, xmu, var, sqrtvar, ivar, xhat ----


def chain_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = inputs["x"] @ params["W"]
    mu = h.mean(dim=0)
    xmu = h - mu
    sq = xmu**2
    var = sq.mean(dim=0)
    sqrtvar = torch.sqrt(var + EPS)
    ivar = 1 / sqrtvar
    xhat = xmu * ivar
    gammax = params["gamma"] * xhat
    out = gammax + params["beta"]
    pred = torch.sigmoid(out) @ params["V"]
    loss = 0.5 * ((pred - inputs["t"]) ** 2).sum() / len(pred)
    return loss, pick(locals(), "h mu xmu sq var sqrtvar ivar xhat gammax out pred")


def chain_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, gamma, beta, V, x, t = *params.values(), inputs["x"], inputs["t"]
    N = len(x)
    h = x @ W
    mu = 1 / N * np.sum(h, axis=0)
    xmu = h - mu
    sq = xmu**2
    var = np.sum(sq, axis=0) / (N - 1 if wrong == "unbiased variance" else N)
    sqrtvar = np.sqrt(var) + EPS if wrong == "eps outside the root" else np.sqrt(var + EPS)
    ivar = 1.0 / sqrtvar
    xhat = xmu * ivar
    gammax = gamma * xhat
    out = gammax + beta
    s = 1 / (1 + np.exp(-out))
    pred = s @ V
    loss = 0.5 * ((pred - t) ** 2).sum() / N

    dpred = (pred - t) / N
    dV = s.T @ dpred
    dout = (dpred @ V.T) * s * (1 - s)
    dbeta = np.sum(dout, axis=0)
    dgammax = dout
    dgamma = np.sum(dgammax * (xmu if wrong == "dgamma with xmu" else xhat), axis=0)
    dxhat = dgammax if wrong == "gamma dropped" else dgammax * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu1 = dxhat * ivar
    power = {"1/sqrtvar": 1, "1/sqrtvar^3": 3}.get(wrong, 2)
    dsqrtvar = -1.0 / (sqrtvar**power) * divar
    root = np.sqrt(var) if wrong == "eps outside the root" else np.sqrt(var + EPS)
    dvar = 0.5 / root * dsqrtvar
    if wrong == "root without the half":
        dvar = 1.0 / root * dsqrtvar
    dsq = np.ones_like(h) / (N - 1 if wrong in ("unbiased variance", "N - 1 backward") else N) * dvar
    if wrong == "square of a mean not shared out":
        dsq = np.ones_like(h) * dvar
    dxmu2 = (1 if wrong == "square without the two" else 2) * xmu * dsq
    dxmu = dxmu1 if wrong == "variance path lost" else dxmu1 + dxmu2
    dmu = dxmu.sum(axis=0) if wrong == "mean path added" else -np.sum(dxmu, axis=0)
    dh = dxmu if wrong == "mean path lost" else dxmu + np.ones_like(h) / N * dmu
    if wrong == "mean path not divided":
        dh = dxmu + dmu
    dW, dx = x.T @ dh, dh @ W.T
    return loss, *by_hand(locals(), "h mu xmu sq var sqrtvar ivar xhat gammax out pred")


def chain_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, m = sizes(rng, 4)
    params = {"W": normal(rng, d, h), "gamma": gains(rng, h), "beta": normal(rng, h), "V": normal(rng, h, m)}
    return params, {"x": normal(rng, n, d), "t": normal(rng, n, m)}


CHAIN = System("batch norm, the long chain", chain_forward, chain_backward, chain_make)

MISTAKES = [
    Mistake(MLP, "gamma dropped", "NORM-GAMMA-DROPPED", "dz1"),
    Mistake(MLP, "statistics constant", "NORM-STATS-CONST", "dz1"),
    Mistake(MLP, "no mean path", "NORM-NO-MEAN-PATH", "dz1"),
    Mistake(MLP, "no variance path", "NORM-NO-VAR-PATH", "dz1"),
    Mistake(MLP, "mean twice", "NORM-MEAN-TWICE", "dz1"),
    Mistake(MLP, "N - 1 in the variance path", "NORM-DDOF-BACKWARD", "dz1"),
    Mistake(MLP, "means over the features", "NORM-WRONG-AXIS", "dz1"),
    Mistake(MLP, "divided by the variance", "NORM-POWER", "dz1"),
    Mistake(MLP, "not divided", "NORM-POWER", "dz1"),
    Mistake(MLP, "variance path added", "", "dz1"),
    Mistake(MLP, "z for xhat in the variance path", "", "dz1"),
    Mistake(MLP, "dgamma with z1", "NORM-DGAMMA-X", "dgamma"),
    Mistake(MLP, "dgamma with the centred z1", "", "dgamma"),
    Mistake(MLP, "dgamma with y1", "LIN-WRONG-CACHE", "dgamma"),
    Mistake(MLP, "dbeta scaled by gamma", "", "dbeta"),
    Mistake(MLP, "unbiased variance in the forward", "NORM-DDOF-FORWARD", "y1", stage="forward"),
    Mistake(MLP, "eps outside the root", "NORM-EPS-PLACE", "y1", stage="forward"),
    Mistake(CHAIN, "unbiased variance", "NORM-DDOF-FORWARD", "var", stage="forward"),
    Mistake(CHAIN, "eps outside the root", "NORM-EPS-PLACE", "sqrtvar", stage="forward"),
    Mistake(CHAIN, "dgamma with xmu", "LIN-WRONG-CACHE", "dgamma"),
    Mistake(CHAIN, "gamma dropped", "NORM-GAMMA-DROPPED", "dxhat"),
    Mistake(CHAIN, "1/sqrtvar", "NORM-POWER", "dsqrtvar"),
    Mistake(CHAIN, "1/sqrtvar^3", "NORM-POWER", "dsqrtvar"),
    Mistake(CHAIN, "root without the half", "OP-POW", "dvar"),
    Mistake(CHAIN, "N - 1 backward", "NORM-DDOF-BACKWARD", "dsq"),
    Mistake(CHAIN, "square of a mean not shared out", "MEAN-AS-SUM", "dsq"),
    Mistake(CHAIN, "square without the two", "OP-POW", "dxmu"),
    Mistake(CHAIN, "variance path lost", "NORM-NO-VAR-PATH", "dxmu", same=("ACC-BRANCH-LOST",)),
    Mistake(CHAIN, "mean path added", "OP-SUB-SIGN", "dmu"),
    Mistake(CHAIN, "mean path lost", "NORM-NO-MEAN-PATH", "dh", same=("ACC-BRANCH-LOST",)),
    Mistake(CHAIN, "mean path not divided", "MEAN-AS-SUM", "dh"),
]

VARIANTS = [
    Variant(MLP, "through dgamma and dbeta"),
    Variant(MLP, "centring matrix"),
    Variant(MLP, "variance as E[z^2] - E[z]^2"),
]
