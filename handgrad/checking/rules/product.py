"""Products of two tensors, entry by entry, as a gate's: a factor lost on the way back, the two exchanged."""

from collections.abc import Iterable

import numpy as np

from handgrad.checking.record import Array
from handgrad.checking.rules.rule import Rule, Use, Wrong


def _hides(factor: Array) -> bool:
    """Return whether a factor is a mask, 0 or one other number: to lose that has names of its own."""
    return len(np.unique(factor)) <= 2 and bool((factor == 0).any())


def _without_factor(use: Use) -> Iterable[tuple[str, Wrong]]:
    node = use.operation.node
    if len(node.inputs) != 2:
        return  # times a constant
    for role in use.true:
        other = next((t for t in node.inputs if t is not use.operation.roles[role]), None)
        of_quotient = node.op == "div" and role != "x0"
        if other is None or other.numel() < 2 or use[role].shape != use.up.shape or of_quotient:
            continue
        factor = other.detach().numpy()
        if not _hides(factor):
            yield "", {role: use.up}
            if (factor < 0).all():
                yield "its sign is kept", {role: -use.up}


def _each_others(use: Use) -> Iterable[tuple[str, Wrong]]:
    roles = list(use.true)
    if len(roles) == 2 and all(use[role].shape == use.up.shape for role in roles):
        yield "", {roles[0]: use.true[roles[1]], roles[1]: use.true[roles[0]]}


RULES = [
    Rule("PATH-SWAPPED", ("mul",), "the two factors of a product are handed each other's gradients", _each_others),
    Rule(
        "MUL-FACTOR-LOST",
        ("mul", "div"),
        "a product's other factor is missing, as a gate's, or a divisor: the gradient passes through unchanged",
        _without_factor,
    ),
]
