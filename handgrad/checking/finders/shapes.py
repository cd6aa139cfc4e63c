"""A gradient of the wrong shape: not summed, summed over other axes, or laid out in another order."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from handgrad.checking.record import Array, Tensor
from handgrad.checking.report import Cause
from handgrad.checking.search import Search

CLOSE = 1e-9
EVIDENCE = "the numbers agree to 1e-09"


def find(search: Search) -> Iterator[Cause]:
    """Yield what a gradient of another shape than its tensor is."""
    given, true = search.given, search.expected
    if given.size == 0 or true.size == 0:
        return
    bias = search.target.grad_fn is None and (true.ndim == 1 or search.name in _added(search))
    unsummed = "BIAS-UNSUMMED" if bias and true.ndim == 1 else "ACC-UNBROADCAST"
    axes = _summed(given, true)
    if given.size == true.size and near(given.reshape(true.shape), true):
        if true.ndim == 1:
            yield Cause("BIAS-UNSUMMED", "the sum keeps its dimension: the shape is not the parameter's", EVIDENCE)
        return
    if given.ndim == 2 and given.T.shape == true.shape and near(given.T, true):
        yield Cause("LIN-DW-T", "it is transposed", EVIDENCE)
        return
    if axes is not None:
        over = ", ".join(map(str, axes))
        sentence = f"it is broadcast in the forward, so its gradient is a sum: here axis {over} is left"
        yield Cause(unsummed, sentence, f"summed over axis {over}, {EVIDENCE}")
        return
    for up in _ups(search):
        for count in range(1, up.ndim):
            for other in combinations(range(up.ndim), count):
                if up.sum(axis=other).shape == given.shape and near(up.sum(axis=other), given):
                    which = ", ".join(map(str, other))
                    yield Cause("BIAS-WRONG-AXIS", f"it is summed over axis {which}: the wrong one", EVIDENCE)
                    return


def near(a: Array, b: Array, close: float = CLOSE) -> bool:
    """Return whether two arrays of one shape agree."""
    return a.shape == b.shape and bool((np.abs(a - b) <= close * np.abs(b).max(initial=0.0)).all())


def _summed(given: Array, true: Array) -> tuple[int, ...] | None:
    """Return the axes of `given` whose sum is the right gradient, whatever axes of length one there are."""
    if given.size <= true.size:
        return None
    for count in range(1, given.ndim + 1):
        for axes in combinations(range(given.ndim), count):
            found = given.sum(axis=axes)
            if found.size == true.size and near(found.reshape(true.shape), true):
                return axes
    return None


def _added(search: Search) -> set[str]:
    """Return the names of what is added with broadcasting."""
    found: set[str] = set()
    for operation in search.near:
        if operation.node.op in ("add", "addmm", "convolution"):
            found.update(n for n, t in search.record.named.items() if any(t is o for o in _operands(operation.roles)))
    return found


def _operands(roles: dict[str, Tensor]) -> list[Tensor]:
    return list(roles.values())


def _ups(search: Search) -> Iterator[Array]:
    """Yield the gradients of the results in which the target is broadcast."""
    for operation in search.near:
        if operation.kind == "any" and any(t is search.target for t in operation.roles.values()):
            up: Array = search.up(operation.output).numpy()
            yield up
