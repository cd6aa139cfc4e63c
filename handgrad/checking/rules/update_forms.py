"""The update rules of torch.optim by hand, one tensor and one step, each with switches for ways to get it wrong.

Without switches they are torch's, which every diagnosis verifies before it trusts them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from handgrad.checking.record import Array


@dataclass(frozen=True, eq=False)
class Step:
    """One step of one tensor: its value p, gradient g, what the rule keeps, torch's settings, and the counts.

    `t` is the step's number from 1, `number` the tensor's from 0 among `count`.
    """

    p: Array
    g: Array
    kept: dict[str, Any]
    settings: Mapping[str, Any]
    t: int
    number: int
    count: int

    def gradient(self, coupled: bool = True) -> Array:
        """Return g, negated to maximise, plus the weight decay that goes through the gradient."""
        g = -self.g if self.settings.get("maximize") else self.g
        return g + self.settings["weight_decay"] * self.p if coupled and self.settings["weight_decay"] else g


Formula = Callable[[Step], Array]


def sgd(dampened: str = "", stale: bool = False, rate_inside: bool = False) -> Formula:
    """v = mu v + (1 - tau) g, the first v is g; p = p - lr v, with Nesterov p = p - lr (g + mu v).

    `dampened` puts 1 - mu in place of 1 - tau, "later" or "always" (the first step too); `stale` goes along the
    v of the step before; `rate_inside` keeps lr g in v.
    """

    def formula(s: Step) -> Array:
        h, g = s.settings, s.gradient()
        mu, rate = h["momentum"], h["lr"]
        old = s.kept.get("v")
        inside = rate if rate_inside else 1.0
        share = 1 - mu if dampened else 1 - h["dampening"]
        if old is None:
            v = inside * g * ((1 - mu) if dampened == "always" else 1.0)
        else:
            v = mu * old + share * inside * g
        s.kept["v"] = v
        along = v
        if stale:
            along = np.zeros_like(v) if old is None else old
        elif h["nesterov"]:
            along = inside * g + mu * v
        new: Array = s.p - (1.0 if rate_inside else rate) * along
        return new

    return formula


def adam(
    t: Callable[[Step], float] = lambda s: s.t,
    corrected: tuple[bool, bool] = (True, True),
    eps: str = "after",
    other_decay: bool = False,
    stale: bool = False,
) -> Formula:
    """m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).

    AdamW takes the decay out of the gradient: p = p (1 - lr wd) first. `t` is the count that the corrections use,
    `corrected` which of the two is there; `eps` stands "after" the root, "under" it, or "before" the correction;
    `other_decay` is the other one of Adam's and AdamW's decays; `stale` uses the m of the step before.
    """

    def formula(s: Step) -> Array:
        h = s.settings
        decoupled = bool(h["decoupled_weight_decay"]) != other_decay
        g = s.gradient(coupled=not decoupled)
        p = s.p * (1 - h["lr"] * h["weight_decay"]) if decoupled else s.p
        b1, b2 = h["betas"]
        old, v = s.kept.get("m", 0.0 * g), s.kept.get("v", 0.0 * g)
        m, v = b1 * old + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        s.kept.update(m=m, v=v)
        if h["amsgrad"]:
            v = s.kept["most"] = np.maximum(s.kept.get("most", v), v)
        count = t(s)
        first = 1 - b1**count if corrected[0] else 1.0
        second = 1 - b2**count if corrected[1] else 1.0
        under = np.sqrt(v / second + (h["eps"] if eps == "under" else 0.0))
        if eps == "before":
            root = (np.sqrt(v) + h["eps"]) / np.sqrt(second)
        else:
            root = under + (h["eps"] if eps == "after" else 0.0)
        new: Array = p - h["lr"] * (old if stale else m) / first / root
        return new

    return formula


def rmsprop(eps_under: bool = False, dampened: bool = False, stale: bool = False) -> Formula:
    """s = a s + (1 - a) g^2; u = g / (sqrt(s) + eps); v = mu v + u; p = p - lr v.

    Centred, the square of the mean gradient is taken from s. `eps_under` puts eps under the root, `dampened`
    takes 1 - mu of u, `stale` goes along the v of the step before.
    """

    def formula(s: Step) -> Array:
        h, g = s.settings, s.gradient()
        a, mu, eps = h["alpha"], h["momentum"], h["eps"]
        square = s.kept["s"] = a * s.kept.get("s", 0.0) + (1 - a) * g**2
        if h["centered"]:
            mean = s.kept["mean"] = a * s.kept.get("mean", 0.0) + (1 - a) * g
            square = square - mean**2
        scaled = g / (np.sqrt(square + eps) if eps_under else np.sqrt(square) + eps)
        old = s.kept.get("v", 0.0 * g)
        v = s.kept["v"] = mu * old + ((1 - mu) if dampened else 1.0) * scaled
        new: Array = s.p - h["lr"] * (old if stale else v)
        return new

    return formula


def adagrad(eps_under: bool = False) -> Formula:
    """G = G + g^2; p = p - lr / (1 + (t - 1) decay) g / (sqrt(G) + eps). `eps_under` puts eps under the root."""

    def formula(s: Step) -> Array:
        h, g = s.settings, s.gradient()
        total = s.kept["sum"] = s.kept.get("sum", h["initial_accumulator_value"]) + g**2
        rate = h["lr"] / (1 + (s.t - 1) * h["lr_decay"])
        new: Array = s.p - rate * g / (np.sqrt(total + h["eps"]) if eps_under else np.sqrt(total) + h["eps"])
        return new

    return formula
