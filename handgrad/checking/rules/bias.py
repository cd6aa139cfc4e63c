"""What is added to every sample, as a bias: averaged, summed over all axes, or over the wrong ones."""

from collections.abc import Iterable, Iterator
from itertools import combinations

import numpy as np

from handgrad.checking.record import Array
from handgrad.checking.rules.rule import Rule, Use, Wrong


def _edges(use: Use) -> Iterator[tuple[str, Array]]:
    """Yield the operands that are added to every sample, with their right gradients."""
    node = use.operation.node
    for role, true in use.true.items():
        conv = node.op == "convolution" and len(node.inputs) > 2 and use.operation.roles[role] is node.inputs[2]
        if (node.op in ("add", "addmm", "baddbmm") and true.size < use.up.size and role != "a" and role != "b") or conv:
            yield role, true


def _bias_mean(use: Use) -> Iterable[tuple[str, Wrong]]:
    """Divide by the count of each axis that is summed over, or of several."""
    for role, true in _edges(use):
        counts = {use.up.size // true.size, *use.up.shape[: use.up.ndim - true.ndim]}
        for count in sorted(n for n in counts if n > 1):
            yield f"{role}, 1/{count}", {role: true / count}


def _bias_sum_all(use: Use) -> Iterable[tuple[str, Wrong]]:
    for role, true in _edges(use):
        if true.size > 1 and abs(use.up.sum()) > 1e-9 * np.abs(use.up).sum():
            yield role, {role: 0 * true + use.up.sum()}


def _bias_other_axes(use: Use) -> Iterable[tuple[str, Wrong]]:
    for role, true in _edges(use):
        for count in range(1, use.up.ndim):
            for axes in combinations(range(use.up.ndim), count):
                found = use.up.sum(axis=axes)
                if found.shape == true.shape and not np.allclose(found, true, rtol=1e-9, atol=0):
                    yield f"summed over {', '.join(map(str, axes))}", {role: found}


_ADDED = ("any",)
RULES = [
    Rule("BIAS-MEAN", _ADDED, "the bias gradient is averaged over the samples: it is a sum", _bias_mean),
    Rule("BIAS-SUM-ALL", _ADDED, "the bias gradient is summed over all axes: every entry is the same", _bias_sum_all),
    Rule("BIAS-WRONG-AXIS", _ADDED, "the bias gradient is summed over the wrong axis", _bias_other_axes),
]
