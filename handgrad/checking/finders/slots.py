"""What a backward reads when it differentiates an operation, and so may read wrongly: each value is one slot."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from handgrad.checking.finders.probe import DIRECTIONS, Probe
from handgrad.checking.finders.ways import Ways, seen_as, vjp
from handgrad.checking.operations import Operation
from handgrad.checking.record import Array, Node, Tensor

# Derivatives that are written with the function's own result: 1 - a^2, a (1 - a), a.
OUTPUT_FORMS: dict[str, Callable[[Array], Array]] = {
    "tanh": lambda a: 1 - a**2,
    "sigmoid": lambda a: a * (1 - a),
    "exp": lambda a: a,
}


# What is linear in each operand: another value there moves a result by a product that is found once for all values.
LINEAR = {"mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot", "mul", "convolution"}

# What has the same derivative everywhere reads none of its operands.
ADDITIVE = {"add", "sub", "rsub", "neg", "sum", "mean", "cat", "stack", "select", "slice", "split", "masked_fill"}


@dataclass(eq=False)
class Slot:
    """A value that an operation's derivative is taken at: `tensor` is what should be read there.

    `apply` gives the contributions to the operands' gradients, by their identity, with another value read and
    from any incoming gradient. `operand` is the position that the value has in the operation, -1 for its result.
    """

    operation: Operation
    tensor: Tensor
    operand: int
    apply: Callable[[Tensor, Tensor], dict[int, Array]]


def slots(operation: Operation) -> Iterator[Slot]:
    """Yield the slots of an operation as torch ran it."""
    node = operation.node
    if node.op in ADDITIVE:
        return
    roles = list(operation.roles.values())
    for number, tensor in enumerate(node.inputs):
        if tensor.dtype == torch.float64 and tensor.numel() > 1 and all(tensor is not t for t in node.inputs[:number]):

            def apply(value: Tensor, up: Tensor, key: int = id(tensor)) -> dict[int, Array]:
                return vjp(node, up, roles, {key: value})

            yield Slot(operation, tensor, number, apply)
    if node.op in OUTPUT_FORMS:

        def from_output(value: Tensor, up: Tensor) -> dict[int, Array]:
            return {id(roles[0]): up.numpy() * OUTPUT_FORMS[node.op](value.detach().numpy())}

        yield Slot(operation, operation.output, -1, from_output)


def reading(slot: Slot, up: Tensor, probe: Probe) -> list[Array] | None:
    """Return for each direction the array C for which reading v moves the target by <C, v - own>.

    With f linear in the slot's operand and in the other one, whose derivative along r is b', <f'(v)^T up, b'> =
    <up, f(v, b')> = <C, v>, where C is the gradient of <up, f(., b')>. None where the operation is not linear.
    """
    node = slot.operation.node
    others = [t for t in slot.operation.roles.values() if t is not slot.tensor and id(t) in probe.moved]
    if node.op not in LINEAR or slot.operand < 0 or len({id(t) for t in node.inputs}) < len(node.inputs):
        return None
    total = [np.zeros(tuple(slot.tensor.shape)) for _ in range(DIRECTIONS)]
    for other in others:
        for number, along in enumerate(probe.moved[id(other)] or []):
            total[number] = total[number] + bilinear(node, slot.tensor, other, torch.from_numpy(along), up)
    return total


def bilinear(node: Node, tensor: Tensor, other: Tensor, value: Tensor, up: Tensor) -> Array:
    """Return d <up, f> / d tensor with `value` in the other operand; what is added beside counts for nothing."""
    if node.op in ("addmm", "baddbmm", "addmv") and (tensor is node.inputs[0] or other is node.inputs[0]):
        return np.zeros(tuple(tensor.shape))
    if node.op == "convolution" and len(node.inputs) > 2 and (tensor is node.inputs[2] or other is node.inputs[2]):
        return np.zeros(tuple(tensor.shape))
    return vjp(node, up, [tensor], {id(other): value})[id(tensor)]


@dataclass(frozen=True, eq=False)
class Other:
    """A value that may have been read instead: `source` is the tensor of the run, `value` the form it takes here."""

    source: Tensor
    value: Tensor


class Others:
    """All tensors of a run by shape, and what of them fits into a slot."""

    def __init__(self, ways: Ways) -> None:
        self.ways = ways
        self.by_shape: dict[tuple[int, ...], list[Tensor]] = {}
        seen: set[int] = set()
        # Tensors with a name or made by an operation; of views the one that comes first stands for all.
        for tensor in (
            *ways.record.named.values(),
            *(t for node in ways.record.nodes for t in (*node.inputs, *node.outputs)),
        ):
            if id(tensor) not in seen and tensor.dtype == torch.float64 and tensor.numel() > 1:
                seen.add(id(tensor))
                self.by_shape.setdefault(tuple(tensor.shape), []).append(tensor)

    def of(self, slot: Slot) -> list[Other]:
        """Return what may be read in this slot instead: of its shape, or of the shape that it had before its views."""
        found: dict[bytes, Other] = {}
        chain = self.ways.chain(slot.tensor)
        own = slot.tensor.detach()
        for depth in range(len(chain) + 1):
            shape = tuple((chain[depth - 1].inputs[0] if depth else slot.tensor).shape)
            for tensor in self.by_shape.get(shape, []):
                if tensor is not slot.tensor:
                    self._add(found, own, tensor, seen_as(chain[:depth], tensor.detach()))
        if slot.tensor.dim() > 1:  # the transposed of another tensor fits a matrix product as well
            for tensor in self.by_shape.get((*own.shape[:-2], own.shape[-1], own.shape[-2]), []):
                if self.ways.root(tensor) is not self.ways.root(slot.tensor):
                    self._add(found, own, tensor, tensor.detach().mT)
        return list(found.values())

    def _add(self, found: dict[bytes, Other], own: Tensor, source: Tensor, value: Tensor) -> None:
        constant = value.numel() > 1 and bool((value == value.flatten()[0]).all())  # zeros to start with are no mistake
        if value.shape == own.shape and not (constant or multiple(value, own)) and bool(value.isfinite().all()):
            found.setdefault(np.ascontiguousarray(value.numpy()).tobytes(), Other(source, value))


def multiple(value: Tensor, own: Tensor) -> bool:
    """Return whether one is the other times a constant: then it is a factor that is wrong, not what is read."""
    factor = float((value * own).sum() / (own * own).sum()) if own.any() else 0.0
    return bool(torch.allclose(value, factor * own, rtol=1e-9, atol=0.0))


def wrong(slot: Slot, value: Tensor, up: Tensor, true: dict[int, Array]) -> dict[int, Array]:
    """Return by how much the contributions are off with this value read; nothing where they are not finite."""
    with np.errstate(all="ignore"):
        try:
            made = slot.apply(value, up)
        except RuntimeError:  # torch does not take this value here: its strides, or a label that is none
            return {}
        found = {key: grad - true[key] for key, grad in made.items()}
    return {key: delta for key, delta in found.items() if np.isfinite(delta).all() and delta.any()}


def made_by(ways: Ways, tensor: Tensor) -> Node | None:
    """Return the operation whose result this is, through its views."""
    return ways.maker.get(id(ways.root(tensor)))
