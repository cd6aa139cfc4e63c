"""What an entry of the errata is: what a tutorial says, what is right, and the numbers that show it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

Scalar = float | str

ZHOU = 'Zhou, "Machine Learning for Beginners"'
RETOLD = f"a retelling of {ZHOU}"
PART_1 = "Shukla and Iriondo, part I"
LAYERED = "the CSDN lesson on layered networks"

# A trained value to thirteen digits; what a page prints is given the rounding of its digits instead.
RTOL, ATOL = 1e-12, 1e-13


@dataclass(frozen=True)
class Value:
    """One number (or a word), computed on both sides, and what it is stated to be.

    `autograd` None: not run on that side. `stated` None: nothing is stated, the sides need only agree. The
    tolerance is atol + rtol * |stated|; words must be equal.
    """

    name: str
    hand: Scalar
    autograd: Scalar | None
    stated: Scalar | None = None
    rtol: float = RTOL
    atol: float = ATOL

    @property
    def apart(self) -> float | None:
        """How far apart the sides are; None for words and where one side was not run."""
        if self.autograd is None or isinstance(self.hand, str) or isinstance(self.autograd, str):
            return None
        return abs(self.hand - self.autograd)

    @property
    def ok(self) -> bool:
        """Whether both sides agree, and each gives what is stated."""
        pairs = [(self.hand, self.autograd), (self.hand, self.stated), (self.autograd, self.stated)]
        return all(self._same(value, other) for value, other in pairs if value is not None and other is not None)

    def _same(self, value: Scalar, other: Scalar) -> bool:
        if isinstance(value, str) or isinstance(other, str):
            return value == other
        return abs(value - other) <= self.atol + self.rtol * abs(other)  # false for NaN


Finding = Value | str  # a string is a line of text between the numbers


@dataclass(frozen=True)
class Erratum:
    """One error of a tutorial that changes a number.

    `says` is what the tutorial says or computes, `right` what is right, `effect` what it changes in the end,
    `ran` what is run here to show it; `run()` runs it and returns the numbers in order.
    """

    id: str
    tutorial: str
    title: str
    says: str
    right: str
    effect: str
    ran: str
    run: Callable[[], list[Finding]]


def both(
    name: str, sides: Iterable[Any], stated: Scalar | None = None, rtol: float = RTOL, atol: float = ATOL
) -> Value:
    """Return the Value of two sides, each a number, an array of one number, or a word."""
    hand, autograd = (side if isinstance(side, str) else float(np.asarray(side).item()) for side in sides)
    return Value(name, hand, autograd, stated, rtol, atol)


def each(
    names: Iterable[str], sides: Iterable[Any], stated: Any = None, rtol: float = RTOL, atol: float = ATOL
) -> list[Value]:
    """Return a Value for each entry of two sides that are arrays, in row order.

    Raises ValueError where there are not as many names and stated numbers: one of them would go missing.
    """
    hand, autograd = (np.ravel(np.asarray(side, dtype=np.float64)).tolist() for side in sides)
    expected = [None] * len(hand) if stated is None else np.ravel(np.asarray(stated, dtype=np.float64)).tolist()
    rows = zip(names, hand, autograd, expected, strict=True)
    return [Value(name, h, a, s, rtol, atol) for name, h, a, s in rows]


def raised(error: type[Exception], call: Callable[[], object]) -> str:
    """Return what `call()` raises, which must be of type `error`, or that it raises nothing."""
    try:
        call()
    except error as caught:
        return f"{type(caught).__name__}: {caught}"
    return "nothing is raised"
