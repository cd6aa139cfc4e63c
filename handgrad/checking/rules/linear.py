"""Matrix products: transposes and operands."""

from collections.abc import Callable, Iterable

import numpy as np

from handgrad.checking.record import Array
from handgrad.checking.rules.rule import Rule, Use, Wrong


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


RULES = [
    Rule(
        "LIN-W-NOT-T",
        ("matmul",),
        "the transpose is missing: dX = dZ W^T, not dZ W",
        _matmul("a", lambda u, a, b: u.up @ b),
    ),
    Rule(
        "LIN-W-NOT-T",
        ("matmul",),
        "the transpose is missing on the left operand",
        _matmul("b", lambda u, a, b: a @ u.up),
    ),
    Rule(
        "LIN-W-NOT-T",
        ("matmul",),
        "the incoming gradient is transposed as if it stood on the other side: the scores' for the keys",
        _matmul("b", lambda u, a, b: _t(a) @ _t(u.up)),
    ),
    Rule(
        "LIN-W-NOT-T",
        ("matmul",),
        "the incoming gradient is transposed where it should not be",
        _matmul("a", lambda u, a, b: _t(u.up) @ _t(b)),
    ),
    Rule(
        "LIN-RESHAPE-NOT-T",
        ("matmul",),
        "the weight is reshaped where it has to be transposed",
        _matmul("a", lambda u, a, b: u.up @ b.reshape(_t(b).shape)),
    ),
    Rule("LIN-DW-T", ("matmul",), "dW is transposed", _matmul("b", lambda u, a, b: _t(u.true["b"]))),
    Rule("LIN-DW-T", ("matmul",), "dW is transposed", _matmul("a", lambda u, a, b: _t(u.true["a"]))),
]
