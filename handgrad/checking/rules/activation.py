"""Element-wise activations: wrong derivatives, wrong places to take them at."""

import numpy as np
import torch

from handgrad.checking.operations import FUNCTIONS
from handgrad.checking.record import Array
from handgrad.checking.rules.rule import Rule, Use, elementwise

ACTIVATIONS = tuple(FUNCTIONS)
SMOOTH = tuple(name for name in FUNCTIONS if name not in ("relu", "leaky_relu"))


def slope(name: str, x: Array) -> Array:
    with torch.enable_grad():
        t = torch.from_numpy(np.array(x, dtype=np.float64)).requires_grad_()
        (grad,) = torch.autograd.grad(FUNCTIONS[name](t).sum(), t)
    slope: Array = grad.numpy()
    return slope


def other_slope(use: Use) -> Array | None:
    other = {"gelu": "gelu_tanh", "gelu_tanh": "gelu"}.get(use.operation.kind)
    return None if other is None else use.up * slope(other, use["x"])


RULES = [
    Rule(
        "ACT-TWICE",
        SMOOTH,
        "the derivative is evaluated at the activation a instead of z: f'(f(z))",
        elementwise(lambda u: u.up * slope(u.operation.kind, u["y"])),
    ),
    Rule(
        "ACT-MISSING",
        ACTIVATIONS,
        "the activation's derivative f'(z) is missing: the gradient passes through unchanged",
        elementwise(lambda u: u.up),
    ),
    Rule(
        "ACT-ON-GRAD",
        ("sigmoid",),
        "the derivative s (1 - s) is formed from the gradient, not from the activation",
        elementwise(lambda u: u.up * (1 - u.up)),
    ),
    Rule(
        "ACT-PREACT",
        ("sigmoid",),
        "a (1 - a) is applied to z instead of to a",
        elementwise(lambda u: u.up * u["x"] * (1 - u["x"])),
    ),
    Rule(
        "ACT-PREACT",
        ("tanh",),
        "1 - a^2 is applied to z instead of to a",
        elementwise(lambda u: u.up * (1 - u["x"] ** 2)),
    ),
    Rule("ACT-WRONG-FORMULA", ("tanh",), "tanh' is 1 - a^2, not 1 - a", elementwise(lambda u: u.up * (1 - u["y"]))),
    Rule("ACT-WRONG-FORMULA", ("tanh",), "tanh' is 1 - a^2, not tanh itself", elementwise(lambda u: u.up * u["y"])),
    Rule(
        "ACT-WRONG-FORMULA",
        ("sigmoid",),
        "sigmoid' is a (1 - a), not 1 - a",
        elementwise(lambda u: u.up * (1 - u["y"])),
    ),
    Rule(
        "ACT-MASK-ON-GRAD",
        ("relu",),
        "the mask of ReLU tests the gradient instead of z",
        elementwise(lambda u: u.up * (u.up > 0)),
    ),
    Rule(
        "ACT-SLOPE",
        ("leaky_relu",),
        "the derivative of ReLU is used for leaky ReLU: 0 below zero, not the slope",
        elementwise(lambda u: u.up * (u["x"] > 0)),
    ),
    Rule(
        "ACT-PRODUCT-RULE",
        ("gelu",),
        "the second term of the product rule is dropped: x Phi'(x) is missing",
        elementwise(lambda u: u.up * np.divide(u["y"], u["x"])),
    ),
    Rule(
        "ACT-PRODUCT-RULE",
        ("silu",),
        "the second term of the product rule is dropped: x s (1 - s) is missing",
        elementwise(lambda u: u.up * np.divide(u["y"], u["x"])),
    ),
    Rule(
        "ACT-VARIANT",
        ("gelu", "gelu_tanh"),
        "the derivative is that of GELU's other form (tanh and erf mixed)",
        elementwise(other_slope),
    ),
    Rule(
        "UPSTREAM-IGNORED",
        ACTIVATIONS,
        "the incoming gradient is ignored: this is the local derivative alone",
        elementwise(lambda u: slope(u.operation.kind, u["x"])),
    ),
    Rule(
        "CTRL-SUBGRADIENT",
        ("relu",),
        "at exactly 0 any subgradient of ReLU is right, and 1 was taken",
        elementwise(lambda u: u.up * (u["x"] >= 0)),
        fine=True,
    ),
    Rule(
        "CTRL-SUBGRADIENT",
        ("relu",),
        "at exactly 0 any subgradient of ReLU is right, and 1/2 was taken",
        elementwise(lambda u: u.up * ((u["x"] > 0) + 0.5 * (u["x"] == 0))),
        fine=True,
    ),
]
