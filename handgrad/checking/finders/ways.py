"""Ways through the record that the finders share: views, what a tensor was made of, the turns of a loop."""

from collections.abc import Iterable

import numpy as np
import torch
from torch.utils._pytree import tree_leaves, tree_map

from handgrad.checking.record import Array, Node, Record, Tensor

# What changes the shape or the order of a tensor's entries, and nothing else.
VIEWS = {
    "view",
    "_unsafe_view",
    "reshape",
    "_reshape_alias",
    "permute",
    "transpose",
    "t",
    "unsqueeze",
    "squeeze",
    "expand",
    "clone",
    "alias",
    "movedim",
    "flatten",
    "unflatten",
}


class Ways:
    """Who made and who uses each tensor of a record."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.maker: dict[int, Node] = {}
        self.users: dict[int, list[Node]] = {}
        self.turns: dict[tuple[tuple[object, ...], str, int], list[Node]] = {}
        self.number: dict[int, int] = {}
        seen: dict[tuple[object, ...], int] = {}
        last: tuple[object, ...] = ()
        for node in record.nodes:
            for tensor in node.outputs:
                self.maker.setdefault(id(tensor), node)
            for tensor in {id(t): t for t in node.inputs}.values():
                self.users.setdefault(id(tensor), []).append(node)
            # One line may run several operations of one name: their number within the line tells them apart.
            seen = {} if node.site != last else seen
            last = node.site
            key = (node.op,)
            number = seen[key] = seen.get(key, -1) + 1
            self.number[id(node)] = number
            self.turns.setdefault((node.site, node.op, number), []).append(node)
        self._group = {id(node): group for group in self.turns.values() for node in group}
        self._above: dict[int, set[int]] = {}

    def group(self, node: Node) -> list[Node]:
        """Return what the same place in the code has run, in all turns of its loop or calls of its function."""
        return self._group[id(node)]

    def chain(self, tensor: Tensor) -> list[Node]:
        """Return the views that made this tensor, the last first."""
        found: list[Node] = []
        node = self.maker.get(id(tensor))
        while node is not None and node.op in VIEWS and not node.in_place:
            found.append(node)
            node = self.maker.get(id(node.inputs[0]))
        return found

    def root(self, tensor: Tensor) -> Tensor:
        """Return the tensor of which this one is a view."""
        chain = self.chain(tensor)
        return chain[-1].inputs[0] if chain else tensor

    def above(self, tensor: Tensor) -> set[int]:
        """Return the identities of all tensors from which this one was computed, itself included."""
        if id(tensor) not in self._above:
            found, open_ = {id(tensor)}, [tensor]
            while open_:
                node = self.maker.get(id(open_.pop()))
                for t in node.inputs if node is not None else ():
                    if id(t) not in found:
                        found.add(id(t))
                        open_.append(t)
            self._above[id(tensor)] = found
        return self._above[id(tensor)]

    def twins(self, a: Tensor, b: Tensor) -> bool:
        """Return whether the same code made both from the same parameters, in two calls that do not meet."""
        one, other = self.maker.get(id(a)), self.maker.get(id(b))
        if one is None or other is None or one.op != other.op or one.site[:1] != other.site[:1]:
            return False
        leaves = {id(self.record.named[name]) for name in self.record.parameters}
        shared = self.above(a) & leaves
        return bool(shared) and shared == self.above(b) & leaves and not self.dependent(a, b)

    def layers(self, a: Tensor, b: Tensor) -> bool:
        """Return whether two turns of a loop have parameters of their own: it runs over layers, not over steps."""
        leaves = {id(self.record.named[name]) for name in self.record.parameters}
        one, other = (self.above(t) & leaves for t in (a, b))
        return bool(one) and bool(other) and one != other

    def dependent(self, a: Tensor, b: Tensor) -> bool:
        """Return whether one was computed from the other."""
        return id(a) in self.above(b) or id(b) in self.above(a)


def seen_as(chain: Iterable[Node], value: Tensor) -> Tensor:
    """Return another value seen through the same views, `chain` having the last first."""
    for node in reversed(list(chain)):
        operand = node.inputs[0]
        if "view" in node.op or "reshape" in node.op:
            value = value.reshape(node.outputs[0].shape)
            continue
        args, kwargs = tree_map(lambda leaf, o=operand, v=value: v if leaf is o else leaf, (node.args, node.kwargs))
        with torch.no_grad():
            value = node.func(*args, **kwargs)
    return value


def vjp(node: Node, up: Tensor, wanted: Iterable[Tensor], values: dict[int, Tensor]) -> dict[int, Array]:
    """Return the contributions of an operation to its operands' gradients, with other values for some operands."""
    operands = {id(t): t for t in node.inputs if t.is_floating_point()}
    with torch.enable_grad():
        here = {k: values.get(k, t).detach().clone(memory_format=torch.contiguous_format) for k, t in operands.items()}
        keys = list({id(t): t for t in wanted})
        fresh = {k: t.requires_grad_(operands[k].requires_grad or k in keys) for k, t in here.items()}
        args, kwargs = tree_map(lambda leaf: fresh.get(id(leaf), leaf), (node.args, node.kwargs))
        result = next(leaf for leaf in tree_leaves(node.func(*args, **kwargs)) if isinstance(leaf, Tensor))
        grads = torch.autograd.grad(result, [fresh[key] for key in keys], up, allow_unused=True)
    return {
        key: np.zeros(tuple(operands[key].shape)) if grad is None else grad.numpy()
        for key, grad in zip(keys, grads, strict=True)
    }
