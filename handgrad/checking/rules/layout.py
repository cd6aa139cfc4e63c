"""Flattening: a view that merges or splits axes is undone in another order of them."""

from collections.abc import Iterable, Iterator
from itertools import permutations

import numpy as np

from handgrad.checking.operations import Operation
from handgrad.checking.record import Array, Node, Record
from handgrad.checking.rules.rule import Rule, Use, Wrong

MOST, WHOLE = 24, 4  # orders that are tried of one view, and axes of which all orders are


def recognise(record: Record, node: Node) -> Iterator[Operation]:
    """Yield a view that merges axes, or splits one."""
    if node.op in ("view", "_unsafe_view", "reshape") and node.inputs[0].requires_grad:
        x, y = node.inputs[0], node.outputs[0]
        if any(len(a) > 1 or len(b) > 1 for a, b in groups(tuple(x.shape), tuple(y.shape))):
            yield Operation("view", node, {"x": x}, y)


def groups(a: tuple[int, ...], b: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """Return which axes of shape a become which of shape b, where more than one of size over 1 is on a side."""
    found, i, j = [], 0, 0
    while i < len(a) and j < len(b):
        mine, theirs = [i], [j]
        left, right = a[i], b[j]
        while left != right:
            if left < right:
                i += 1
                mine.append(i)
                left *= a[i]
            else:
                j += 1
                theirs.append(j)
                right *= b[j]
        i, j = i + 1, j + 1
        wide = [axis for axis in mine if a[axis] > 1], [axis for axis in theirs if b[axis] > 1]
        found.append(wide)
    return found


def _orders(axes: Iterable[list[int]], ndim: int) -> Iterator[tuple[int, ...]]:
    """Yield the permutations of all axes that reorder one of these groups."""
    for group in axes:
        for number, order in enumerate(permutations(group)):
            if 0 < number < MOST:
                whole = list(range(ndim))
                for place, axis in zip(group, order, strict=True):
                    whole[place] = axis
                yield tuple(whole)


def _reordered(use: Use) -> Iterable[tuple[str, Wrong]]:
    x, up = use["x"], use.up
    pairs = groups(x.shape, up.shape)
    for order in _orders((mine for mine, _ in pairs), x.ndim):
        there: Array = up.reshape([x.shape[axis] for axis in order])
        yield f"the axes as {order}", {"x": there.transpose(np.argsort(order))}
    for order in permutations(range(x.ndim)) if x.ndim <= WHOLE else ():
        mixed: Array = up.reshape([x.shape[axis] for axis in order])
        yield f"the axes as {order}", {"x": mixed.transpose(np.argsort(order))}
    for order in _orders((theirs for _, theirs in pairs), up.ndim):
        yield f"the axes as {order}", {"x": up.transpose(order).reshape(x.shape)}


RULES = [
    Rule("SHAPE-FLATTEN-ORDER", ("view",), "the view is undone with its axes in another order", _reordered),
]
