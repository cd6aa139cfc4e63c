"""Pooling: square maxima, overlapping windows behind a ReLU, integer images with ties."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

# ---- max pooling of k x k windows side by side ----


def maxima_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z = torch.einsum("oc,bchw->bohw", params["K"], inputs["x"]) + params["b"][:, None, None]
    pooled = F.max_pool2d(z, 3)
    flat = torch.tanh(pooled).flatten(1)
    scores = F.linear(flat, params["W"])
    loss = F.cross_entropy(scores, inputs["labels"])
    return loss, pick(locals(), "z pooled flat scores")


def maxima_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    K, b, W, x, labels = *params.values(), inputs["x"], inputs["labels"]
    z = np.einsum("oc,bchw->bohw", K, x) + b[:, None, None]
    B, C, height, width = z.shape
    rows, columns = height // 3, width // 3  # what is left over at the far edges is in no window
    inside = z[:, :, : 3 * rows, : 3 * columns].reshape(B, C, rows, 3, columns, 3)
    pooled = inside.max(axis=(3, 5))
    flat = np.tanh(pooled).reshape(B, -1)
    scores = flat @ W.T
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    loss = -np.log(p[np.arange(B), labels]).mean()

    dscores = (p - np.eye(p.shape[1])[labels]) / B
    dW = dscores.T @ flat
    dflat = dscores @ W
    dpooled = (dflat * (1 - flat**2)).reshape(pooled.shape)
    dz = np.zeros_like(z)
    for i in range(rows):
        for j in range(columns):
            window = z[:, :, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3].reshape(B, C, 9)
            where = np.argmin(window, axis=2) if wrong == "the smallest, not the largest" else np.argmax(window, axis=2)
            row, column = np.divmod(where, 3)
            if wrong == "row and column exchanged":
                row, column = column, row
            elif wrong == "one window to the left":
                column = column - 3 if j else column
            bb, cc = np.indices(where.shape)
            dz[bb, cc, 3 * i + row, 3 * j + column] = dpooled[:, :, i, j]
    if wrong == "spread over the window":
        dz[:, :, : 3 * rows, : 3 * columns] = dpooled.repeat(3, axis=2).repeat(3, axis=3) / 9
    elif wrong == "copied to the whole window":
        dz[:, :, : 3 * rows, : 3 * columns] = dpooled.repeat(3, axis=2).repeat(3, axis=3)
    elif wrong == "multiplied by the maximum":
        dz = dz * z
    elif wrong == "mask by comparison":
        mask = inside == pooled[:, :, :, None, :, None]
        dz[:, :, : 3 * rows, : 3 * columns] = (mask * dpooled[:, :, :, None, :, None]).reshape(
            B, C, 3 * rows, 3 * columns
        )
    dK, db = np.einsum("bohw,bchw->oc", dz, x), dz.sum(axis=(0, 2, 3))
    dx = np.einsum("oc,bohw->bchw", K, dz)
    return loss, *by_hand(locals(), "z pooled flat scores")


def maxima_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, c, o, classes = sizes(rng, 4, high=8)
    height, width = sizes(rng, 2, low=6, high=11)
    params = {"K": normal(rng, o, c), "b": normal(rng, o)}
    params["W"] = normal(rng, classes, o * (height // 3) * (width // 3))
    return params, {"x": normal(rng, b, c, height, width), "labels": rng.integers(0, classes, b)}


MAXIMA = System("max pooling", maxima_forward, maxima_backward, maxima_make)

# ---- windows of 3 with stride 2 overlap; the ReLU in front leaves windows that are zero throughout ----


def overlap_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z = torch.einsum("oc,bcl->bol", params["K"], inputs["x"]) + params["b"][:, None]
    r = torch.relu(z)
    m = F.max_pool1d(r, 3, stride=2)
    y = m @ params["V"]
    loss = ((y - inputs["t"]) ** 2).mean()
    return loss, pick(locals(), "z r m y")


def overlap_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    K, b, V, x, t = *params.values(), inputs["x"], inputs["t"]
    z = np.einsum("oc,bcl->bol", K, x) + b[:, None]
    r = z * (z > 0)
    starts = range(0, r.shape[2] - 2, 2)
    m = np.stack([r[:, :, s : s + 3].max(axis=2) for s in starts], axis=2)
    y = m @ V
    loss = ((y - t) ** 2).mean()

    dy = 2 * (y - t) / y.size
    dV = np.einsum("bol,bok->lk", m, dy)
    dm = dy @ V.T
    dr = np.zeros_like(r)
    for number, s in enumerate(starts):
        window, up = r[:, :, s : s + 3], dm[:, :, number, None]
        largest = window == m[:, :, number, None]
        if wrong not in ("every tie gets all", "ties share"):
            largest = largest & (np.cumsum(largest, axis=2) == 1)  # the first of equal ones
        if wrong == "ties share":
            largest = largest / largest.sum(axis=2, keepdims=True)
        if wrong == "windows assigned":
            dr[:, :, s : s + 3] = largest * up
        elif wrong == "the first window wins":
            dr[:, :, s : s + 3] += largest * up * (dr[:, :, s : s + 3] == 0)
        else:
            dr[:, :, s : s + 3] += largest * up
    dz = dr * (z > 0)
    dK, db = np.einsum("bol,bcl->oc", dz, x), dz.sum((0, 2))
    dx = np.einsum("oc,bol->bcl", K, dz)
    dt = -dy
    return loss, *by_hand(locals(), "z r m y")


def overlap_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, c, o, k = sizes(rng, 4, low=4, high=8)
    length = int(rng.integers(10, 16))
    pooled = (length - 3) // 2 + 1
    params = {"K": normal(rng, o, c), "b": normal(rng, o) - 0.5, "V": normal(rng, pooled, k)}
    return params, {"x": normal(rng, b, c, length), "t": normal(rng, b, o, k)}


OVERLAP = System("overlapping maxima behind a ReLU", overlap_forward, overlap_backward, overlap_make)

# ---- an image of whole numbers: many windows have their maximum twice ----


def ties_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    m = F.max_pool2d(inputs["x"], (2, 3))
    out = torch.sigmoid(m.flatten(1) @ params["W"] + params["b"])
    loss = ((out - inputs["t"]) ** 2).sum(1).mean()
    return loss, pick(locals(), "m out")


def ties_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, b, x, t = *params.values(), inputs["x"], inputs["t"]
    B, C, height, width = x.shape
    blocks = x.reshape(B, C, height // 2, 2, width // 3, 3).transpose(0, 1, 2, 4, 3, 5)
    blocks = blocks.reshape(*blocks.shape[:4], 6)
    m = blocks.max(axis=-1)
    out = 1 / (1 + np.exp(-(m.reshape(B, -1) @ W + b)))
    loss = ((out - t) ** 2).sum(1).mean()

    dout = 2 * (out - t) / B
    da = dout * out * (1 - out)
    dW, db = m.reshape(B, -1).T @ da, da.sum(0)
    dm = (da @ W.T).reshape(m.shape)
    largest = (blocks == m[..., None]).astype(float)
    if wrong == "ties share":
        largest /= largest.sum(axis=-1, keepdims=True)
    elif wrong == "the last of equal ones":
        largest *= np.cumsum(largest[..., ::-1], axis=-1)[..., ::-1] == 1
    elif wrong == "ties share twice":
        largest /= largest.sum(axis=-1, keepdims=True) ** 2
    elif wrong != "every tie gets all":
        largest *= np.cumsum(largest, axis=-1) == 1
    dblocks = (largest * dm[..., None]).reshape(*m.shape, 2, 3)
    dx = dblocks.transpose(0, 1, 2, 4, 3, 5).reshape(x.shape)
    dt = -dout
    return loss, *by_hand(locals(), "m out")


def ties_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, c, rows, columns, k = sizes(rng, 5, high=7)
    params = {"W": 0.3 * normal(rng, c * rows * columns, k), "b": normal(rng, k)}
    x = rng.integers(-2, 3, (b, c, 2 * rows, 3 * columns)).astype(float)
    return params, {"x": x, "t": rng.random((b, k))}


TIES = System("max pooling of whole numbers", ties_forward, ties_backward, ties_make)

MISTAKES = [
    Mistake(MAXIMA, "row and column exchanged", "POOL-INDEX", "dz"),
    Mistake(MAXIMA, "one window to the left", "", "dz"),
    Mistake(MAXIMA, "the smallest, not the largest", "", "dz"),
    Mistake(MAXIMA, "spread over the window", "", "dz"),
    Mistake(MAXIMA, "copied to the whole window", "", "dz"),
    Mistake(MAXIMA, "multiplied by the maximum", "", "dz"),
    Mistake(OVERLAP, "windows assigned", "ACC-OVERLAP-ASSIGN", "dr"),
    Mistake(OVERLAP, "the first window wins", "", "dr"),
    Mistake(OVERLAP, "every tie gets all", "POOL-TIES", "dr"),
    Mistake(TIES, "every tie gets all", "POOL-TIES", "dx"),
    Mistake(TIES, "ties share twice", "", "dx"),
]

VARIANTS = [
    Variant(MAXIMA, "mask by comparison"),
    Variant(OVERLAP, "ties share", reason="tie"),
    Variant(TIES, "ties share", reason="tie"),
    Variant(TIES, "the last of equal ones", reason="tie"),
]
