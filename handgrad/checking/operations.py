"""Operations with a meaning: what a node of the record is to somebody who differentiates it by hand.

Whatever the spelling (torch.sigmoid, 1 / (1 + exp(-x)), softmax as exp, sum and divide), an operation is
recognised by its numbers: if the result equals the function of an earlier tensor, it is that function of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils._pytree import tree_leaves, tree_map

from handgrad.checking.record import Array, Node, Record, Tensor

# Element-wise functions by name; `elementwise` below finds them in any spelling.
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "leaky_relu": functional.leaky_relu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "silu": functional.silu,
    "softplus": functional.softplus,
    "elu": functional.elu,
    "selu": functional.selu,
    "mish": functional.mish,
    "relu6": functional.relu6,
    "hardtanh": functional.hardtanh,
    "softsign": functional.softsign,
    "logsigmoid": functional.logsigmoid,
    "exp": torch.exp,
    "abs": torch.abs,
}
_DEPTH = 6  # operations between a composite's argument and its result
_MATMULS = {
    "mm": (0, 1),
    "bmm": (0, 1),
    "mv": (0, 1),
    "dot": (0, 1),
    "addmm": (1, 2),
    "baddbmm": (1, 2),
    "addmv": (1, 2),
}


@dataclass(eq=False)
class Operation:
    """`output` = kind(roles, **attributes); `composite` where several nodes make it together."""

    kind: str
    node: Node
    roles: dict[str, Tensor]
    output: Tensor
    attributes: dict[str, Any] = field(default_factory=dict)
    composite: bool = False

    def __getitem__(self, role: str) -> Array:
        """Return the value of an operand, or of the output as "y"."""
        tensor = self.output if role == "y" else self.roles[role]
        array: Array = tensor.detach().numpy()
        return array

    def true(self, record: Record, up: Tensor) -> dict[str, Array]:
        """Return the right contribution of this operation to the gradient of each operand."""
        if self.composite:
            found = record.after([(self.output, up)], list(self.roles.values()))
            return {role: grad.numpy() for role, grad in zip(self.roles, found, strict=True)}
        node = self.node
        with torch.enable_grad():
            fresh = {id(t): t.detach().requires_grad_() for t in self.roles.values()}
            args, kwargs = tree_map(lambda leaf: fresh.get(id(leaf), leaf), (node.args, node.kwargs))
            results = [leaf for leaf in tree_leaves(node.func(*args, **kwargs)) if isinstance(leaf, Tensor)]
            wanted = [fresh[id(tensor)] for tensor in self.roles.values()]
            grads = torch.autograd.grad(results[0], wanted, up, allow_unused=True)
        return {
            role: np.zeros(tensor.shape) if grad is None else grad.numpy()
            for (role, tensor), grad in zip(self.roles.items(), grads, strict=True)
        }


def native(node: Node) -> Iterator[Operation]:
    """Yield what a node is by its own name: any operation, a matrix product, one of the four of arithmetic."""
    tensors = {f"x{i}": t for i, t in enumerate(node.inputs) if t.requires_grad and t.is_floating_point()}
    if not tensors:
        return
    output = node.outputs[0]
    yield Operation("any", node, tensors, output)
    if node.op in _MATMULS:
        a, b = (node.args[i] for i in _MATMULS[node.op])
        roles = {role: t for role, t in (("a", a), ("b", b)) if t.requires_grad}
        if node.op in ("addmm", "baddbmm", "addmv") and node.args[0].requires_grad:
            roles["bias"] = node.args[0]
        yield Operation("matmul", node, roles, output, {"a": a.detach().numpy(), "b": b.detach().numpy()})
    if node.op in ("add", "sub", "mul", "div"):
        yield Operation(node.op, node, tensors, output)


def ancestors(record: Record, tensor: Tensor) -> Iterator[Tensor]:
    """Yield the tensors of which this one was made, nearest first, each with a gradient, up to _DEPTH steps back."""
    made = {id(out): node for node in record.nodes for out in node.outputs}
    seen, level = {id(tensor)}, [tensor]
    for _ in range(_DEPTH):
        level = [t for out in level if id(out) in made for t in made[id(out)].inputs]
        level = [t for i, t in enumerate(level) if id(t) not in seen and all(t is not u for u in level[:i])]
        for t in level:
            seen.add(id(t))
            if t.requires_grad and t.is_floating_point():
                yield t


def equal(a: Tensor, b: Tensor) -> bool:
    """Return whether one is the other, computed in another way."""
    return a.dtype == b.dtype and bool(torch.allclose(a, b, rtol=1e-11, atol=1e-13))
