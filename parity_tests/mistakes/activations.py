"""Element-wise activations, each in several spellings: an output and a hidden layer of the same one.

`dz = up * slope` is wrong in a known way, in the hidden layer (`dz1`), in the output layer (`dz2`), or in both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes

Formula = Callable[[Array, Array, Array], Array]  # of the incoming gradient, z and a
HIDDEN, OUTPUT, BOTH = "dz1", "dz2", "both"


@dataclass(frozen=True, eq=False)
class Activation:
    """a = f(z) with its slope from z and a; spellings in torch; wrong and other right formulas for dz."""

    f: Callable[[Array], Array]
    slope: Callable[[Array, Array], Array]
    spellings: dict[str, Callable[[Any], Any]]
    wrong: dict[str, tuple[str, str, Formula]]  # switch: id, layer, dz
    right: dict[str, Formula]


def system(name: str, activation: Activation, spelled: Callable[[Any], Any]) -> System:
    """Two layers with this activation behind each, and the mean of squares."""

    def forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
        z1 = inputs["x"] @ params["W1"] + params["b1"]
        a1 = spelled(z1)
        z2 = a1 @ params["W2"] + params["b2"]
        a2 = spelled(z2)
        loss = ((a2 - inputs["t"]) ** 2).mean()
        return loss, pick(locals(), "z1 a1 z2 a2")

    def backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
        W1, b1, W2, b2, x, t = *params.values(), inputs["x"], inputs["t"]
        z1 = x @ W1 + b1
        a1 = activation.f(z1)
        z2 = a1 @ W2 + b2
        a2 = activation.f(z2)
        loss = ((a2 - t) ** 2).mean()

        _, layer, formula = activation.wrong.get(wrong, ("", BOTH, activation.right.get(wrong)))

        def through(up: Array, z: Array, a: Array, name: str) -> Array:
            if formula is not None and layer in (name, BOTH):
                return formula(up, z, a)
            return up * activation.slope(z, a)

        da2 = 2 * (a2 - t) / t.size
        dz2 = through(da2, z2, a2, OUTPUT)
        dW2, db2 = a1.T @ dz2, dz2.sum(axis=0)
        da1 = dz2 @ W2.T
        dz1 = through(da1, z1, a1, HIDDEN)
        dW1, db1, dx = x.T @ dz1, dz1.sum(axis=0), dz1 @ W1.T
        dt = -da2
        return loss, *by_hand(locals(), "z1 a1 z2 a2")

    return System(name, forward, backward, make)


def make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, c = sizes(rng, 4)
    params = {"W1": normal(rng, d, h), "b1": normal(rng, h), "W2": normal(rng, h, c), "b2": normal(rng, c)}
    return params, {"x": normal(rng, n, d), "t": normal(rng, n, c)}


def s(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


SIGMOID = Activation(
    s,
    lambda z, a: a * (1 - a),
    {"torch.sigmoid": torch.sigmoid, "1 / (1 + exp(-z))": lambda z: 1 / (1 + torch.exp(-z)),
     "half a tanh": lambda z: 0.5 * (torch.tanh(z / 2) + 1)},
    {"slope at a": ("ACT-TWICE", HIDDEN, lambda up, z, a: up * s(a) * (1 - s(a))),
     "slope at a, both layers": ("ACT-TWICE", BOTH, lambda up, z, a: up * s(a) * (1 - s(a))),
     "no slope behind the loss": ("ACT-MISSING", OUTPUT, lambda up, z, a: up),
     "no slope": ("ACT-MISSING", HIDDEN, lambda up, z, a: up),
     "up (1 - up)": ("ACT-ON-GRAD", HIDDEN, lambda up, z, a: up * (1 - up)),
     "z (1 - z)": ("ACT-PREACT", HIDDEN, lambda up, z, a: up * z * (1 - z)),
     "z (1 - z), both layers": ("ACT-PREACT", BOTH, lambda up, z, a: up * z * (1 - z)),
     "1 - a": ("ACT-WRONG-FORMULA", HIDDEN, lambda up, z, a: up * (1 - a)),
     "a alone": ("ACT-WRONG-FORMULA", HIDDEN, lambda up, z, a: up * a),
     "a (1 - a^2)": ("", HIDDEN, lambda up, z, a: up * a * (1 - a**2)),
     "a^2 (1 - a)": ("", OUTPUT, lambda up, z, a: up * a**2 * (1 - a)),
     "upstream left out": ("UPSTREAM-IGNORED", HIDDEN, lambda up, z, a: a * (1 - a))},
    {"exp(-z) / (1 + exp(-z))^2": lambda up, z, a: up * np.exp(-z) / (1 + np.exp(-z)) ** 2,
     "a - a^2": lambda up, z, a: up * (a - a * a)},
)  # fmt: skip

TANH = Activation(
    np.tanh,
    lambda z, a: 1 - a**2,
    {"torch.tanh": torch.tanh, "exponentials": lambda z: (z.exp() - (-z).exp()) / (z.exp() + (-z).exp()),
     "2 sigmoid(2 z) - 1": lambda z: 2 * torch.sigmoid(2 * z) - 1},
    {"slope at a": ("ACT-TWICE", HIDDEN, lambda up, z, a: up * (1 - np.tanh(a) ** 2)),
     "no slope": ("ACT-MISSING", OUTPUT, lambda up, z, a: up),
     "1 - up^2": ("ACT-ON-GRAD", HIDDEN, lambda up, z, a: up * (1 - up**2)),
     "1 - z^2": ("ACT-PREACT", HIDDEN, lambda up, z, a: up * (1 - z**2)),
     "1 - a": ("ACT-WRONG-FORMULA", HIDDEN, lambda up, z, a: up * (1 - a)),
     "a itself": ("ACT-WRONG-FORMULA", OUTPUT, lambda up, z, a: up * a),
     "sigmoid's slope": ("ACT-WRONG-FORMULA", HIDDEN, lambda up, z, a: up * s(z) * (1 - s(z))),
     "1 - |a|": ("", HIDDEN, lambda up, z, a: up * (1 - np.abs(a))),
     "1 - a^4": ("", OUTPUT, lambda up, z, a: up * (1 - a**4)),
     "upstream left out": ("UPSTREAM-IGNORED", OUTPUT, lambda up, z, a: 1 - a**2)},
    {"1 / cosh(z)^2": lambda up, z, a: up / np.cosh(z) ** 2,
     "(1 - a) (1 + a)": lambda up, z, a: up * (1 - a) * (1 + a)},
)  # fmt: skip

RELU = Activation(
    lambda z: np.maximum(z, 0),
    lambda z, a: z > 0,
    {"torch.relu": torch.relu, "clamp": lambda z: z.clamp(min=0), "z times a mask": lambda z: z * (z > 0),
     "maximum with 0": lambda z: torch.maximum(z, torch.zeros_like(z)), "half of z + |z|": lambda z: (z + z.abs()) / 2},
    {"mask a >= 0": ("ACT-MISSING", HIDDEN, lambda up, z, a: up * (a >= 0)),
     "no mask": ("ACT-MISSING", OUTPUT, lambda up, z, a: up),
     "mask of the gradient": ("ACT-MASK-ON-GRAD", HIDDEN, lambda up, z, a: up * (up > 0)),
     "masks of both": ("", HIDDEN, lambda up, z, a: up * (up > 0) * (z > 0)),
     "window around 0": ("", HIDDEN, lambda up, z, a: up * (np.abs(z) < 0.5)),
     "times a": ("ACT-WRONG-FORMULA", OUTPUT, lambda up, z, a: up * a),
     "upstream left out": ("UPSTREAM-IGNORED", HIDDEN, lambda up, z, a: 1.0 * (z > 0))},
    {"mask of the output": lambda up, z, a: up * (a > 0),
     "mask z >= 0": lambda up, z, a: up * (z >= 0),
     "sign": lambda up, z, a: up * np.sign(a)},
)  # fmt: skip

LEAK = 0.01
LEAKY = Activation(
    lambda z: np.where(z > 0, z, LEAK * z),
    lambda z, a: np.where(z > 0, 1, LEAK),
    {"F.leaky_relu": F.leaky_relu, "where": lambda z: torch.where(z > 0, z, LEAK * z),
     "maximum": lambda z: torch.maximum(z, LEAK * z)},
    {"ReLU's slope": ("ACT-SLOPE", HIDDEN, lambda up, z, a: up * (z > 0)),
     "ReLU's slope, both layers": ("ACT-SLOPE", BOTH, lambda up, z, a: up * (z > 0)),
     "no slope": ("ACT-MISSING", HIDDEN, lambda up, z, a: up),
     "slope by the gradient's sign": ("ACT-MASK-ON-GRAD", HIDDEN, lambda up, z, a: up * np.where(up > 0, 1, LEAK)),
     "leak squared": ("", HIDDEN, lambda up, z, a: up * np.where(z > 0, 1, LEAK**2)),
     "leak times z": ("ACT-WRONG-FORMULA", OUTPUT, lambda up, z, a: up * np.where(z > 0, 1, LEAK * z)),
     "leak for all": ("", HIDDEN, lambda up, z, a: up * ((z > 0) + LEAK))},
    {"slope from the output": lambda up, z, a: up * np.where(a > 0, 1, LEAK)},
)  # fmt: skip

SOFTPLUS = Activation(
    lambda z: np.logaddexp(z, 0),
    lambda z, a: s(z),
    {"F.softplus": F.softplus, "log(1 + exp(z))": lambda z: torch.log(1 + torch.exp(z)),
     "logaddexp": lambda z: torch.logaddexp(z, torch.zeros_like(z))},
    {"slope at a": ("ACT-TWICE", HIDDEN, lambda up, z, a: up * s(a)),
     "no slope": ("ACT-MISSING", OUTPUT, lambda up, z, a: up),
     "sigmoid(-z)": ("ACT-WRONG-FORMULA", HIDDEN, lambda up, z, a: up * s(-z)),
     "1 / (1 + exp(z)) squared": ("", HIDDEN, lambda up, z, a: up * s(-z) ** 2),
     "ReLU's mask": ("ACT-WRONG-FORMULA", OUTPUT, lambda up, z, a: up * (z > 0))},
    {"1 - exp(-a)": lambda up, z, a: up * (1 - np.exp(-a))},
)  # fmt: skip

ELU = Activation(
    lambda z: np.where(z > 0, z, np.expm1(z)),
    lambda z, a: np.where(z > 0, 1, a + 1),
    {"F.elu": F.elu, "where": lambda z: torch.where(z > 0, z, torch.expm1(z)),
     "sum of two parts": lambda z: z.clamp(min=0) + z.clamp(max=0).exp() - 1},
    {"slope at a": ("ACT-TWICE", HIDDEN, lambda up, z, a: up * np.where(a > 0, 1, np.exp(a))),
     "no slope": ("ACT-MISSING", HIDDEN, lambda up, z, a: up),
     "a below zero": ("ACT-WRONG-FORMULA", HIDDEN, lambda up, z, a: up * np.where(z > 0, 1, a)),
     "1 - a below zero": ("ACT-WRONG-FORMULA", OUTPUT, lambda up, z, a: up * np.where(z > 0, 1, 1 - a)),
     "exp(z) everywhere": ("ACT-WRONG-FORMULA", HIDDEN, lambda up, z, a: up * np.exp(z))},
    {"exp(z) below zero": lambda up, z, a: up * np.exp(np.minimum(z, 0))},
)  # fmt: skip

TABLE = {
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "relu": RELU,
    "leaky relu": LEAKY,
    "softplus": SOFTPLUS,
    "elu": ELU,
}

# The activation written over its input gives f'(a); a mask that is always true gives no slope; the second term of a
# product is a branch; and a slope that nobody has listed is still a wrong formula.
SAME = {
    "ACT-TWICE": ("CACHE-INPLACE",),
    "ACT-MISSING": ("ACT-MASK-VACUOUS",),
    "ACT-PRODUCT-RULE": ("ACC-BRANCH-LOST",),
    "": ("ACT-WRONG-FORMULA",),
}


def planted(table: dict[str, Activation]) -> tuple[list[Mistake], list[Variant]]:
    """Every wrong and every other right formula; those without an entry in the first spelling alone."""
    mistakes: list[Mistake] = []
    variants: list[Variant] = []
    for name, activation in table.items():
        for spelling, spelled in activation.spellings.items():
            of = system(f"{name} as {spelling}", activation, spelled)
            for wrong, (identity, layer, _) in activation.wrong.items():
                first = HIDDEN if layer == HIDDEN else OUTPUT
                if identity or spelled is next(iter(activation.spellings.values())):
                    mistakes.append(Mistake(of, wrong, identity, first, same=SAME.get(identity, ())))
            variants += [Variant(of, right) for right in activation.right]
    return mistakes, variants


MISTAKES, VARIANTS = planted(TABLE)
