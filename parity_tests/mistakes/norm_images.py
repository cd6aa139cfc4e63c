"""Normalisation of images (B, C, H, W): batch norm over three axes, group norm, instance norm by hand."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, gains, normal, pick, sizes

EPS = 1e-5

# ---- batch norm over images behind a 1x1 convolution ----


def images_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    u = torch.einsum("oc,bchw->bohw", params["K"], inputs["image"])
    v = F.batch_norm(u, None, None, params["gamma"], params["beta"], training=True, eps=EPS)
    r = F.relu(v)
    pooled = r.mean(dim=(2, 3))
    scores = pooled @ params["W"]
    loss = F.mse_loss(scores, inputs["target"])
    return loss, pick(locals(), "u v r pooled scores")


def images_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    K, gamma, beta, W = params.values()
    image, target = inputs["image"], inputs["target"]
    B, _, height, width = image.shape
    axes = (0, 2, 3)
    M = B * height * width
    u = np.einsum("oc,bchw->bohw", K, image)
    mean = u.mean(axis=(2, 3) if wrong == "statistics of each image" else axes, keepdims=True)
    var = ((u - mean) ** 2).mean(axis=(2, 3) if wrong == "statistics of each image" else axes, keepdims=True)
    if wrong == "unbiased variance":
        var = var * M / (M - 1)
    rstd = 1 / np.sqrt(var + EPS)
    xhat = (u - mean) * rstd
    v = gamma[None, :, None, None] * xhat + beta[None, :, None, None]
    r = np.maximum(v, 0)
    pooled = r.mean(axis=(2, 3))
    scores = pooled @ W
    loss = ((scores - target) ** 2).mean()

    dscores = 2 * (scores - target) / scores.size
    dW = pooled.T @ dscores
    dpooled = dscores @ W.T
    area = height if wrong == "averaged over the height alone" else height * width
    dr = np.broadcast_to(dpooled[:, :, None, None], r.shape) / area
    dv = dr * (v > 0)
    dbeta = dv.sum(axis=axes)
    dgamma = (dv * xhat).sum(axis=axes)
    if wrong == "dgamma with the raw map":
        dgamma = (dv * u).sum(axis=axes)
    if wrong == "dbeta averaged over the positions":
        dbeta = dv.mean(axis=(2, 3)).sum(axis=0)
    dxhat = dv if wrong == "gamma dropped" else dv * gamma[None, :, None, None]
    over = (2, 3) if wrong == "statistics of each image" else axes
    if wrong == "means over channels and positions":
        over = (1, 2, 3)
    if wrong == "means over each image":
        over = (2, 3)
    count = B if wrong == "divided by the batch alone" else np.prod([u.shape[axis] for axis in over])
    if wrong == "unbiased variance":
        spread = (dxhat * xhat).sum(axis=over, keepdims=True) / (M - 1)
    else:
        spread = (dxhat * xhat).sum(axis=over, keepdims=True) / count
    du = rstd * (dxhat - dxhat.sum(axis=over, keepdims=True) / count - xhat * spread)
    if wrong == "eval mode":
        du = rstd * dxhat
    dK = np.einsum("bohw,bchw->oc", du, image)
    dimage = np.einsum("oc,bohw->bchw", K, du)
    return loss, *by_hand(locals(), "u v r pooled scores")


def images_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, c, o, height, width, m = sizes(rng, 6, high=8)
    params = {"K": normal(rng, o, c), "gamma": gains(rng, o), "beta": normal(rng, o), "W": 3 * normal(rng, o, m)}
    return params, {"image": normal(rng, b, c, height, width), "target": normal(rng, b, m)}


IMAGES = System("batch norm over images", images_forward, images_backward, images_make)

# ---- group norm with a residual connection around it ----


def groups_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    x = inputs["x"]  # (B, C, L), C = 2 groups of channels
    z = torch.einsum("oc,bcl->bol", params["W"], x)
    n = F.group_norm(z, 2, params["weight"], params["bias"], eps=EPS)
    y = z + torch.tanh(n)
    loss = ((y - inputs["target"]) ** 2).sum(dim=1).mean()
    return loss, pick(locals(), "z n y")


def groups_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, weight, bias, x, target = *params.values(), inputs["x"], inputs["target"]
    z = np.einsum("oc,bcl->bol", W, x)
    B, C, L = z.shape
    grouped = z.reshape(B, 2, -1)
    mean, var = grouped.mean(axis=2, keepdims=True), grouped.var(axis=2, keepdims=True)
    rstd = 1 / np.sqrt(var + EPS)
    xhat = ((grouped - mean) * rstd).reshape(B, C, L)
    n = xhat * weight[:, None] + bias[:, None]
    a = np.tanh(n)
    y = z + a
    loss = ((y - target) ** 2).sum(axis=1).mean()

    dy = 2 * (y - target) / (B * L)
    dn = dy * (1 - a**2)
    dweight, dbias = (dn * xhat).sum(axis=(0, 2)), dn.sum(axis=(0, 2))
    dxhat = (dn * weight[:, None]).reshape(B, 2, -1)
    xhat = xhat.reshape(B, 2, -1)
    along = {"no mean path": 0.0, "mean twice": 2.0}.get(wrong, 1.0) * dxhat.mean(axis=2, keepdims=True)
    spread = xhat * (dxhat * xhat).mean(axis=2, keepdims=True)
    if wrong == "no variance path":
        spread = 0.0
    if wrong == "channel by channel":
        by_channel, xhat = dxhat.reshape(B, C, L), xhat.reshape(B, C, L)
        dxhat, rstd = by_channel, np.repeat(rstd, C // 2, axis=1)
        along = by_channel.mean(axis=2, keepdims=True)
        spread = xhat * (by_channel * xhat).mean(axis=2, keepdims=True)
    dz_norm = (rstd * (dxhat - along - spread)).reshape(B, C, L)
    dz = dz_norm if wrong == "skip lost" else dy + dz_norm
    if wrong == "skip scaled by the activation":
        dz = dn + dz_norm
    dW = np.einsum("bol,bcl->oc", dz, x)
    dx = np.einsum("oc,bol->bcl", W, dz)
    dtarget = -dy
    return loss, *by_hand(locals(), "z n y")


def groups_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, half, c, length = sizes(rng, 4, high=7)
    o = 2 * half
    params = {"W": normal(rng, o, c), "weight": gains(rng, o), "bias": normal(rng, o)}
    return params, {"x": normal(rng, b, c, length), "target": normal(rng, b, o, length)}


GROUPS = System("group norm with a skip", groups_forward, groups_backward, groups_make)

MISTAKES = [
    Mistake(IMAGES, "statistics of each image", "NORM-WRONG-AXIS", "v", stage="forward"),
    Mistake(IMAGES, "unbiased variance", "NORM-DDOF-FORWARD", "v", stage="forward"),
    Mistake(IMAGES, "averaged over the height alone", "POOL-NO-DIVIDE", "dr"),
    Mistake(IMAGES, "dgamma with the raw map", "NORM-DGAMMA-X", "dgamma"),
    Mistake(IMAGES, "dbeta averaged over the positions", "", "dbeta"),
    Mistake(IMAGES, "gamma dropped", "NORM-GAMMA-DROPPED", "du"),
    Mistake(IMAGES, "means over channels and positions", "NORM-WRONG-AXIS", "du"),
    Mistake(IMAGES, "means over each image", "NORM-WRONG-AXIS", "du"),
    Mistake(IMAGES, "divided by the batch alone", "", "du"),
    Mistake(IMAGES, "eval mode", "NORM-STATS-CONST", "du"),
    Mistake(GROUPS, "no mean path", "NORM-NO-MEAN-PATH", "dz"),
    Mistake(GROUPS, "mean twice", "NORM-MEAN-TWICE", "dz"),
    Mistake(GROUPS, "no variance path", "NORM-NO-VAR-PATH", "dz"),
    Mistake(GROUPS, "channel by channel", "NORM-WRONG-AXIS", "dz"),
    Mistake(GROUPS, "skip lost", "ACC-BRANCH-LOST", "dz"),
    Mistake(GROUPS, "skip scaled by the activation", "LIN-WRONG-CACHE", "dz"),
]

VARIANTS: list[Variant] = []
