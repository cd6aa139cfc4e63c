"""Ways through a record's graph: what made a tensor, what uses it, what lies between two."""

from collections.abc import Iterator
from functools import lru_cache

from handgrad.checking.record import Node, Record, Tensor

DEPTH = 8  # operations between a composite's argument and its result
REDUCING = ("sum", "mean", "div", "mul", "neg", "add", "sub", "rsub", "view", "reshape", "squeeze", "index", "select")


@lru_cache(maxsize=2)
def makers(record: Record) -> dict[int, list[Node]]:
    """Return, by a tensor's identity, the nodes that made it: several where it was written in place."""
    found: dict[int, list[Node]] = {}
    for node in record.nodes:
        for tensor in node.outputs:
            found.setdefault(id(tensor), []).append(node)
    return found


@lru_cache(maxsize=2)
def users(record: Record) -> dict[int, list[Node]]:
    """Return, by a tensor's identity, the nodes that take it."""
    found: dict[int, list[Node]] = {}
    for node in record.nodes:
        for tensor in node.inputs:
            found.setdefault(id(tensor), []).append(node)
    return found


def sources(record: Record, tensor: Tensor, depth: int = DEPTH) -> Iterator[Tensor]:
    """Yield the tensors with a gradient of which this one was made, nearest first."""
    made, seen, level = makers(record), {id(tensor)}, [tensor]
    for _ in range(depth):
        above = [t for out in level for node in made.get(id(out), []) for t in node.inputs]
        level = []
        for t in above:
            if id(t) not in seen:
                seen.add(id(t))
                level.append(t)
                if t.requires_grad and t.is_floating_point():
                    yield t


def between(record: Record, start: Tensor, end: Tensor) -> list[Node]:
    """Return the nodes on the ways from `start` to `end`."""
    leading, from_start = {id(end)}, {id(start)}
    ways: list[Node] = []
    for node in reversed(record.nodes):
        if any(id(t) in leading for t in node.outputs) and not any(t is start for t in node.outputs):
            leading.update(id(t) for t in node.inputs)
            ways.append(node)
    kept = []
    for node in reversed(ways):
        if any(id(t) in from_start for t in node.inputs):
            from_start.update(id(t) for t in node.outputs)
            kept.append(node)
    return kept


def only_reduced(record: Record, tensor: Tensor) -> bool:
    """Return whether nothing but sums, means and constant factors stands between this tensor and the loss."""
    found = {id(tensor)}
    for node in record.nodes:
        if any(id(t) in found for t in node.inputs):
            if node.op not in REDUCING:
                return False
            found.update(id(t) for t in node.outputs)
    return id(record.loss) in found
