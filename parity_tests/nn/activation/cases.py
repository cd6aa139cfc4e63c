"""The functions of one entry, with every option: (name, *arguments)."""

from collections.abc import Callable
from typing import Any

import torch

Case = tuple[Any, ...]

SMOOTH: list[Case] = [
    ("Sigmoid",),
    ("Tanh",),
    ("GELU",),
    ("GELU", "tanh"),
    ("SiLU",),
    ("Mish",),
    ("LogSigmoid",),
    ("Softsign",),
    ("Tanhshrink",),
    ("Softplus",),
    ("Softplus", 2.5),
    ("Softplus", 0.7, 1.5),
    ("Softplus", -1.3),
    ("Softplus", 1.0, -0.4),
    ("CELU",),
    ("CELU", 0.625),  # torch rounds alpha to float32 in the backward
    ("CELU", -1.75),
]
# With the places where the derivative, or the function itself, jumps.
KINKED: list[tuple[Case, tuple[float, ...]]] = [
    (("ReLU",), (0.0,)),
    (("LeakyReLU",), (0.0,)),
    (("LeakyReLU", 0.3), (0.0,)),
    (("LeakyReLU", 1.6), (0.0,)),
    (("LeakyReLU", -0.4), (0.0,)),
    (("LeakyReLU", 0), (0.0,)),
    (("PReLU",), (0.0,)),
    (("ELU",), (0.0,)),
    (("ELU", 0.6), (0.0,)),
    (("ELU", -1.7), (0.0,)),
    (("ELU", 0), (0.0,)),
    (("SELU",), (0.0,)),
    (("ReLU6",), (0.0, 6.0)),
    (("Hardtanh",), (-1.0, 1.0)),
    (("Hardtanh", -2.5, 0.7), (-2.5, 0.7)),
    (("Hardtanh", 0.1, 0.7), (0.1, 0.7)),
    (("Hardsigmoid",), (-3.0, 3.0)),
    (("Hardswish",), (-3.0, 3.0)),
    (("Hardshrink",), (-0.5, 0.5)),
    (("Hardshrink", 1.3), (-1.3, 1.3)),
    (("Hardshrink", 0), (0.0,)),
    (("Hardshrink", -0.3), (-0.3, 0.3)),
    (("Softshrink",), (-0.5, 0.5)),
    (("Softshrink", 1.3), (-1.3, 1.3)),
    (("Softshrink", 0), (0.0,)),
    (("Softplus", 1.0, 1.0), (1.0,)),
    (("Threshold", 0.1, 7.3), (0.1,)),
    (("Threshold", -0.8, -2), (-0.8,)),
]
ELEMENTWISE = SMOOTH + [case for case, _ in KINKED]


def build(case: Case) -> Callable[[Any], Any]:
    """Return what builds the case from either side's `nn`."""
    name, *arguments = case
    return lambda nn: getattr(nn, name)(*arguments)


def exact(case: Case) -> Callable[[Any], Any]:
    """Return `build(case)`, but with the slope of torch's Hardsigmoid mended: it is float32's 1/6, in float64 too."""
    return lambda nn: Hardsigmoid() if case == ("Hardsigmoid",) and nn is torch.nn else build(case)(nn)


class Hardsigmoid(torch.nn.Hardsigmoid):
    """torch's, with 1/6 in float64."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return y."""
        y = super().forward(x)
        if x.dtype == torch.float64 and x.requires_grad:
            y.register_hook(lambda g: g * (1 / 6 / torch.tensor(1 / 6).double()))
        return y


def name_of(case: Any) -> str:
    """Return the case as it is written, for pytest's ids."""
    return f"{case[0]}({', '.join(map(repr, case[1:]))})" if isinstance(case, tuple) and case[:1] else str(case)
