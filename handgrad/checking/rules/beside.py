"""Parts side by side, put together by cat or cut from one tensor, as an LSTM's gates: taken in another order."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import permutations

import numpy as np

from handgrad.checking.operations import Operation
from handgrad.checking.record import Node, Record
from handgrad.checking.rules.graph import users
from handgrad.checking.rules.rule import Rule, Use, Wrong

Wrongs = Iterable[tuple[str, Wrong]]
MOST = 4  # parts; of four there are 23 other orders
SPLITS = ("split", "split_with_sizes", "unsafe_split")


def recognise(record: Record, node: Node) -> Iterator[Operation]:
    """Yield cat of equal parts, and each of the equal parts into which a tensor is cut along one axis."""
    y = node.outputs[0]
    if node.op == "cat":
        parts = [t for t in node.inputs if t.requires_grad]
        axis = (node.args[1] if len(node.args) > 1 else 0) % y.dim()
        if 1 < len(parts) <= MOST and len(parts) == len(node.inputs) and len({t.shape for t in parts}) == 1:
            roles = {f"x{number}": t for number, t in enumerate(parts)}
            if len({id(t) for t in parts}) == len(parts):
                yield Operation("cat", node, roles, y, {"axis": axis})
    elif node.op in (*SPLITS, "slice") and y.requires_grad:
        axis = _axis(node)
        siblings = _parts(record, id(node.inputs[0]), axis)
        place = next((i for i, other in enumerate(siblings) if other is node), -1)
        if place >= 0:
            yield Operation("part", node, {"x": node.inputs[0]}, y, {"axis": axis, "place": place, "of": len(siblings)})


def _axis(node: Node) -> int:
    number = node.args[1] if node.op == "slice" else (node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0))
    return int(number if len(node.args) > 1 else 0) % node.inputs[0].dim()


@lru_cache(maxsize=64)
def _parts(record: Record, source: int, axis: int) -> tuple[Node, ...]:
    """Return the operations that cut a tensor into equal parts along an axis, in the parts' order; none if not so."""
    cut = [n for n in users(record).get(source, []) if n.op in (*SPLITS, "slice") and _axis(n) == axis]
    whole = cut[0].inputs[0] if cut else None
    if whole is None or not 1 < len(cut) <= MOST or len({tuple(n.outputs[0].shape) for n in cut}) != 1:
        return ()
    ordered = sorted(cut, key=lambda n: n.outputs[0].storage_offset())
    width = ordered[0].outputs[0].shape[axis]
    starts = [(n.outputs[0].storage_offset() - whole.storage_offset()) for n in ordered]
    tiles = starts == [place * width * whole.stride(axis) for place in range(len(cut))]
    return tuple(ordered) if tiles and width * len(cut) == whole.shape[axis] else ()


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    return (order for order in permutations(range(count)) if order != tuple(range(count)))


def _exchanged(use: Use) -> Wrongs:
    """The parts of cat are handed each other's gradients."""
    parts = np.split(use.up, len(use.true), axis=use.operation.attributes["axis"])
    for order in _orders(len(parts)):
        yield f"in the order {order}", {f"x{number}": parts[place] for number, place in enumerate(order)}


def _interleaved(use: Use) -> Wrongs:
    """Every second entry, where the parts stand one behind the other."""
    axis, count = use.operation.attributes["axis"], len(use.true)
    parts = np.moveaxis(use.up, axis, 0)
    yield "", {f"x{number}": np.moveaxis(parts[number::count], 0, axis) for number in range(count)}


def _put_back(use: Use) -> Wrongs:
    """A part's gradient is put back where another part belongs; all parts together, it is another order of them."""
    known = use.operation.attributes
    for order in _orders(known["of"]):
        parts = [np.zeros_like(use.up) for _ in order]
        parts[order[known["place"]]] = use.up
        yield f"in the order {order}", {"x": np.concatenate(parts, axis=known["axis"])}


EXCHANGED = "parts that stand side by side are handed each other's gradients"
RULES = [
    Rule("PATH-SWAPPED", ("cat",), EXCHANGED, _exchanged),
    Rule("PATH-SWAPPED", ("part",), EXCHANGED, _put_back),
    Rule(
        "SHAPE-FLATTEN-ORDER",
        ("cat",),
        "parts that stand one behind the other are taken apart entry by entry",
        _interleaved,
    ),
]
