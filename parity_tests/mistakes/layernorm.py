"""Layer normalisation: a post-norm block with torch's own, a written-out one over steps, a square one."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, gains, normal, pick, sizes

EPS = 1e-5

# ---- torch's layer norm over (B, T, D), a residual around a feed-forward ----


def block_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    x = inputs["x"]  # (B, T, D)
    hidden = F.gelu(x @ params["W_in"] + params["b_in"], approximate="tanh")
    res = x + hidden @ params["W_out"]
    out = F.layer_norm(res, res.shape[-1:], params["g"], params["b"], EPS)
    loss = ((out @ params["head"] - inputs["y"]) ** 2).mean()
    return loss, pick(locals(), "hidden res out")


def gelu(a: Array) -> tuple[Array, Array]:
    """GELU in its tanh form, and its derivative."""
    c = np.sqrt(2 / np.pi)
    t = np.tanh(c * (a + 0.044715 * a**3))
    return 0.5 * a * (1 + t), 0.5 * (1 + t) + 0.5 * a * (1 - t**2) * c * (1 + 3 * 0.044715 * a**2)


def block_dres(dnorm: Array, norm: Array, rstd: Array, wrong: str) -> Array:
    D = dnorm.shape[-1]
    along = dnorm.mean(-1, keepdims=True)
    spread = norm * (dnorm * norm).mean(-1, keepdims=True)
    if wrong == "no mean path":
        along = 0.0
    elif wrong == "no variance path":
        spread = 0.0
    elif wrong == "mean twice":
        along = 2 * along
    elif wrong == "statistics constant":
        along = spread = 0.0
    elif wrong == "D - 1 in the variance path":
        spread = spread * D / (D - 1)
    elif wrong == "D - 1 in the mean path":
        along = along * D / (D - 1)
    elif wrong == "means over the steps":
        along, spread = dnorm.mean(1, keepdims=True), norm * (dnorm * norm).mean(1, keepdims=True)
    elif wrong == "sums for means":
        along, spread = along * D, spread * D
    elif wrong == "projection":  # 1 and norm span what the statistics remove; norm's length falls short of D by eps
        along, spread = dnorm @ np.full((D, D), 1 / D), norm * np.einsum("btd,btd->bt", dnorm, norm)[..., None] / D
    return (dnorm - along - spread) * (rstd**2 if wrong == "divided by the variance" else rstd)


def block_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W_in, b_in, W_out, g, b, head = params.values()
    x, y = inputs["x"], inputs["y"]
    hidden, slope = gelu(x @ W_in + b_in)
    res = x + hidden @ W_out
    mean = res.mean(-1, keepdims=True)
    var = ((res - mean) ** 2).mean(-1, keepdims=True)
    rstd = (var + EPS) ** -0.5
    norm = (res - mean) * rstd
    out = norm * g + b
    pred = out @ head
    loss = ((pred - y) ** 2).mean()

    dpred = 2 * (pred - y) / y.size
    dhead = np.einsum("btd,btk->dk", out, dpred)
    dout = dpred @ head.T
    db = dout.sum((0, 1))
    dg = (dout * (res if wrong == "dg with the input" else norm)).sum((0, 1))
    if wrong == "db of the last step":
        db = dout[:, -1].sum(0)
    if wrong == "dg not summed over the batch":
        dg = (dout * norm).sum(1)
    if wrong == "dg of the first sample":
        dg = (dout * norm)[0].sum(0)
    dnorm = dout if wrong == "gain dropped" else dout * g
    dres = block_dres(dnorm, norm, rstd, wrong)
    dW_out = np.einsum("bth,btd->hd", hidden, dres)
    dhidden = dres @ W_out.T
    da = dhidden * slope
    dW_in, db_in = np.einsum("btd,bth->dh", x, da), da.sum((0, 1))
    dx = da @ W_in.T if wrong == "skip lost" else dres + da @ W_in.T
    if wrong == "skip twice":
        dx = 2 * dres + da @ W_in.T
    dy = -dpred
    return loss, *by_hand(locals(), "hidden res out")


def block_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, t, d, h, k = sizes(rng, 5)
    params = {"W_in": normal(rng, d, h), "b_in": normal(rng, h), "W_out": normal(rng, h, d)}
    params |= {"g": gains(rng, d), "b": normal(rng, d), "head": normal(rng, d, k)}
    return params, {"x": normal(rng, n, t, d), "y": normal(rng, n, t, k)}


BLOCK = System("layer norm after a residual", block_forward, block_backward, block_make)

# ---- written out with mean and std, the annotated transformer's way; square, so that a lost keepdims stays silent ----


def square_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = torch.relu(inputs["x"] @ params["W"] + params["b"])
    mean = h.mean(-1, keepdim=True)
    centred = h - mean
    var = centred.pow(2).mean(-1, keepdim=True)
    xhat = centred / torch.sqrt(var + EPS)
    out = params["a_2"] * xhat + params["b_2"]
    loss = F.cross_entropy(out, inputs["labels"])
    return loss, pick(locals(), "h mean centred var xhat out")


def square_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, b, a_2, b_2, x, labels = *params.values(), inputs["x"], inputs["labels"]
    N, D = len(x), len(b)
    h = np.maximum(x @ W + b, 0)
    mean = h.mean(-1, keepdims=True)
    centred = h - mean
    var = (centred**2).sum(-1, keepdims=True) / (D - 1 if wrong == "unbiased variance" else D)
    std = np.sqrt(var) + EPS if wrong == "eps added to the std" else np.sqrt(var + EPS)
    xhat = centred / std
    out = a_2 * xhat + b_2
    shifted = out - out.max(-1, keepdims=True)
    logp = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    loss = -logp[np.arange(N), labels].mean()

    dout = (np.exp(logp) - (labels[:, None] == np.arange(D))) / N
    da_2, db_2 = (dout * xhat).sum(0), dout.sum(0)
    if wrong == "db_2 over the features":
        db_2 = dout.sum(1)
    dxhat = dout * a_2
    dstd = -(dxhat * centred).sum(-1, keepdims=True) / std**2
    root = np.sqrt(var) if wrong == "eps added to the std" else std
    dvar = dstd / (2 * root)
    if wrong == "variance to the power -1/2":
        dvar = -0.5 * (dxhat * centred).sum(-1, keepdims=True) * (var + EPS) ** -0.5
    share = D - 1 if wrong in ("unbiased variance", "D - 1 backward") else D
    dcentred = dxhat / std + 2 * centred * dvar / share
    if wrong == "variance path without keepdims":
        dcentred = dxhat / std + 2 * centred * dvar[:, 0] / share
    dmean = -dcentred.sum(-1, keepdims=True)
    dh = dcentred + dmean / D
    if wrong == "mean path without keepdims":
        dh = dcentred + dmean[:, 0] / D
    elif wrong == "mean path lost":
        dh = dcentred
    dz = dh * (h > 0)
    dW, db, dx = x.T @ dz, dz.sum(0), dz @ W.T
    return loss, *by_hand(locals(), "h mean centred var xhat out")


def square_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, k = sizes(rng, 2, low=4)
    params = {"W": normal(rng, k, n), "b": normal(rng, n), "a_2": gains(rng, n), "b_2": normal(rng, n)}
    return params, {"x": normal(rng, n, k), "labels": rng.integers(0, n, n)}


SQUARE = System("layer norm of as many rows as columns", square_forward, square_backward, square_make)

MISTAKES = [
    Mistake(BLOCK, "no mean path", "NORM-NO-MEAN-PATH", "dres"),
    Mistake(BLOCK, "no variance path", "NORM-NO-VAR-PATH", "dres"),
    Mistake(BLOCK, "mean twice", "NORM-MEAN-TWICE", "dres"),
    Mistake(BLOCK, "statistics constant", "NORM-STATS-CONST", "dres"),
    Mistake(BLOCK, "D - 1 in the variance path", "NORM-DDOF-BACKWARD", "dres"),
    Mistake(BLOCK, "D - 1 in the mean path", "", "dres"),
    Mistake(BLOCK, "means over the steps", "NORM-WRONG-AXIS", "dres"),
    Mistake(BLOCK, "sums for means", "", "dres"),
    Mistake(BLOCK, "divided by the variance", "NORM-POWER", "dres"),
    Mistake(BLOCK, "gain dropped", "NORM-GAMMA-DROPPED", "dres"),
    Mistake(BLOCK, "dg with the input", "NORM-DGAMMA-X", "dg"),
    Mistake(BLOCK, "db of the last step", "ACC-UNBROADCAST", "db", same=("ACC-OVERWRITE",)),
    Mistake(BLOCK, "dg not summed over the batch", "ACC-UNBROADCAST", "dg", same=("BIAS-UNSUMMED",)),
    Mistake(BLOCK, "dg of the first sample", "ACC-UNBROADCAST", "dg", same=("ACC-EARLY-RETURN",)),
    Mistake(BLOCK, "skip lost", "ACC-BRANCH-LOST", "dx"),
    Mistake(BLOCK, "skip twice", "ACC-DOUBLE-COUNT", "dx"),
    Mistake(SQUARE, "unbiased variance", "NORM-DDOF-FORWARD", "var", stage="forward"),
    Mistake(SQUARE, "eps added to the std", "NORM-EPS-PLACE", "xhat", stage="forward"),
    Mistake(SQUARE, "db_2 over the features", "BIAS-WRONG-AXIS", "db_2"),
    Mistake(SQUARE, "variance to the power -1/2", "NORM-POWER", "dvar"),
    Mistake(SQUARE, "D - 1 backward", "NORM-DDOF-BACKWARD", "dcentred"),
    Mistake(SQUARE, "variance path without keepdims", "NORM-ROW-BROADCAST", "dcentred"),
    Mistake(SQUARE, "mean path without keepdims", "NORM-ROW-BROADCAST", "dh"),
    Mistake(SQUARE, "mean path lost", "NORM-NO-MEAN-PATH", "dh", same=("ACC-BRANCH-LOST",)),
]

VARIANTS = [
    Variant(BLOCK, "projection"),
]
