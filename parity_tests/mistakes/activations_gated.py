"""Activations that multiply: GELU in both forms, SiLU, each in several spellings."""

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.activations import BOTH, HIDDEN, OUTPUT, Activation, planted, s
from parity_tests.mistakes.case import Array

C, CUBIC = math.sqrt(2 / math.pi), 0.044715


def cdf(z: Array) -> Array:
    """The normal distribution function."""
    return 0.5 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))


def pdf(z: Array) -> Array:
    """The normal density."""
    return np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def exact_slope(z: Array) -> Array:
    return cdf(z) + z * pdf(z)


def tanh_slope(z: Array, times: float = 3, power: int = 2) -> Array:
    t = np.tanh(C * (z + CUBIC * z**3))
    return 0.5 * (1 + t) + 0.5 * z * (1 - t**2) * C * (1 + times * CUBIC * z**power)


def quick_slope(z: Array) -> Array:
    """The slope of z sigmoid(1.702 z)."""
    return s(1.702 * z) * (1 + 1.702 * z * (1 - s(1.702 * z)))


GELU = Activation(
    lambda z: z * cdf(z),
    lambda z, a: exact_slope(z),
    {"F.gelu": F.gelu, "erf": lambda z: 0.5 * z * (1 + torch.erf(z / math.sqrt(2))),
     "the normal distribution": lambda z: z * torch.special.ndtr(z)},
    {"distribution alone": ("ACT-PRODUCT-RULE", HIDDEN, lambda up, z, a: up * cdf(z)),
     "tanh form's slope": ("ACT-VARIANT", HIDDEN, lambda up, z, a: up * tanh_slope(z)),
     "tanh form's slope, both layers": ("ACT-VARIANT", BOTH, lambda up, z, a: up * tanh_slope(z)),
     "quick form's slope": ("ACT-VARIANT", OUTPUT, lambda up, z, a: up * quick_slope(z)),
     "slope at a": ("ACT-TWICE", HIDDEN, lambda up, z, a: up * exact_slope(a)),
     "no slope": ("ACT-MISSING", OUTPUT, lambda up, z, a: up),
     "density without z": ("", HIDDEN, lambda up, z, a: up * (cdf(z) + pdf(z))),
     "density of z^2": ("", OUTPUT, lambda up, z, a: up * (cdf(z) + z * pdf(z * z))),
     "density not normalised": ("", HIDDEN, lambda up, z, a: up * (cdf(z) + z * np.exp(-0.5 * z * z)))},
    {"a / z for the distribution": lambda up, z, a: up * (a / z + z * pdf(z))},
)  # fmt: skip

GELU_TANH = Activation(
    lambda z: 0.5 * z * (1 + np.tanh(C * (z + CUBIC * z**3))),
    lambda z, a: tanh_slope(z),
    {"F.gelu": lambda z: F.gelu(z, approximate="tanh"),
     "written out": lambda z: 0.5 * z * (1 + torch.tanh(C * (z + CUBIC * torch.pow(z, 3)))),
     "a sigmoid of twice": lambda z: z * torch.sigmoid(2 * C * (z + CUBIC * z * z * z))},
    {"erf form's slope": ("ACT-VARIANT", HIDDEN, lambda up, z, a: up * exact_slope(z)),
     "erf form's slope, both layers": ("ACT-VARIANT", BOTH, lambda up, z, a: up * exact_slope(z)),
     "first factor alone": ("ACT-PRODUCT-RULE", OUTPUT, lambda up, z, a: up * a / z),
     "no slope": ("ACT-MISSING", HIDDEN, lambda up, z, a: up),
     "2 for the cube's 3": ("", HIDDEN, lambda up, z, a: up * tanh_slope(z, times=2)),
     "power not lowered": ("", OUTPUT, lambda up, z, a: up * tanh_slope(z, power=3))},
    {"by the logarithmic derivative": lambda up, z, a: up * a / z * (1 + z * (1 - np.tanh(C * (z + CUBIC * z**3)))
                                                                      * C * (1 + 3 * CUBIC * z**2))},
)  # fmt: skip

SILU = Activation(
    lambda z: z * s(z),
    lambda z, a: s(z) * (1 + z * (1 - s(z))),
    {"F.silu": F.silu, "z sigmoid(z)": lambda z: z * torch.sigmoid(z),
     "z / (1 + exp(-z))": lambda z: z / (1 + (-z).exp())},
    {"sigmoid alone": ("ACT-PRODUCT-RULE", HIDDEN, lambda up, z, a: up * s(z)),
     "sigmoid alone, both layers": ("ACT-PRODUCT-RULE", BOTH, lambda up, z, a: up * s(z)),
     "slope at a": ("ACT-TWICE", OUTPUT, lambda up, z, a: up * s(a) * (1 + a * (1 - s(a)))),
     "no slope": ("ACT-MISSING", HIDDEN, lambda up, z, a: up),
     "a for z in the bracket": ("", HIDDEN, lambda up, z, a: up * s(z) * (1 + a * (1 - s(z)))),
     "second term without z": ("", OUTPUT, lambda up, z, a: up * (s(z) + s(z) * (1 - s(z)))),
     "upstream left out": ("UPSTREAM-IGNORED", HIDDEN, lambda up, z, a: s(z) * (1 + z * (1 - s(z))))},
    {"a + s (1 - a)": lambda up, z, a: up * (a + s(z) * (1 - a))},
)  # fmt: skip

MISTAKES, VARIANTS = planted({"gelu": GELU, "gelu's tanh form": GELU_TANH, "silu": SILU})
