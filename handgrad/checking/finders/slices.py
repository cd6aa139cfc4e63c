"""A gradient is a sum over slices of a result: samples, steps, copies. Only some of them are kept, or one comes twice.

The parts that an operation hands on are found for all slices of its result at once: for a tangent r of the operand,
<f'^T up, r> = <up, f' r>, whose entries belong to one slice each.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils._pytree import tree_leaves, tree_map

from handgrad.checking.finders.probe import Probe
from handgrad.checking.finders.slots import LINEAR
from handgrad.checking.finders.substitution import proposal
from handgrad.checking.finders.ways import VIEWS, Ways, vjp
from handgrad.checking.operations import Operation
from handgrad.checking.record import Array, Tensor
from handgrad.checking.search import Proposal, Search

PRODUCTS = LINEAR - {"mul"}


def find(search: Search) -> Iterator[Proposal]:
    """Yield sums over some slices of an operation's result only."""
    ways, probe = Ways(search.record), Probe(search)
    for operation in reversed(search.near):
        if operation.kind == "any":
            yield from _slices(search, probe, ways, operation)


def _slices(search: Search, probe: Probe, ways: Ways, operation: Operation) -> Iterator[Proposal]:
    """Yield sums over some slices of an operation's result only: samples, copies, blocks."""
    node, up = operation.node, search.up(operation.output)
    if node.op in VIEWS - {"expand"} or node.in_place or node.stale or not up.any():
        return
    for tensor in {id(t): t for t in operation.roles.values()}.values():
        along = probe.moved.get(id(tensor))
        if along is None or (tensor.numel() == operation.output.numel() and node.op not in PRODUCTS):
            continue
        tangents = [_tangent(operation, tensor, torch.from_numpy(r)) for r in along]
        if any(t is None for t in tangents):
            continue
        yield from _one_place(search, probe, operation, tensor, tangents)
        # A product over rows of a matrix that was (batch, steps, features) is sliced along those axes.
        for shape in _shapes(ways, operation.output):
            entries = [(up * t).reshape(shape).numpy() for t in tangents if t is not None]
            for axis, size in enumerate(shape):
                if not 1 < size <= 256:
                    continue
                by_slice = np.array([e.sum(axis=tuple(a for a in range(e.ndim) if a != axis)) for e in entries])
                for weights, kind in _weights(size):
                    if probe.fits(by_slice @ (weights - 1)):
                        off = (weights - 1).reshape([-1 if a == axis else 1 for a in range(len(shape))])
                        part = (up.reshape(shape) * torch.from_numpy(off)).reshape(up.shape)
                        change = vjp(node, part, [tensor], {})[id(tensor)]
                        for identity, sentence in _named(operation, tensor, shape, axis, kind):
                            yield proposal(identity, sentence, "", [operation], [(tensor, change)])


def _one_place(
    search: Search, probe: Probe, operation: Operation, tensor: Tensor, tangents: list[Tensor | None]
) -> Iterator[Proposal]:
    """Yield the part of one place alone, the first or the last along all axes over which an operand is broadcast."""
    up, y = search.up(operation.output), operation.output
    over = [axis for axis, size in enumerate(y.shape) if _spread(tensor, y, axis) and size > 1]
    if operation.node.op in PRODUCTS or len(over) < 2:
        return
    for place, which in ((0, "first"), (-1, "last")):
        kept = up
        for axis in over:
            index = torch.arange(y.shape[axis]) == place % y.shape[axis]
            kept = kept * index.to(up.dtype).reshape([-1 if a == axis else 1 for a in range(y.dim())])
        moves = np.array([float(((kept - up) * t).sum()) for t in tangents if t is not None])
        if probe.fits(moves):
            change = vjp(operation.node, kept - up, [tensor], {})[id(tensor)]
            sentence = f"the operand is broadcast over several axes, and only the {which} place of all is kept"
            yield proposal("ACC-UNBROADCAST", sentence, "", [operation], [(tensor, change)])


def _spread(tensor: Tensor, y: Tensor, axis: int) -> bool:
    """Return whether an operand is broadcast along this axis of the result."""
    own = axis - (y.dim() - tensor.dim())
    return own < 0 or tensor.shape[own] == 1


def _shapes(ways: Ways, tensor: Tensor) -> list[tuple[int, ...]]:
    """Return the shapes that this result has by itself and after the views that follow."""
    found, open_ = {tuple(tensor.shape)}, [tensor]
    while open_:
        for user in ways.users.get(id(open_.pop()), []):
            if "view" in user.op or "reshape" in user.op:
                found.add(tuple(user.outputs[0].shape))
                open_.append(user.outputs[0])
    return sorted(found, key=len)


def _tangent(operation: Operation, tensor: Tensor, along: Tensor) -> Tensor | None:
    """Return the derivative of the operation's result along a change of one operand, the others held."""
    with torch.enable_grad():
        given = torch.zeros_like(operation.output).requires_grad_()
        fresh = tensor.detach().clone().requires_grad_()
        (back,) = torch.autograd.grad(_run(operation, tensor, fresh), fresh, given, create_graph=True)
        found = torch.autograd.grad(back, given, along, allow_unused=True)[0] if back.requires_grad else None
    return found


def _run(operation: Operation, tensor: Tensor, fresh: Tensor) -> Tensor:
    node = operation.node
    args, kwargs = tree_map(lambda leaf: fresh if leaf is tensor else leaf, (node.args, node.kwargs))
    args, kwargs = tree_map(
        lambda leaf: leaf.detach() if isinstance(leaf, Tensor) and leaf is not fresh else leaf, (args, kwargs)
    )
    return next(leaf for leaf in tree_leaves(node.func(*args, **kwargs)) if isinstance(leaf, Tensor))


def _weights(size: int) -> Iterator[tuple[Array, str]]:
    """Yield how often each slice is counted, and which they are."""
    place = np.arange(size)
    yield 1.0 * (place == size - 1), "last"
    yield 1.0 * (place == 0), "first"
    for length in range(2, size):
        yield 1.0 * (place < length), "prefix"
    for length in range(2, size):
        yield 1.0 * (place >= size - length), "suffix"
    for number in range(size):
        yield 1.0 + (place == number), "twice"


def _named(
    operation: Operation, tensor: Tensor, shape: tuple[int, ...], axis: int, kind: str
) -> Iterator[tuple[str, str]]:
    """Yield (id, sentence) for a sum over these slices only."""
    of = f"of the {shape[axis]} along axis {axis}"
    broadcast = operation.node.op not in PRODUCTS
    bias = operation.node.op in ("add", "sub") and tensor.dim() == 1 and tensor.grad_fn is None
    copy = ("ACC-UNBROADCAST", f"the operand is broadcast, and only the {kind} {of} is kept: its gradient is their sum")
    last = ("ACC-OVERWRITE", f"= where += is needed: only the last {of} is kept")
    if kind == "last":
        yield from [last, copy] if bias else [copy, last] if broadcast else [last]
    elif kind == "first":
        yield from (
            [copy]
            if broadcast and not bias
            else [("ACC-EARLY-RETURN", f"only the first {of} is added"), *[copy] * bias]
        )
    elif kind == "prefix":
        yield "ACC-EARLY-RETURN", f"the loop ends too early: only the first ones {of} are added"
    elif kind == "suffix":
        yield "ACC-OVERWRITE", f"only the last ones {of} are kept"
    else:
        yield "ACC-DOUBLE-COUNT", f"one {of} is added twice"
