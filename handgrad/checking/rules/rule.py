"""What a known wrong formula is. A new mistake is one entry in a family: its id, a sentence, where, the formula.

A formula is given the operation and the gradient `up` of its output, and yields (detail, {operand: wrong gradient}).
What reproduces the user's numbers is named as the cause.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from handgrad.checking.operations import Operation
from handgrad.checking.record import Array, Record

Wrong = dict[str, Array]


@dataclass(frozen=True, eq=False)
class Use:
    """One operation in one run: `up` is the gradient of its output, `true` the right one of every operand.

    `sizes` are the run's numbers by which people divide and multiply: {"the batch size": 5.0, ...}; `record` is
    that run.
    """

    operation: Operation
    up: Array
    true: dict[str, Array]
    sizes: dict[str, float]
    last: bool  # whether nothing but the loss comes after
    record: Record

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


def elementwise(make: Callable[[Use], Array | None]) -> Callable[[Use], Iterable[tuple[str, Wrong]]]:
    def formula(use: Use) -> Iterable[tuple[str, Wrong]]:
        found = make(use)
        if found is not None:
            yield "", {"x": found}

    return formula


def each(make: Callable[[Use, str, Array], Array | None]) -> Callable[[Use], Iterable[tuple[str, Wrong]]]:
    """Apply a change to one operand at a time."""

    def formula(use: Use) -> Iterable[tuple[str, Wrong]]:
        for role, true in use.true.items():
            found = make(use, role, true)
            if found is not None and found.shape == true.shape:
                yield role, {role: found}

    return formula
