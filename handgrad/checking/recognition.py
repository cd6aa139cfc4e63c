"""Which operations a record holds: nodes by their own names, and composites that their numbers betray."""

from collections.abc import Iterator

import torch

from handgrad.checking.operations import FUNCTIONS, Operation, ancestors, equal, native
from handgrad.checking.record import Node, Record
from handgrad.checking.rules import RECOGNISERS

TWO_SIDED = ("relu", "leaky_relu", "relu6", "hardtanh", "abs", "elu", "selu")


def operations(record: Record) -> list[Operation]:
    """Return all operations that carry a gradient, in order of computation; composites beside their nodes."""
    live = [
        n for n in record.nodes if n.outputs and id(n.outputs[0]) in record.grads and not n.in_place and not n.stale
    ]
    found: list[Operation] = []
    for node in live:
        found += native(node)
        found += _composites(record, node)
        for recognise in RECOGNISERS:
            found += recognise(record, node)
    return found


def _composites(record: Record, node: Node) -> Iterator[Operation]:
    """Yield what the node's output is of an earlier tensor of its shape: element-wise, softmax, normalised."""
    y = node.outputs[0]
    if y.numel() == 0 or not y.is_floating_point():
        return
    if y.numel() == 1:  # one number is many functions of another: only what torch calls so is one
        if node.op in FUNCTIONS and node.inputs[0].requires_grad:
            known = {"function": FUNCTIONS[node.op]}
            yield Operation(node.op, node, {"x": node.inputs[0]}, y, known, composite=True)
        return
    found: set[str] = set()  # of the nearest tensor alone: an earlier one may have the same numbers, plus 0
    with torch.no_grad():
        for x in ancestors(record, y):
            if x.shape != y.shape or equal(x, y):  # where all is positive, ReLU is no operation, and nobody's
                continue
            few = (x.detach().flatten()[:4], y.detach().flatten()[:4])  # most are told apart by these
            for name, function in FUNCTIONS.items():
                if name in TWO_SIDED and node.op != name and not (bool((x > 0).any()) and bool((x < 0).any())):
                    continue  # of one sign alone, -x is its abs, and nobody has taken that
                if name not in found and equal(function(few[0]), few[1]) and equal(function(x), y):
                    found.add(name)
                    yield Operation(name, node, {"x": x}, y, {"function": function}, composite=True)
                    break
            for axis in range(y.dim()):
                if y.shape[axis] == 1:
                    continue
                if equal(y.sum(axis), torch.ones_like(y.sum(axis))) and equal(torch.softmax(x, axis), y):
                    yield Operation("softmax", node, {"x": x}, y, {"axis": axis}, composite=True)
                elif bool((y <= 0).all()) and equal(torch.log_softmax(x, axis), y):
                    yield Operation("log_softmax", node, {"x": x}, y, {"axis": axis}, composite=True)
