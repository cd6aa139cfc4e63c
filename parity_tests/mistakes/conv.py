"""Convolutions: two layers with loops, patches as columns with a stride, and a causal depthwise one in time."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

# ---- two convolutions and a linear layer; the padding of height and width differ, the kernel is square ----

PAD = (2, 1)


def loops_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z1 = F.conv2d(inputs["images"], params["K1"], params["b1"])
    a1 = torch.tanh(z1)
    z2 = F.conv2d(a1, params["K2"], params["b2"], padding=PAD)
    a2 = torch.sigmoid(z2)
    flat = a2.flatten(1)
    scores = flat @ params["W"]
    loss = F.cross_entropy(scores, inputs["labels"])
    return loss, pick(locals(), "z1 a1 z2 a2 flat scores")


def correlate(x: Array, K: Array) -> Array:
    """(B, C, H, W) with kernels (O, C, k, k), valid positions only."""
    k = K.shape[-1]
    height, width = x.shape[2] - k + 1, x.shape[3] - k + 1
    out = np.zeros((len(x), len(K), height, width))
    for i in range(k):
        for j in range(k):
            out += np.einsum("bchw,oc->bohw", x[:, :, i : i + height, j : j + width], K[:, :, i, j])
    return out


def kernel_gradient(x: Array, dz: Array) -> Array:
    """dK[o, c, i, j]: the input at (i, j) further, times dz, over samples and positions."""
    height, width = dz.shape[2:]
    k = x.shape[2] - height + 1
    dK = np.zeros((dz.shape[1], x.shape[1], k, k))
    for i in range(k):
        for j in range(k):
            dK[:, :, i, j] = np.einsum("bohw,bchw->oc", dz, x[:, :, i : i + height, j : j + width])
    return dK


def loops_da1(dz2: Array, K2: Array, shape: tuple[int, ...], wrong: str) -> Array:
    """Back through the second convolution: to the padded input, then cropped."""
    k = K2.shape[-1]
    (top, left), (height, width) = PAD, shape[2:]
    around = np.pad(dz2, ((0, 0), (0, 0), (k - 1, k - 1), (k - 1, k - 1)))
    turned = K2 if wrong == "kernel not turned" else K2[:, :, ::-1, ::-1]
    if wrong == "kernel turned in one axis":
        turned = K2[:, :, ::-1]
    padded = correlate(around, turned.transpose(1, 0, 2, 3))
    if wrong == "cropped by each side's index":
        return padded[:, :, top : padded.shape[2] - top, left : padded.shape[3] - left]
    if wrong == "scattered":
        padded = np.zeros_like(padded)
        for i in range(dz2.shape[2]):
            for j in range(dz2.shape[3]):
                padded[:, :, i : i + k, j : j + k] += np.einsum("bo,ocij->bcij", dz2[:, :, i, j], K2)
    if wrong == "padding left at the front":
        return padded[:, :, :height, :width]
    if wrong == "height's padding for the width":
        return padded[:, :, top : top + height, top : top + width]
    return padded[:, :, top : top + height, left : left + width]


def loops_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    K1, b1, K2, b2, W = params.values()
    images, labels = inputs["images"], inputs["labels"]
    B = len(images)
    z1 = correlate(images, K1) + b1[:, None, None]
    a1 = np.tanh(z1)
    a1_padded = np.pad(a1, ((0, 0), (0, 0), (PAD[0],) * 2, (PAD[1],) * 2))
    z2 = correlate(a1_padded, K2) + b2[:, None, None]
    a2 = 1 / (1 + np.exp(-z2))
    flat = a2.reshape(B, -1)
    scores = flat @ W
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    loss = -np.log(p[np.arange(B), labels]).mean()

    dscores = (p - np.eye(p.shape[1])[labels]) / B
    dW = flat.T @ dscores
    dflat = dscores @ W.T
    da2 = dflat.reshape(a2.shape)
    if wrong == "unflattened with the channels last":
        _, channels, height, width = a2.shape
        da2 = dflat.reshape(B, height, width, channels).transpose(0, 3, 1, 2)
    dz2 = da2 * a2 * (1 - a2)
    db2 = dz2.sum(axis=(0, 2, 3))
    if wrong == "bias averaged over the positions":
        db2 = dz2.mean(axis=(2, 3)).sum(axis=0)
    elif wrong == "bias averaged over the batch":
        db2 = dz2.sum(axis=(2, 3)).mean(axis=0)
    elif wrong == "one bias for all channels":
        db2 = np.full_like(b2, dz2.sum())
    dK2 = kernel_gradient(a1_padded, dz2)
    if wrong == "dK turned":
        dK2 = dK2[:, :, ::-1, ::-1]
    elif wrong == "dK with rows and columns exchanged":
        dK2 = dK2.swapaxes(2, 3)
    elif wrong == "dK of the last sample":
        dK2 = kernel_gradient(a1_padded[-1:], dz2[-1:])
    da1 = loops_da1(dz2, K2, a1.shape, wrong)
    dz1 = da1 * (1 - a1**2)
    dK1, db1 = kernel_gradient(images, dz1), dz1.sum(axis=(0, 2, 3))
    dimages = np.zeros_like(images)
    k = K1.shape[-1]
    for i in range(k):
        for j in range(k):
            spread = np.einsum("bohw,oc->bchw", dz1, K1[:, :, i, j])
            dimages[:, :, i : i + dz1.shape[2], j : j + dz1.shape[3]] += spread
    return loss, *by_hand(locals(), "z1 a1 z2 a2 flat scores")


def loops_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, c, o1, o2, classes = sizes(rng, 5, high=8)
    height, width = sizes(rng, 2, low=7, high=10)
    params = {"K1": normal(rng, o1, c, 2, 2), "b1": normal(rng, o1), "K2": normal(rng, o2, o1, 3, 3)}
    params |= {"b2": normal(rng, o2), "W": normal(rng, o2 * (height + 1) * (width - 1), classes)}
    return params, {"images": normal(rng, b, c, height, width), "labels": rng.integers(0, classes, b)}


LOOPS = System("two convolutions with loops", loops_forward, loops_backward, loops_make)

MISTAKES = [
    Mistake(LOOPS, "unflattened with the channels last", "SHAPE-FLATTEN-ORDER", "da2"),
    Mistake(LOOPS, "bias averaged over the positions", "", "db2"),
    Mistake(LOOPS, "bias averaged over the batch", "BIAS-MEAN", "db2"),
    Mistake(LOOPS, "one bias for all channels", "BIAS-SUM-ALL", "db2"),
    Mistake(LOOPS, "dK turned", "CONV-DW-FLIP", "dK2"),
    Mistake(LOOPS, "dK with rows and columns exchanged", "SHAPE-FLATTEN-ORDER", "dK2"),
    Mistake(LOOPS, "dK of the last sample", "ACC-OVERWRITE", "dK2"),
    Mistake(LOOPS, "kernel not turned", "CONV-FLIP", "da1"),
    Mistake(LOOPS, "kernel turned in one axis", "", "da1"),
    Mistake(LOOPS, "padding left at the front", "CONV-PAD-CROP", "da1"),
    Mistake(LOOPS, "height's padding for the width", "CONV-PAD-CROP", "da1"),
]

VARIANTS = [
    Variant(LOOPS, "cropped by each side's index"),
    Variant(LOOPS, "scattered"),
]
