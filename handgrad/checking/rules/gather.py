"""Rows that are picked by index, as an embedding's: indices that occur more than once."""

from collections.abc import Iterator

import numpy as np
import torch

from handgrad.checking.record import Array
from handgrad.checking.rules.rule import Rule, Use, Wrong


def _rows(use: Use) -> tuple[Array, Array] | None:
    """Return the indices, flat, and the incoming gradient with a row for each; None where it is no such pick."""
    node = use.operation.node
    if node.op not in ("embedding", "index", "index_select") or "x0" not in use.true or len(node.args) < 2:
        return None
    picked = node.args[2] if node.op == "index_select" else node.args[1]
    first = picked[0] if isinstance(picked, list) and len(picked) == 1 else picked
    along_rows = node.op != "index_select" or node.args[1] == 0
    if not isinstance(first, torch.Tensor) or first.is_floating_point() or not along_rows or first.dtype == torch.bool:
        return None
    return first.detach().numpy().reshape(-1), use.up.reshape(first.numel(), *use["x0"].shape[1:])


def _assigned(use: Use) -> Iterator[tuple[str, Wrong]]:
    found = _rows(use)
    if found is not None and len(np.unique(found[0])) < len(found[0]):
        for detail, step in (("the last occurrence is kept", 1), ("the first occurrence is kept", -1)):
            wrong = np.zeros(use["x0"].shape)
            wrong[found[0][::step]] = found[1][::step]
            yield detail, {"x0": wrong}


def _in_order(use: Use) -> Iterator[tuple[str, Wrong]]:
    """Rows put in another order, each once: their gradients are not put back, or sorted once more."""
    found = _rows(use)
    if found is not None and sorted(found[0]) == list(range(len(use["x0"]))):
        order, up = found
        yield "they are left in the new order", {"x0": up.reshape(use["x0"].shape)}
        yield "they are put into the new order again", {"x0": up[order].reshape(use["x0"].shape)}


RULES = [
    Rule(
        "LIN-SAMPLE-MISALIGNED",
        ("any",),
        "the rows are put in another order in the forward, and their gradients are not put back: dx[order] = dy",
        _in_order,
    ),
    Rule(
        "ACC-DUPLICATE-INDEX",
        ("any",),
        "rows of equal indices are not added up: dE[idx] += g keeps one of them, np.add.at(dE, idx, g) adds all",
        _assigned,
    ),
]
