"""Distances, lengths and spreads: formulas that look right, and that no list of known mistakes has."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

# ---- cosine similarity of two embeddings against a wanted one ----


def cosine_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    u = inputs["x"] @ params["U"]
    v = inputs["y"] @ params["V"]
    cos = F.cosine_similarity(u, v, dim=1)
    loss = ((cos - inputs["wanted"]) ** 2).mean()
    return loss, pick(locals(), "u v cos")


def cosine_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    U, V, x, y, wanted = *params.values(), inputs["x"], inputs["y"], inputs["wanted"]
    u, v = x @ U, y @ V
    lu, lv = np.sqrt((u**2).sum(axis=1)), np.sqrt((v**2).sum(axis=1))
    cos = (u * v).sum(axis=1) / (lu * lv)
    loss = ((cos - wanted) ** 2).mean()

    dcos = 2 * (cos - wanted) / len(x)
    eu, ev = u / lu[:, None], v / lv[:, None]
    c = cos[:, None]
    of_u, of_v = (ev - c * eu) / lu[:, None], (eu - c * ev) / lv[:, None]
    if wrong == "u's length to the first power":
        of_u = ev / lu[:, None] - c * eu
    elif wrong == "u's length lost":
        of_u = ev - c * eu
    elif wrong == "u's length taken as constant":
        of_u = ev / lu[:, None]
    elif wrong == "cosine without its own factor":
        of_u = (ev - eu) / lu[:, None]
    elif wrong == "both lengths of v":
        of_v = (eu - c * ev) / lu[:, None]
    elif wrong == "projection by a matrix":
        off = np.eye(U.shape[1]) - np.einsum("ni,nj->nij", eu, eu)
        of_u = np.einsum("nij,nj->ni", off, ev) / lu[:, None]
    du, dv = dcos[:, None] * of_u, dcos[:, None] * of_v
    dU, dV, dx, dy = x.T @ du, y.T @ dv, du @ U.T, dv @ V.T
    return loss, *by_hand(locals(), "u v cos")


def cosine_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, e, k = sizes(rng, 4)
    params = {"U": normal(rng, d, k), "V": normal(rng, e, k)}
    return params, {"x": normal(rng, n, d), "y": normal(rng, n, e), "wanted": rng.uniform(-1, 1, n)}


COSINE = System("cosine similarity", cosine_forward, cosine_backward, cosine_make)

# ---- a radial basis: distances to centres, a bell of each, weights ----


def radial_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    offset = inputs["x"][:, None] - params["centres"]  # (N, K, D)
    square = offset.pow(2).sum(dim=-1)
    r = torch.sqrt(square + 0.1)
    bell = torch.exp(-square / (2 * params["width"] ** 2)) / (1 + r)
    loss = ((bell @ params["V"] - inputs["y"]) ** 2).mean()
    return loss, pick(locals(), "offset square r bell")


def radial_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    centres, width, V, x, y = *params.values(), inputs["x"], inputs["y"]
    offset = x[:, None] - centres
    square = (offset**2).sum(axis=-1)
    r = np.sqrt(square + 0.1)
    near = np.exp(-square / (2 * width**2))
    bell = near / (1 + r)
    pred = bell @ V
    loss = ((pred - y) ** 2).mean()

    dpred = 2 * (pred - y) / y.size
    dV, dbell = bell.T @ dpred, dpred @ V.T
    dr = -dbell * near / (1 + r) ** 2
    if wrong == "1 / (1 + r), not squared":
        dr = -dbell * near / (1 + r)
    elif wrong == "1 / r^2":
        dr = -dbell * near / r**2
    elif wrong == "from the bell itself":
        dr = -dbell * bell / (1 + r)
    dnear = dbell / (1 + r)
    dsquare = -dnear * near / (2 * width**2) + dr / (2 * r)
    if wrong == "width to the first power":
        dsquare = -dnear * near / (2 * width) + dr / (2 * r)
    elif wrong == "root's slope with the square":
        dsquare = -dnear * near / (2 * width**2) + dr / (2 * square)
    elif wrong == "root's slope times r":
        dsquare = -dnear * near / (2 * width**2) + dr * r / 2
    dwidth = (dnear * near * square / width**3).sum(axis=0)
    if wrong == "width's power too low":
        dwidth = (dnear * near * square / width**2).sum(axis=0)
    elif wrong == "bell not in width's gradient":
        dwidth = (dnear * square / width**3).sum(axis=0)
    doffset = 2 * offset * dsquare[..., None]
    if wrong == "|offset|":
        doffset = 2 * np.abs(offset) * dsquare[..., None]
    elif wrong == "offset as a unit vector":
        doffset = 2 * offset / r[..., None] * dsquare[..., None]
    elif wrong == "sign of the offset":
        doffset = np.sign(offset) * dsquare[..., None]
    dcentres, dx = -doffset.sum(axis=0), doffset.sum(axis=1)
    if wrong == "pair by pair":
        dcentres = -np.einsum("nkd,nk->kd", 2 * offset, dsquare)
    return loss, *by_hand(locals(), "offset square r bell")


def radial_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, k, d, c = sizes(rng, 4)
    params = {"centres": normal(rng, k, d), "width": rng.uniform(1.2, 2.4, k), "V": normal(rng, k, c)}
    return params, {"x": normal(rng, n, d), "y": normal(rng, n, c)}


RADIAL = System("a radial basis", radial_forward, radial_backward, radial_make)

# ---- features to length one, a variance per unit, their logarithm to base 2 ----


def spread_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z = inputs["x"] @ params["W"]
    unit = F.normalize(z, dim=1)
    h = unit @ params["A"]
    var = h.var(dim=0, unbiased=False)
    bits = torch.log2(var + 0.5)
    loss = (bits * inputs["price"]).sum()
    return loss, pick(locals(), "z unit h var bits")


def spread_dh(h: Array, dvar: Array, wrong: str) -> Array:
    if wrong == "variance not centred":
        return 2 * h / len(h) * dvar
    if wrong == "centred by the median":
        return 2 * (h - np.median(h, axis=0)) / len(h) * dvar
    if wrong == "spread's slope, (h - mean) / sqrt(var)":
        return (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0)) / len(h) * dvar
    if wrong == "sum of squares about the first sample":
        return 2 * (h - h[0]) / len(h) * dvar
    if wrong == "centred twice":  # the mean's own path, which adds up to zero
        centred = 2 * (h - h.mean(axis=0)) / len(h) * dvar
        return centred - centred.mean(axis=0)
    return 2 * (h - h.mean(axis=0)) / len(h) * dvar


def spread_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, A, x, price = *params.values(), inputs["x"], inputs["price"]
    z = x @ W
    length = np.sqrt((z**2).sum(axis=1, keepdims=True))
    unit = z / length
    h = unit @ A
    var = h.var(axis=0)
    bits = np.log2(var + 0.5)
    loss = (bits * price).sum()

    dbits = price
    dvar = dbits / ((var + 0.5) * np.log(2))
    if wrong == "ln 2 forgotten":
        dvar = dbits / (var + 0.5)
    elif wrong == "1 / log":
        dvar = dbits / bits
    elif wrong == "0.5 forgotten":
        dvar = dbits / (var * np.log(2))
    dh = spread_dh(h, dvar, wrong)
    dA, dunit = unit.T @ dh, dh @ A.T
    along = (dunit * unit).sum(axis=1, keepdims=True)
    dz = (dunit - unit * along) / length
    if wrong == "z for the unit vector":
        dz = (dunit - z * along) / length
    elif wrong == "length squared":
        dz = (dunit - unit * along) / length**2
    elif wrong == "not divided by the length":
        dz = dunit - unit * along
    elif wrong == "mean along, not sum":
        dz = (dunit - unit * (dunit * unit).mean(axis=1, keepdims=True)) / length
    elif wrong == "projected on z itself":
        dz = (dunit - z * (dunit * z).sum(axis=1, keepdims=True)) / length
    dW, dx = x.T @ dz, dz @ W.T
    dprice = bits
    return loss, *by_hand(locals(), "z unit h var bits")


def spread_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, k, m = sizes(rng, 4)
    params = {"W": normal(rng, d, k), "A": normal(rng, k, m) + 0.3}
    return params, {"x": normal(rng, n, d), "price": normal(rng, m) + 0.2}


SPREAD = System("unit lengths and their spread", spread_forward, spread_backward, spread_make)

MISTAKES = [
    Mistake(COSINE, "u's length to the first power", "", "du"),
    Mistake(COSINE, "u's length lost", "", "du"),
    Mistake(COSINE, "u's length taken as constant", "ACC-BRANCH-LOST", "du"),
    Mistake(COSINE, "cosine without its own factor", "", "du"),
    Mistake(COSINE, "both lengths of v", "", "dv"),
    Mistake(RADIAL, "1 / r^2", "", "dr", same=("LIN-WRONG-CACHE",)),  # r for 1 + r
    Mistake(RADIAL, "width's power too low", "", "dwidth", same=("ACT-TWICE", "CACHE-INPLACE")),  # 2 (width^2)
    Mistake(RADIAL, "bell not in width's gradient", "ACT-MISSING", "dwidth", same=("ACT-MASK-VACUOUS",)),
    *[
        Mistake(RADIAL, wrong, "", first)
        for wrong, first in {
            "1 / (1 + r), not squared": "dr",
            "width to the first power": "dsquare",
            "root's slope with the square": "dsquare",
            "root's slope times r": "dsquare",
            "|offset|": "doffset",
            "offset as a unit vector": "doffset",
            "sign of the offset": "doffset",
        }.items()
    ],
    Mistake(SPREAD, "0.5 forgotten", "", "dvar", same=("LIN-WRONG-CACHE",)),  # var for var + 0.5
    Mistake(SPREAD, "z for the unit vector", "", "dz", same=("LIN-WRONG-CACHE",)),
    Mistake(SPREAD, "mean along, not sum", "LOSS-WRONG-COUNT", "dz"),
    *[
        Mistake(SPREAD, wrong, "", first)
        for wrong, first in {
            "ln 2 forgotten": "dvar",
            "1 / log": "dvar",
            "variance not centred": "dh",
            "centred by the median": "dh",
            "spread's slope, (h - mean) / sqrt(var)": "dh",
            "sum of squares about the first sample": "dh",
            "length squared": "dz",
            "not divided by the length": "dz",
            "projected on z itself": "dz",
        }.items()
    ],
]

VARIANTS = [
    Variant(COSINE, "projection by a matrix"),
    Variant(RADIAL, "from the bell itself"),
    Variant(RADIAL, "pair by pair"),
    Variant(SPREAD, "centred twice"),
]
