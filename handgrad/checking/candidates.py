"""Where a known wrong formula may stand: which rules go with which operations, and which operations are on the way."""

from collections.abc import Iterator, Sequence
from typing import Any

from handgrad.checking.operations import Operation
from handgrad.checking.record import Record, Tensor
from handgrad.checking.rules import RULES, Rule


def candidates(near: Sequence[Operation]) -> Iterator[tuple[Rule, list[Operation]]]:
    """Yield every rule at every operation, at all of one line, and at all of its kinds; the last operation first."""
    for rule in RULES:
        fitting = [operation for operation in reversed(near) if operation.kind in rule.kinds]
        for operation in fitting:
            yield rule, [operation]
        groups: dict[Any, list[Operation]] = {}
        for operation in fitting:
            groups.setdefault(operation.node.site, []).append(operation)
        if len(groups) > 1:
            groups["all"] = fitting
        for group in groups.values():
            if len(group) > 1:
                yield rule, group


def made_from(record: Record, tensor: Tensor, settled: set[int]) -> set[int]:
    """Return the identities of this tensor and of all made from it, up to those whose gradient is settled."""
    found = {id(tensor)}
    for node in record.nodes:
        if any(id(t) in found for t in node.inputs):
            found.update(id(t) for t in node.outputs if id(t) not in settled)
    return found
