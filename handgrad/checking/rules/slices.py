"""Windows cut out one by one, x[:, :, i : i + k] in a loop: their gradients have to be added where they overlap."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import torch

from handgrad.checking.operations import Operation
from handgrad.checking.record import Array, Node, Record, Tensor
from handgrad.checking.rules.graph import makers, users
from handgrad.checking.rules.rule import Rule, Use, Wrong


def recognise(record: Record, node: Node) -> Iterator[Operation]:
    """Yield a window that others overlap which are cut out of the same tensor."""
    y = node.outputs[0]
    if node.op != "slice" or not y.requires_grad or not _is_last(record, y):
        return
    x = _base(record, y)
    others = [(other.index, t) for other, t in _cuts(record).get(id(x), []) if t is not y and t.shape == y.shape]
    mine = _region(x, y)
    later, earlier = (np.zeros(mine.shape, dtype=bool) for _ in range(2))
    for index, other in others:
        part = later if index > node.index else earlier
        part |= _region(x, other)
    if (mine & (later | earlier)).any():
        known = {"later": later, "earlier": earlier}
        yield Operation("cut", node, {"x": x}, y, known, composite=True)


@lru_cache(maxsize=2)
def _cuts(record: Record) -> dict[int, list[tuple[Node, Tensor]]]:
    """Return, by the tensor's identity, what is cut out of it."""
    found: dict[int, list[tuple[Node, Tensor]]] = {}
    for node in record.nodes:
        if node.op == "slice" and _is_last(record, node.outputs[0]):
            found.setdefault(id(_base(record, node.outputs[0])), []).append((node, node.outputs[0]))
    return found


def _is_last(record: Record, y: Tensor) -> bool:
    return all(user.op != "slice" for user in users(record).get(id(y), []))


def _base(record: Record, y: Tensor) -> Tensor:
    """Return the tensor of which this is a part, however many cuts it took."""
    made = makers(record).get(id(y), [])
    while len(made) == 1 and made[0].op == "slice":
        y = made[0].inputs[0]
        made = makers(record).get(id(y), [])
    return y


def _region(x: Tensor, y: Tensor) -> Array:
    """Return which entries of x the view y shows."""
    numbers = torch.arange(x.untyped_storage().nbytes() // x.element_size())
    there, all_of_x = (torch.as_strided(numbers, t.size(), t.stride(), t.storage_offset()) for t in (y, x))
    found: Array = np.isin(all_of_x.numpy(), there.numpy())
    return found


def _overwritten(use: Use) -> Iterable[tuple[str, Wrong]]:
    for order in ("later", "earlier"):
        yield "", {"x": np.where(use.operation.attributes[order], 0.0, use.true["x"])}


RULES = [
    Rule(
        "ACC-OVERLAP-ASSIGN",
        ("cut",),
        "windows overlap, and their gradients are assigned: they have to be added",
        _overwritten,
    ),
]
