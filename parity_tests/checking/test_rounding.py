"""How large one rounding is said to be: never nothing where digits are lost, never much where none are."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from handgrad.checking.record import Array, Record
from handgrad.checking.rounding import units

EPS = float(np.finfo(np.float64).eps)


def grad_units(forward: Any, **inputs: Array) -> dict[str, Array]:
    return units(forward, {}, inputs, Record.run(forward, {}, inputs))[1]


def test_what_cancels_is_seen_in_every_entry() -> None:
    """sigmoid(25) - 1 is 1e-11, and one rounding of it that of 1: in none of 2,000 entries may the draws hide it."""
    n = 2000
    z, t = np.full(n, 25.0) + np.linspace(0, 1, n), np.ones(n)
    unit = grad_units(lambda p, x: F.binary_cross_entropy_with_logits(x["z"], x["t"], reduction="sum"), z=z, t=t)["z"]
    assert unit.min() > EPS / 16
    assert unit.max() < 4 * EPS


def test_an_infinity_on_the_way_hides_no_rounding() -> None:
    """The derivative of logaddexp is 1 / (1 + exp(1600)) here: the infinity is right, and 0 comes of it."""

    def forward(p: Any, x: Any) -> Any:
        z = x["z"] @ x["w"]
        return (torch.logaddexp(z, torch.zeros_like(z)) * x["up"]).sum()

    rng = np.random.default_rng(0)
    z, w = rng.normal(size=(16, 3)), rng.uniform(1, 2, size=(3, 5))
    z[:12] = -400
    unit = grad_units(forward, z=z, w=w, up=rng.normal(size=(16, 5)))["w"]
    assert unit.min() > EPS / 16  # the last four samples make it, none of them small


def test_a_norm_of_whole_numbers_is_rounded() -> None:
    """The mean of 0, 1 and 1 is no whole number; 2 lies a rounding from the mean 2 of 1, 2 and 3 if that is rounded."""
    x, g = np.array([[1.0, 2.0, 3.0], [5.0, 3.0, 7.0], [0.0, 1.0, 1.0]]), np.array([0.7, 1.3, -0.4])
    up = np.array([[0.3, -1.7, 0.6], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    unit = grad_units(lambda p, x: (F.layer_norm(x["x"], (3,), x["g"]) * x["up"]).sum(), x=x, g=g, up=up)["g"]
    assert unit[1] > EPS / 4


def test_a_saturated_gelu_loses_nothing() -> None:
    """At 2,000 both of GELU's forms are exact; a mistake of 1e-9 there must not pass as rounding."""
    x = np.array([2000.0, 1234.5, 900.25])
    for form in ("none", "tanh"):
        unit = grad_units(lambda p, x, form=form: F.gelu(x["x"], approximate=form).square().sum(), x=x)["x"]
        assert (unit < 1e-12 * 2 * x).all()
