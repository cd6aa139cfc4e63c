"""Functions with a corner, at points that lie exactly in it: there every slope between the two sides' is right."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

# ---- whole numbers into ReLU, leaky ReLU and the absolute value: some are 0 ----


def corners_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    r, l, m = torch.relu(inputs["x"]), F.leaky_relu(inputs["v"]), inputs["w"].abs()  # noqa: E741
    out = torch.tanh(r @ params["R"] + l @ params["L"] + m @ params["M"])
    loss = ((out - inputs["y"]) ** 2).mean()
    return loss, pick(locals(), "r l m out")


def slope_at_zero(x: Array, below: float, at: float) -> Array:
    return np.where(x > 0, 1.0, np.where(x < 0, below, at))


def corners_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    R, L, M, x, v, w, y = *params.values(), inputs["x"], inputs["v"], inputs["w"], inputs["y"]
    r, l, m = np.maximum(x, 0), np.where(v > 0, v, 0.01 * v), np.abs(w)  # noqa: E741
    out = np.tanh(r @ R + l @ L + m @ M)
    loss = ((out - y) ** 2).mean()

    dout = 2 * (out - y) / y.size
    dz = dout * (1 - out**2)
    dR, dL, dM = r.T @ dz, l.T @ dz, m.T @ dz
    dr, dl, dm = dz @ R.T, dz @ L.T, dz @ M.T
    dx, dv, dw = dr * (x > 0), dl * slope_at_zero(v, 0.01, 0.01), dm * np.sign(w)
    if wrong == "ReLU: 1 at zero":
        dx = dr * (x >= 0)
    elif wrong == "ReLU: a half at zero":
        dx = dr * slope_at_zero(x, 0, 0.5)
    elif wrong == "ReLU: 2 at zero":
        dx = dr * slope_at_zero(x, 0, 2)
    elif wrong == "ReLU: -1 at zero":
        dx = dr * slope_at_zero(x, 0, -1)
    elif wrong == "leaky: 1 at zero":
        dv = dl * slope_at_zero(v, 0.01, 1)
    elif wrong == "absolute value: 1 at zero":
        dw = dm * slope_at_zero(w, -1, 1)
    elif wrong == "absolute value: -1 at zero":
        dw = dm * slope_at_zero(w, -1, -1)
    elif wrong == "absolute value: 3 at zero":
        dw = dm * slope_at_zero(w, -1, 3)
    return loss, *by_hand(locals(), "r l m out")


def corners_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, e, f, c = sizes(rng, 5)
    params = {"R": normal(rng, d, c), "L": normal(rng, e, c), "M": normal(rng, f, c)}

    def whole(width: int) -> Array:
        numbers = rng.integers(-3, 4, (n, width)).astype(float)
        numbers[0, :2], numbers[1, 0] = 0, 1  # zeros, whatever is drawn
        return 0.5 * numbers

    return params, {"x": whole(d), "v": whole(e), "w": whole(f), "y": normal(rng, n, c)}


CORNERS = System("corners at zero", corners_forward, corners_backward, corners_make)

# ---- a hinge: max(0, 1 - m y), with margins of exactly 1 ----


def hinge_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    score = inputs["s"] + 0.25
    margin = 1 - score * inputs["sign"]
    loss = torch.relu(margin).mean() + 0.1 * (params["w"] ** 2).sum()
    return loss, pick(locals(), "score margin")


def hinge_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    w, s, sign = params["w"], inputs["s"], inputs["sign"]
    score = s + 0.25
    margin = 1 - score * sign
    loss = np.maximum(margin, 0).mean() + 0.1 * (w**2).sum()

    dmargin = (margin > 0) / margin.size
    if wrong == "a margin of 1 still counts":
        dmargin = (margin >= 0) / margin.size
    elif wrong == "all margins count":
        dmargin = np.ones_like(margin) / margin.size
    elif wrong == "right answers count":
        dmargin = (score * sign > 0) / margin.size
    dscore = -dmargin * sign
    if wrong == "sign of the answer lost":
        dscore = -dmargin
    dsign = -dmargin * score
    ds = dscore
    dw = 0.2 * w
    return loss, *by_hand(locals(), "score margin")


def hinge_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, c = sizes(rng, 2, low=4)
    sign = rng.choice([-1.0, 1.0], (n, c))
    score = rng.choice([-1.5, -0.5, 0.5, 1.0, 2.0], (n, c)) * sign
    score[0, :3] = np.array([1.0, 2.0, -0.5]) * sign[0, :3]  # just far enough, far enough, and wrong
    sign[1, :2] = [-1.0, 1.0]
    score[1, :2] = [0.5, 0.5]
    return {"w": normal(rng, 3)}, {"s": score - 0.25, "sign": sign}


HINGE = System("a hinge", hinge_forward, hinge_backward, hinge_make)

MISTAKES = [
    Mistake(CORNERS, "ReLU: 2 at zero", "", "dx"),
    Mistake(CORNERS, "ReLU: -1 at zero", "", "dx"),
    Mistake(CORNERS, "absolute value: 3 at zero", "", "dw"),
    Mistake(HINGE, "all margins count", "ACT-MISSING", "dmargin", same=("ACT-MASK-VACUOUS",)),
    Mistake(HINGE, "right answers count", "", "dmargin", same=("LIN-WRONG-CACHE",)),
    Mistake(HINGE, "sign of the answer lost", "MUL-FACTOR-LOST", "dscore"),
]

VARIANTS = [
    Variant(CORNERS, "ReLU: 1 at zero", reason="subgradient"),
    Variant(CORNERS, "ReLU: a half at zero", reason="subgradient"),
    Variant(CORNERS, "leaky: 1 at zero", reason="subgradient"),
    Variant(CORNERS, "absolute value: 1 at zero", reason="subgradient"),
    Variant(CORNERS, "absolute value: -1 at zero", reason="subgradient"),
    Variant(HINGE, "a margin of 1 still counts", reason="subgradient"),
]
