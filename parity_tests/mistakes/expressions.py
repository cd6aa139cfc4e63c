"""Products, powers, running sums, forms, orders: slips of calculus and of indices that no list has."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

# ---- a b c, c / a, a^1.7 and cos(freq c), side by side ----


def calculus_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z = inputs["x"] @ params["W"]
    a, b, c = F.softplus(z[:, 0::3]) + 0.5, torch.sigmoid(z[:, 1::3]), torch.tanh(z[:, 2::3])
    product = a * b * c
    quotient = c / a
    power = a**1.7
    wave = torch.cos(params["freq"] * c)
    terms = torch.stack([product, quotient, power, wave], dim=1)
    loss = ((terms - inputs["y"]) ** 2).mean()
    return loss, pick(locals(), "z a b c product quotient power wave")


def calculus_of_a(a: Array, b: Array, c: Array, d: Arrays, wrong: str) -> Array:
    """da from the terms' gradients: b c, -c / a^2, 1.7 a^0.7."""
    of_product, of_quotient, of_power = b * c, -c / a**2, 1.7 * a**0.7
    if wrong == "three factors as a sum":
        of_product = b + c
    elif wrong == "a left in its own derivative":
        of_product = a * b * c
    elif wrong == "c / a, not c / a^2":
        of_quotient = -c / a
    elif wrong == "quotient's sign and square":
        of_quotient = c * a**2
    elif wrong == "power not lowered":
        of_power = 1.7 * a**1.7
    elif wrong == "lowered by the exponent":
        of_power = 1.7 * a ** (1 / 1.7)
    elif wrong == "exponential's rule for a power":
        of_power = a**1.7 * np.log(a)
    elif wrong == "logarithmic derivative":
        of_power = a**1.7 * 1.7 / a
    return d["product"] * of_product + d["quotient"] * of_quotient + d["power"] * of_power


def calculus_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, freq, x, y = *params.values(), inputs["x"], inputs["y"]
    z = x @ W
    a, b, c = np.logaddexp(z[:, 0::3], 0) + 0.5, 1 / (1 + np.exp(-z[:, 1::3])), np.tanh(z[:, 2::3])
    product, quotient, power, wave = a * b * c, c / a, a**1.7, np.cos(freq * c)
    terms = np.stack([product, quotient, power, wave], axis=1)
    loss = ((terms - y) ** 2).mean()

    dproduct, dquotient, dpower, dwave = np.moveaxis(2 * (terms - y) / y.size, 1, 0)
    da = calculus_of_a(a, b, c, {"product": dproduct, "quotient": dquotient, "power": dpower}, wrong)
    db = dproduct * (a + c if wrong == "b's two factors as a sum" else a * c)
    slope = -np.sin(freq * c)
    if wrong == "cosine left a cosine":
        slope = -np.cos(freq * c)
    elif wrong == "sine of c alone":
        slope = -np.sin(c)
    elif wrong == "sine by the identity":  # 1 - cos^2, and so without its sign
        slope = -np.sqrt(1 - wave**2)
    dc = dproduct * a * b + dquotient / a + dwave * slope * freq
    dfreq = (dwave * slope * c).sum(axis=0)
    if wrong == "frequency's gradient with itself":
        dfreq = (dwave * slope * freq * c).sum(axis=0)
    dz = np.empty_like(z)
    dz[:, 0::3], dz[:, 1::3], dz[:, 2::3] = da / (1 + np.exp(-z[:, 0::3])), db * b * (1 - b), dc * (1 - c**2)
    if wrong == "0.5 taken for softplus":  # sigmoid(z) = 1 - exp(-softplus(z)), without the 0.5 that was added
        dz[:, 0::3] = da * (1 - np.exp(-a))
    elif wrong == "slope from a":
        dz[:, 0::3] = da * (1 - np.exp(0.5 - a))
    dW, dx = x.T @ dz, dz @ W.T
    return loss, *by_hand(locals(), "z a b c product quotient power wave")


def calculus_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h = sizes(rng, 3)
    params = {"W": normal(rng, d, 3 * h), "freq": rng.uniform(1.5, 4, h)}
    return params, {"x": normal(rng, n, d), "y": normal(rng, n, 4, h)}


CALCULUS = System("products, powers and waves", calculus_forward, calculus_backward, calculus_make)

# ---- a running sum over steps, its log-sum-exp, a quadratic form of that, log cosh of the error ----


def form_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = torch.tanh(inputs["x"] @ params["W"])  # (B, T, D)
    total = h.cumsum(dim=1)
    peak = torch.logsumexp(total, dim=1)
    q = torch.einsum("bi,ij,bj->b", peak, params["B"], peak)
    loss = torch.log(torch.cosh(q - inputs["y"])).mean()
    return loss, pick(locals(), "h total peak q")


def form_dtotal(total: Array, dpeak: Array, wrong: str) -> Array:
    share = np.exp(total - total.max(axis=1, keepdims=True))
    share = share / share.sum(axis=1, keepdims=True)
    if wrong == "largest alone":
        share = 1.0 * (total == total.max(axis=1, keepdims=True))
    elif wrong == "in proportion, without exp":
        share = np.abs(total) / np.abs(total).sum(axis=1, keepdims=True)
    elif wrong == "softmax over the features":
        share = np.exp(total) / np.exp(total).sum(axis=2, keepdims=True)
    elif wrong == "exp of the difference to the mean":
        share = np.exp(total - total.mean(axis=1, keepdims=True)) / total.shape[1]
    elif wrong == "exp(total - peak)":
        share = np.exp(total - np.log(np.exp(total).sum(axis=1, keepdims=True)))
    return dpeak[:, None] * share


def form_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, B, x, y = *params.values(), inputs["x"], inputs["y"]
    h = np.tanh(x @ W)
    total = h.cumsum(axis=1)
    peak = np.log(np.exp(total).sum(axis=1))
    q = np.einsum("bi,ij,bj->b", peak, B, peak)
    error = q - y
    loss = (np.logaddexp(error, -error) - np.log(2)).mean()

    dq = np.tanh(error) / len(x)
    if wrong == "clipped error for tanh":
        dq = np.clip(error, -1, 1) / len(x)
    elif wrong == "1 / cosh":
        dq = 1 / np.cosh(error) / len(x)
    dB = np.einsum("b,bi,bj->ij", dq, peak, peak)
    if wrong == "only the diagonal of B":
        dB = np.diag(np.diag(dB))
    elif wrong == "both triangles added":
        dB = dB + np.tril(dB, -1)
    dpeak = dq[:, None] * (peak @ B + peak @ B.T)
    if wrong == "2 B p of a B that is not symmetric":
        dpeak = dq[:, None] * 2 * (peak @ B.T)
    elif wrong == "one side of the form":
        dpeak = dq[:, None] * (peak @ B.T)
    elif wrong == "squares alone, cross terms lost":
        dpeak = dq[:, None] * 2 * peak * np.diag(B)
    elif wrong == "symmetric part":
        dpeak = dq[:, None] * (peak @ (B + B.T))
    dtotal = form_dtotal(total, dpeak, wrong)
    dh = dtotal[:, ::-1].cumsum(axis=1)[:, ::-1]
    if wrong == "summed forwards again":
        dh = dtotal.cumsum(axis=1)
    elif wrong == "own step left out":
        dh = dh - dtotal
    elif wrong == "not turned back":
        dh = dtotal[:, ::-1].cumsum(axis=1)
    elif wrong == "total minus what came before":
        dh = dtotal.sum(axis=1, keepdims=True) - dtotal.cumsum(axis=1) + dtotal
    dz = dh * (1 - h**2)
    dW, dx = np.einsum("btd,bth->dh", x, dz), dz @ W.T
    dy = -dq
    return loss, *by_hand(locals(), "h total peak q")


def form_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, t, d, h = sizes(rng, 4)
    params = {"W": normal(rng, d, h), "B": normal(rng, h, h, scale=0.3)}
    return params, {"x": normal(rng, n, t, d), "y": normal(rng, n)}


FORM = System("running sums and a quadratic form", form_forward, form_backward, form_make)

MISTAKES = [
    Mistake(CALCULUS, "a left in its own derivative", "", "da", same=("LIN-WRONG-CACHE",)),  # a b c for b c
    Mistake(CALCULUS, "sine of c alone", "", "dc", same=("LIN-WRONG-CACHE",)),  # c for freq c
    Mistake(CALCULUS, "frequency's gradient with itself", "", "dfreq", same=("LIN-WRONG-CACHE",)),  # freq c for c
    Mistake(FORM, "1 / cosh", "", "dq", same=("ACT-MISSING", "LIN-RAW-ERROR")),  # without cosh's own slope
    *[
        Mistake(CALCULUS, wrong, "", first)
        for wrong, first in {
            "three factors as a sum": "da",
            "c / a, not c / a^2": "da",
            "quotient's sign and square": "da",
            "power not lowered": "da",
            "lowered by the exponent": "da",
            "exponential's rule for a power": "da",
            "b's two factors as a sum": "db",
            "cosine left a cosine": "dc",
            "sine by the identity": "dc",
            "0.5 taken for softplus": "dz",
        }.items()
    ],
    *[
        Mistake(FORM, wrong, "", first)
        for wrong, first in {
            "clipped error for tanh": "dq",
            "only the diagonal of B": "dB",
            "both triangles added": "dB",
            "2 B p of a B that is not symmetric": "dpeak",
            "squares alone, cross terms lost": "dpeak",
            "largest alone": "dtotal",
            "in proportion, without exp": "dtotal",
            "softmax over the features": "dtotal",
            "exp of the difference to the mean": "dtotal",
            "summed forwards again": "dh",
            "own step left out": "dh",
            "not turned back": "dh",
        }.items()
    ],
    Mistake(FORM, "one side of the form", "ACC-BRANCH-LOST", "dpeak"),
]

VARIANTS = [
    Variant(CALCULUS, "logarithmic derivative"),
    Variant(CALCULUS, "slope from a"),
    Variant(FORM, "exp(total - peak)"),
    Variant(FORM, "symmetric part"),
    Variant(FORM, "total minus what came before"),
]
