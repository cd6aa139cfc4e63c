"""Dropout, in any spelling: the mask or its scale is lost on the way back, or p and 1 - p are exchanged."""

from collections.abc import Iterable, Iterator

import numpy as np

from handgrad.checking.operations import Operation
from handgrad.checking.record import Array, Node, Record, Tensor
from handgrad.checking.rules.graph import makers, only_reduced, users
from handgrad.checking.rules.rule import Rule, Use, Wrong

STEPS = ("mul", "div", "where", "masked_fill", "native_dropout", "_fused_dropout")
SAME = 1e-11


def recognise(record: Record, node: Node) -> Iterator[Operation]:
    """Yield y = x * mask * scale, the mask 0 or 1: several operations, one constant factor or none."""
    y = node.outputs[0]
    if node.op not in STEPS or y.numel() < 2 or any(_scales(user, y) for user in users(record).get(id(y), [])):
        return
    x, mask, scale = y, np.ones(tuple(y.shape), dtype=bool), 1.0
    while True:
        step = _step(makers(record).get(id(x), []))
        if step is None:
            break
        x, kept, factor = step
        mask, scale = mask & kept, scale * factor
    if x is y or mask.all() or not mask.any() or scale < 1 - SAME or _threshold(x.detach().numpy(), mask):
        return
    if not only_reduced(record, y):  # else it is the loss that is masked, or weighted
        yield Operation("dropout", node, {"x": x}, y, {"mask": mask, "scale": scale}, composite=True)


def _scales(node: Node, y: Tensor) -> bool:
    """Return whether a node goes on from y with a constant factor."""
    tensors = [t for t in node.inputs if t is not y]
    return node.op in ("mul", "div") and not tensors


def _step(made: list[Node]) -> tuple[Tensor, Array, float] | None:
    """Return (x, where it is kept, the factor) of an operation that keeps or drops the entries of x."""
    if len(made) != 1 or made[0].op not in STEPS or made[0].stale:
        return None
    y = made[0].outputs[0].detach()
    for x in made[0].inputs:
        if not x.requires_grad or x.shape != y.shape:
            continue
        used = x.detach() != 0
        ratio = (y / x.detach())[used]
        kept = ratio[ratio != 0]
        if not kept.numel() or bool((kept - kept[0]).abs().max() > SAME * kept[0].abs()) or not kept[0] > 0:
            continue
        pattern = ~(used & (y == 0))
        return x, pattern.numpy(), float(kept[0])
    return None


def _threshold(x: Array, mask: Array) -> bool:
    """Return whether what is kept is what is large: an activation, no dropout."""
    return bool(x[mask].min() >= x[~mask].max())


def _swapped(use: Use) -> Iterable[tuple[str, Wrong]]:
    scale = use.operation.attributes["scale"]
    if scale > 1 + SAME:
        yield "", {"x": use.true["x"] / scale / (1 - 1 / scale)}


def _no_scale(use: Use) -> Iterable[tuple[str, Wrong]]:
    scale = use.operation.attributes["scale"]
    if scale > 1 + SAME:
        yield f"1/keep is {scale:.6g}", {"x": use.true["x"] / scale}


RULES = [
    Rule(
        "DROP-NO-MASK",
        ("dropout",),
        "the mask of dropout is not applied on the way back",
        lambda u: [("", {"x": u.up * factor}) for factor in (u.operation.attributes["scale"], 1.0)],
    ),
    Rule("DROP-NO-SCALE", ("dropout",), "dropout's 1/keep is missing on the way back", _no_scale),
    Rule(
        "DROP-P-SWAPPED",
        ("dropout",),
        "p and 1 - p are exchanged: the scale is 1/keep",
        _swapped,
    ),
]
