"""Why a forward value is wrong: what else an operation may have given, carried on through the operations after it.

Another result is kept if it gives the user's value and every one before it; the more of those after it gives too,
the better.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from handgrad.checking.diagnosis import CLOSER, FIT
from handgrad.checking.forward_variants import VARIANTS, of_function
from handgrad.checking.place import source
from handgrad.checking.recognition import operations
from handgrad.checking.record import Array, Arrays, Node, Record, Tensor
from handgrad.checking.report import Cause


@dataclass(frozen=True, eq=False)
class Other:
    """Another result of an operation, and what it would mean."""

    id: str
    sentence: str
    node: Node
    result: Tensor


def causes(record: Record, name: str, given: Arrays, units: Arrays) -> list[Cause]:
    """Return what gives the forward value `name` as the user has it, best first; `given` has "loss" too."""
    order = [n for n in record.intermediates if n in given] + ["loss"]
    found: list[tuple[int, int, Cause]] = []
    for other in _others(record):
        explained = _explained(record, order, name, given, units, other)
        if explained is not None:
            where = f"{other.node.op} in forward, {source([other.node])}"
            cause = Cause(other.id, other.sentence, f"with it the numbers come out to {FIT:g}", where)
            found.append((-explained, len(found), cause))
    found.sort(key=lambda entry: entry[:2])
    unique: dict[str, Cause] = {}
    for explained, _, cause in found:
        if explained == found[0][0]:
            unique.setdefault(cause.id, cause)
    return list(unique.values()) or _handed_back(record, name, given, units)


def _others(record: Record) -> Iterator[Other]:
    known = [n for n in record.nodes if n.outputs and n.outputs[0].is_floating_point() and not (n.in_place or n.lost)]
    with torch.no_grad():
        seen = [replace(n, outputs=[n.func(*n.args, **n.kwargs)]) if n.stale else n for n in known]
        for variant in VARIANTS:
            for node, now in zip(known, seen, strict=True):
                for identity, sentence, result in variant(record, now):
                    yield Other(identity, sentence, node, result)
        for operation in operations(record):
            if operation.output is operation.node.outputs[0]:
                for identity, sentence, result in of_function(operation):
                    yield Other(identity, sentence, operation.node, result)


def _explained(record: Record, order: list[str], name: str, given: Arrays, units: Arrays, other: Other) -> int | None:
    """Return how many of the given values come out with this result; None unless `name` and all before it do."""
    try:
        values = record.again({id(other.node.outputs[0]): other.result})
    except (RuntimeError, IndexError):  # the result's shape does not go with what comes after
        return None
    if values is None:
        return None
    explained, before = 0, True
    for each in order:
        tensor = record.loss if each == "loss" else record.named[each]
        right = tensor.detach().numpy() if each == name else None
        same = _equal(values.get(id(tensor), tensor.detach()).numpy(), given[each], units[each], right)
        if before and not same:
            return None
        explained += same
        before = before and each != name
    return explained


def _equal(predicted: Array, given: Array, unit: Array, right: Array | None) -> bool:
    if predicted.size == given.size == 1:
        predicted, given = predicted.reshape(()), given.reshape(())
    if predicted.shape != given.shape or not np.isfinite(given).all():
        return False  # what overflowed may have come from anything
    with np.errstate(invalid="ignore"):
        error = np.abs(given - right).max(initial=0.0) if right is not None and given.shape == right.shape else np.inf
        allowed = min(FIT * np.abs(given).max(initial=0.0), CLOSER * error) + 64 * np.max(unit, initial=0.0)
        return bool((np.abs(predicted - given) <= allowed).all())


def _handed_back(record: Record, name: str, given: Arrays, units: Arrays) -> list[Cause]:
    """Return that the value is that of another tensor, by which it was overwritten, if it is one's."""
    right = (record.loss if name == "loss" else record.named[name]).detach().numpy()
    for node in record.nodes:
        for tensor in node.outputs:
            if tensor is record.named.get(name) or not tensor.is_floating_point():
                continue
            if tensor.numel() > 1 and _equal(tensor.detach().numpy(), given[name], units[name], right):
                others = [n for n, t in record.named.items() if t is tensor]
                what = others[0] if others else f"the result of {node.op} in line {node.line}"
                sentence = f"{name} is handed back as {what}: it was overwritten, or another is given under its name"
                return [Cause("CACHE-INPLACE", sentence, "all its entries are those", f"forward, line {node.line}")]
    return []
