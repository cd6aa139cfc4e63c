"""Convolution as patches in columns (im2col, col2im) with a stride, and a causal depthwise one over time."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

# ---- cols (B, C k k, L) by unfold; stride 2 and k = 3, so the windows overlap ----

KERNEL, STRIDE, PADDING = 3, 2, 1


def columns_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = torch.einsum("dc,bchw->bdhw", params["P"], inputs["x"])
    cols = F.unfold(h, KERNEL, padding=PADDING, stride=STRIDE)
    out = params["W"] @ cols + params["b"][:, None]
    act = F.softplus(out)
    pred = act.mean(-1) @ params["V"]
    loss = ((pred - inputs["y"]) ** 2).sum(1).mean()
    return loss, pick(locals(), "h cols out act pred")


def windows(height: int, width: int) -> list[tuple[slice, slice]]:
    """The windows of the padded image, row by row."""
    rows = range(0, height + 2 * PADDING - KERNEL + 1, STRIDE)
    columns = range(0, width + 2 * PADDING - KERNEL + 1, STRIDE)
    return [(slice(i, i + KERNEL), slice(j, j + KERNEL)) for i in rows for j in columns]


def im2col(h: Array) -> Array:
    padded = np.pad(h, ((0, 0), (0, 0), (PADDING,) * 2, (PADDING,) * 2))
    patches = [padded[:, :, i, j].reshape(len(h), -1) for i, j in windows(*h.shape[2:])]
    return np.stack(patches, axis=-1)


def col2im(dcols: Array, shape: tuple[int, ...], wrong: str) -> Array:
    B, C, height, width = shape
    padded = np.zeros((B, C, height + 2 * PADDING, width + 2 * PADDING))
    order = (0, 3, 1, 2) if wrong == "channels last in the columns" else (0, 1, 2, 3)
    form = (B, KERNEL, KERNEL, C) if wrong == "channels last in the columns" else (B, C, KERNEL, KERNEL)
    for number, (i, j) in enumerate(windows(height, width)):
        patch = dcols[:, :, number].reshape(form).transpose(order)
        if wrong == "windows assigned":
            padded[:, :, i, j] = patch
        elif wrong == "patches transposed":
            padded[:, :, i, j] += patch.swapaxes(2, 3)
        elif wrong == "patches turned":
            padded[:, :, i, j] += patch[:, :, ::-1, ::-1]
        else:
            padded[:, :, i, j] += patch
    if wrong == "averaged where windows overlap":
        count = np.zeros(padded.shape[2:])
        for i, j in windows(height, width):
            count[i, j] += 1
        padded = padded / np.maximum(count, 1)
    if wrong == "padding not cut off at the top":
        return padded[:, :, :height, PADDING:-PADDING]
    if wrong == "padding cut off twice in front":
        return padded[:, :, 2 * PADDING :, 2 * PADDING :]
    return padded[:, :, PADDING:-PADDING, PADDING:-PADDING]


def columns_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    P, W, b, V, x, y = *params.values(), inputs["x"], inputs["y"]
    h = np.einsum("dc,bchw->bdhw", P, x)
    cols = im2col(h)
    out = W @ cols + b[:, None]
    act = np.log1p(np.exp(out))
    pred = act.mean(-1) @ V
    loss = ((pred - y) ** 2).sum(1).mean()

    dpred = 2 * (pred - y) / len(x)
    dV = act.mean(-1).T @ dpred
    dact = np.repeat((dpred @ V.T)[:, :, None], out.shape[-1], axis=2)
    if wrong != "mean over the positions undone by repeat alone":
        dact = dact / out.shape[-1]
    dout = dact / (1 + np.exp(-out))
    db = dout.sum((0, 2))
    dW = np.einsum("bol,bkl->ok", dout, cols)
    if wrong == "loop over samples overwrites":
        for sample in range(len(x)):
            dW = dout[sample] @ cols[sample].T
    elif wrong == "one product over all samples":
        dW = dout.transpose(1, 0, 2).reshape(len(W), -1) @ cols.transpose(1, 0, 2).reshape(W.shape[1], -1).T
    dcols = W.T @ dout
    dh = col2im(dcols, h.shape, wrong)
    dP = np.einsum("bdhw,bchw->dc", dh, x)
    dx = np.einsum("dc,bdhw->bchw", P, dh)
    dy = -dpred
    return loss, *by_hand(locals(), "h cols out act pred")


def columns_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, c, d, o, m = sizes(rng, 5)
    height, width = sizes(rng, 2, low=5, high=9)
    params = {"P": normal(rng, d, c), "W": normal(rng, o, d * KERNEL**2), "b": normal(rng, o), "V": normal(rng, o, m)}
    return params, {"x": normal(rng, b, c, height, width), "y": normal(rng, b, m)}


COLUMNS = System("convolution by columns", columns_forward, columns_backward, columns_make)

# ---- depthwise over time, padded in front only so that no step sees its future; dilation 2 ----


def causal_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    u = torch.einsum("btf,fc->bct", inputs["x"], params["W_in"])
    k = params["kernel"].shape[-1]
    padded = F.pad(u, (2 * (k - 1), 0))
    c = F.conv1d(padded, params["kernel"], params["bias"], dilation=2, groups=u.shape[1])
    g = c * torch.sigmoid(c)
    out = torch.einsum("bct,co->bto", g, params["W_out"])
    loss = F.mse_loss(out, inputs["target"])
    return loss, pick(locals(), "u padded c g out")


def causal_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W_in, kernel, bias, W_out = params.values()
    x, target = inputs["x"], inputs["target"]
    T, k = x.shape[1], kernel.shape[-1]
    front = 2 * (k - 1)
    u = np.einsum("btf,fc->bct", x, W_in)
    padded = np.pad(u, ((0, 0), (0, 0), (front, 0)))
    c = sum(padded[:, :, 2 * j : 2 * j + T] * kernel[:, 0, j, None] for j in range(k)) + bias[:, None]
    sig = 1 / (1 + np.exp(-c))
    g = c * sig
    out = np.einsum("bct,co->bto", g, W_out)
    loss = ((out - target) ** 2).mean()

    dout = 2 * (out - target) / out.size
    dW_out = np.einsum("bct,bto->co", g, dout)
    dg = np.einsum("bto,co->bct", dout, W_out)
    dc = dg * (sig + c * sig * (1 - sig))
    dbias = dc.mean(2).sum(0) if wrong == "bias averaged over the steps" else dc.sum((0, 2))
    dkernel = np.zeros_like(kernel)
    dpadded = np.zeros_like(padded)
    for j in range(k):
        at = slice(j, j + T) if wrong == "dilation forgotten for the kernel" else slice(2 * j, 2 * j + T)
        dkernel[:, 0, j] = (dc * padded[:, :, at]).sum((0, 2))
        tap = kernel[:, 0, k - 1 - j if wrong == "kernel turned" else j, None]
        at = slice(j, j + T) if wrong == "dilation forgotten" else slice(2 * j, 2 * j + T)
        if wrong == "taps assigned":
            dpadded[:, :, at] = dc * tap
        else:
            dpadded[:, :, at] += dc * tap
    if wrong == "dkernel turned":
        dkernel = dkernel[:, :, ::-1].copy()
    elif wrong == "all channels share the kernel's gradient":
        dkernel = np.broadcast_to(dkernel.sum(0), kernel.shape).copy()
    du = dpadded[:, :, :T] if wrong == "cropped at the end" else dpadded[:, :, front:]
    if wrong == "cropped on both sides":
        du = dpadded[:, :, front // 2 : front // 2 + T]
    dW_in, dx = np.einsum("btf,bct->fc", x, du), np.einsum("bct,fc->btf", du, W_in)
    dtarget = -dout
    return loss, *by_hand(locals(), "u padded c g out")


def causal_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    b, t, f, c, o = sizes(rng, 5, low=4)
    params = {"W_in": normal(rng, f, c), "kernel": normal(rng, c, 1, 3), "bias": normal(rng, c)}
    params |= {"W_out": normal(rng, c, o)}
    return params, {"x": normal(rng, b, t, f), "target": normal(rng, b, t, o)}


CAUSAL = System("causal depthwise convolution", causal_forward, causal_backward, causal_make)

MISTAKES = [
    Mistake(COLUMNS, "mean over the positions undone by repeat alone", "POOL-NO-DIVIDE", "dact"),
    Mistake(COLUMNS, "loop over samples overwrites", "ACC-OVERWRITE", "dW"),
    Mistake(COLUMNS, "channels last in the columns", "SHAPE-FLATTEN-ORDER", "dh"),
    Mistake(COLUMNS, "windows assigned", "ACC-OVERLAP-ASSIGN", "dh"),
    Mistake(COLUMNS, "patches transposed", "", "dh"),
    Mistake(COLUMNS, "patches turned", "CONV-FLIP", "dh"),
    Mistake(COLUMNS, "averaged where windows overlap", "", "dh"),
    Mistake(COLUMNS, "padding not cut off at the top", "CONV-PAD-CROP", "dh"),
    Mistake(COLUMNS, "padding cut off twice in front", "CONV-PAD-CROP", "dh"),
    Mistake(CAUSAL, "bias averaged over the steps", "", "dbias"),
    Mistake(CAUSAL, "dilation forgotten for the kernel", "", "dkernel"),
    Mistake(CAUSAL, "dkernel turned", "CONV-DW-FLIP", "dkernel"),
    Mistake(CAUSAL, "all channels share the kernel's gradient", "", "dkernel"),
    Mistake(CAUSAL, "kernel turned", "CONV-FLIP", "dpadded"),
    Mistake(CAUSAL, "dilation forgotten", "", "dpadded"),
    Mistake(CAUSAL, "taps assigned", "ACC-OVERLAP-ASSIGN", "dpadded"),
    Mistake(CAUSAL, "cropped at the end", "CONV-PAD-CROP", "du"),
    Mistake(CAUSAL, "cropped on both sides", "CONV-PAD-CROP", "du"),
]

VARIANTS = [
    Variant(COLUMNS, "one product over all samples"),
]
