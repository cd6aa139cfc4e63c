"""The known wrong formulas. A new mistake is one entry: its id, a sentence, where it applies, the formula.

A formula is given the operation and the gradient `up` of its output, and returns the wrong gradient of one or more
of its operands. What reproduces the user's numbers is named as the cause.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from handgrad.checking.operations import FUNCTIONS, Operation
from handgrad.checking.record import Array

Wrong = dict[str, Array]


@dataclass(frozen=True, eq=False)
class Use:
    """One operation in one run: `up` is the gradient of its output, `true` the right one of every operand.

    `sizes` are the run's numbers by which people divide and multiply: {"the batch size": 5.0, ...}.
    """

    operation: Operation
    up: Array
    true: dict[str, Array]
    sizes: dict[str, float]
    last: bool  # whether nothing but the loss comes after

    def __getitem__(self, role: str) -> Array:
        return self.operation[role]


@dataclass(frozen=True, eq=False)
class Rule:
    """A known wrong formula for operations of some kinds; `fine` where it is another convention, not a mistake."""

    id: str
    kinds: tuple[str, ...]
    sentence: str
    formula: Callable[[Use], Iterable[tuple[str, Wrong]]]
    fine: bool = False


def _slope(name: str, x: Array) -> Array:
    import torch

    with torch.enable_grad():
        t = torch.from_numpy(np.array(x, dtype=np.float64)).requires_grad_()
        (grad,) = torch.autograd.grad(FUNCTIONS[name](t).sum(), t)
    slope: Array = grad.numpy()
    return slope


def _elementwise(make: Callable[[Use], Array | None]) -> Callable[[Use], Iterable[tuple[str, Wrong]]]:
    def formula(use: Use) -> Iterable[tuple[str, Wrong]]:
        found = make(use)
        if found is not None:
            yield "", {"x": found}

    return formula


def _other_slope(use: Use) -> Array | None:
    other = {"gelu": "gelu_tanh", "gelu_tanh": "gelu"}.get(use.operation.kind)
    return None if other is None else use.up * _slope(other, use["x"])


def _axis_sum(use: Use, values: Array) -> Array:
    total: Array = values.sum(axis=use.operation.attributes["axis"], keepdims=True)
    return total


def _matmul(role: str, make: Callable[[Use, Array, Array], Array]) -> Callable[[Use], Iterable[tuple[str, Wrong]]]:
    def formula(use: Use) -> Iterable[tuple[str, Wrong]]:
        a, b = (use.operation.attributes[name] for name in ("a", "b"))
        if role in use.true and a.ndim > 1 and b.ndim > 1:
            try:
                found = make(use, a, b)
            except ValueError:  # the shapes do not fit, so nobody can have computed this
                return
            if found.shape == use.true[role].shape:
                yield "", {role: found}

    return formula


def _t(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def _each(make: Callable[[Use, str, Array], Array | None]) -> Callable[[Use], Iterable[tuple[str, Wrong]]]:
    """Apply a change to one operand at a time."""

    def formula(use: Use) -> Iterable[tuple[str, Wrong]]:
        for role, true in use.true.items():
            found = make(use, role, true)
            if found is not None and found.shape == true.shape:
                yield role, {role: found}

    return formula


ACTIVATIONS = tuple(FUNCTIONS)
SMOOTH = tuple(name for name in FUNCTIONS if name not in ("relu", "leaky_relu"))

RULES: list[Rule] = [
    Rule("ACT-TWICE", SMOOTH, "the derivative is evaluated at the activation a instead of z: f'(f(z))",
         _elementwise(lambda u: u.up * _slope(u.operation.kind, u["y"]))),
    Rule("ACT-MISSING", ACTIVATIONS, "the activation's derivative f'(z) is missing: the gradient passes through unchanged",
         _elementwise(lambda u: u.up)),
    Rule("ACT-ON-GRAD", ("sigmoid",), "the derivative s (1 - s) is formed from the gradient, not from the activation",
         _elementwise(lambda u: u.up * (1 - u.up))),
    Rule("ACT-PREACT", ("sigmoid",), "a (1 - a) is applied to z instead of to a",
         _elementwise(lambda u: u.up * u["x"] * (1 - u["x"]))),
    Rule("ACT-PREACT", ("tanh",), "1 - a^2 is applied to z instead of to a",
         _elementwise(lambda u: u.up * (1 - u["x"] ** 2))),
    Rule("ACT-WRONG-FORMULA", ("tanh",), "tanh' is 1 - a^2, not 1 - a", _elementwise(lambda u: u.up * (1 - u["y"]))),
    Rule("ACT-WRONG-FORMULA", ("tanh",), "tanh' is 1 - a^2, not tanh itself", _elementwise(lambda u: u.up * u["y"])),
    Rule("ACT-WRONG-FORMULA", ("sigmoid",), "sigmoid' is a (1 - a), not 1 - a", _elementwise(lambda u: u.up * (1 - u["y"]))),
    Rule("ACT-MASK-ON-GRAD", ("relu",), "the mask of ReLU tests the gradient instead of z",
         _elementwise(lambda u: u.up * (u.up > 0))),
    Rule("ACT-SLOPE", ("leaky_relu",), "the derivative of ReLU is used for leaky ReLU: 0 below zero, not the slope",
         _elementwise(lambda u: u.up * (u["x"] > 0))),
    Rule("ACT-PRODUCT-RULE", ("gelu",), "the second term of the product rule is dropped: x Phi'(x) is missing",
         _elementwise(lambda u: u.up * np.divide(u["y"], u["x"]))),
    Rule("ACT-PRODUCT-RULE", ("silu",), "the second term of the product rule is dropped: x s (1 - s) is missing",
         _elementwise(lambda u: u.up * np.divide(u["y"], u["x"]))),
    Rule("ACT-VARIANT", ("gelu", "gelu_tanh"), "the derivative is that of GELU's other form (tanh and erf mixed)",
         _elementwise(_other_slope)),
    Rule("UPSTREAM-IGNORED", ACTIVATIONS, "the incoming gradient is ignored: this is the local derivative alone",
         _elementwise(lambda u: _slope(u.operation.kind, u["x"]))),
    Rule("CTRL-SUBGRADIENT", ("relu",), "at exactly 0 any subgradient of ReLU is right, and 1 was taken",
         _elementwise(lambda u: u.up * (u["x"] >= 0)), fine=True),
    Rule("CTRL-SUBGRADIENT", ("relu",), "at exactly 0 any subgradient of ReLU is right, and 1/2 was taken",
         _elementwise(lambda u: u.up * ((u["x"] > 0) + 0.5 * (u["x"] == 0))), fine=True),
    Rule("SOFTMAX-DIAG", ("softmax",), "softmax is differentiated as if element-wise, p (1 - p): the off-diagonal terms are missing",
         _elementwise(lambda u: u.up * u["y"] * (1 - u["y"]))),
    Rule("SOFTMAX-NO-ROWSUM", ("softmax",), "the row sum is missing: p * (up - sum(up * p)), not p * up",
         _elementwise(lambda u: u.up * u["y"])),
    Rule("SOFTMAX-AXIS", ("softmax",), "the inner sum runs over another axis than the softmax",
         lambda u: [(str(axis), {"x": u["y"] * (u.up - (u.up * u["y"]).sum(axis=axis, keepdims=True))})
                    for axis in range(u.up.ndim) if axis != u.operation.attributes["axis"]]),
    Rule("SOFTMAX-IDENTITY", ("softmax",), "the gradient passes through softmax unchanged", _elementwise(lambda u: u.up)),
    Rule("LIN-W-NOT-T", ("matmul",), "the transpose is missing: dX = dZ W^T, not dZ W", _matmul("a", lambda u, a, b: u.up @ b)),
    Rule("LIN-W-NOT-T", ("matmul",), "the transpose is missing on the left operand", _matmul("b", lambda u, a, b: a @ u.up)),
    Rule("LIN-RESHAPE-NOT-T", ("matmul",), "the weight is reshaped where it has to be transposed",
         _matmul("a", lambda u, a, b: u.up @ b.reshape(_t(b).shape))),
    Rule("LIN-DW-T", ("matmul",), "dW is transposed", _matmul("b", lambda u, a, b: _t(u.true["b"]))),
    Rule("LIN-DW-T", ("matmul",), "dW is transposed", _matmul("a", lambda u, a, b: _t(u.true["a"]))),
    Rule("OP-SUB-SIGN", ("sub",), "u - v hands -grad to v, not +grad", _each(lambda u, role, g: -g if role == "x1" else None)),
]  # fmt: skip
