"""A gradient is a sum: over consumers, turns of a loop, samples, copies. Parts of it are lost, or counted twice.

The parts that an operation hands on are found for all slices of its result at once: for a tangent r of the operand,
<f'^T up, r> = <up, f' r>, whose entries belong to one slice each.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils._pytree import tree_leaves, tree_map

from handgrad.checking.finders.probe import Probe
from handgrad.checking.finders.substitution import proposal
from handgrad.checking.finders.ways import VIEWS, Ways, vjp
from handgrad.checking.operations import Operation
from handgrad.checking.record import Array, Node, Tensor
from handgrad.checking.search import Proposal, Search

PRODUCTS = {"mm", "bmm", "addmm", "baddbmm", "convolution", "mv", "dot", "addmv"}

NEXT = 4  # operations between a turn's own result and the state that takes it


def find(search: Search) -> Iterator[Proposal]:
    """Yield what is lost or counted twice and gives the error."""
    ways, probe = Ways(search.record), Probe(search)
    yield from _consumers(search, probe, ways)
    for operation in reversed(search.near):
        if operation.kind == "any":
            yield from _slices(search, probe, ways, operation)


def _consumers(search: Search, probe: Probe, ways: Ways) -> Iterator[Proposal]:
    """Yield sums over some of a tensor's consumers only, or with one of them twice."""
    near = [o for o in search.near if o.kind == "any"]
    alike: dict[tuple[int, int], list[tuple[Tensor, list[Operation]]]] = {}
    for tensor in {id(t): t for o in near for t in o.roles.values()}.values():
        users = [o for o in near if any(t is tensor for t in o.roles.values())]
        maker = ways.maker.get(id(tensor))
        if len(users) > 1:
            yield from _selected(search, probe, ways, [(tensor, users)])
            if maker is not None:
                alike.setdefault((id(ways.group(maker)), len(users)), []).append((tensor, users))
    for every in alike.values():  # the same at all turns of a loop
        if len(every) > 1:
            yield from _selected(search, probe, ways, every)


def _selected(
    search: Search, probe: Probe, ways: Ways, every: list[tuple[Tensor, list[Operation]]]
) -> Iterator[Proposal]:
    """Yield what gives the error if the same consumers of each tensor are counted wrongly."""
    shares = [[_share(search, o, tensor) for o in users] for tensor, users in every]
    moves = np.sum(
        [[probe.moves(t, s) for s in parts] for (t, _), parts in zip(every, shares, strict=True)], axis=0
    )  # (consumers, directions)
    tensor, users = every[0]
    for kept, identity, sentence in (*_carried(ways, tensor, users), *_selections(ways, users)):
        off = np.array(kept) - 1.0
        if probe.fits(off @ moves):
            lost = [o for o, factor in zip(users, kept, strict=True) if factor != 1]
            pairs = [
                (t, np.asarray(sum((f * s for f, s in zip(off, parts, strict=True)), np.zeros(parts[0].shape))))
                for (t, _), parts in zip(every, shares, strict=True)
            ]
            yield proposal(identity, sentence, "", lost, pairs)


def _share(search: Search, operation: Operation, tensor: Tensor) -> Array:
    use = search.use(operation)
    return next(use.true[role] for role, t in operation.roles.items() if t is tensor)


def carries(ways: Ways, tensor: Tensor, user: Operation) -> bool:
    """Return whether a tensor's use belongs to the next turn of a loop: its code has run before, on the way here."""
    return any(id(n.outputs[0]) in ways.above(tensor) for n in ways.group(user.node) if n.outputs)


def _carried(ways: Ways, tensor: Tensor, users: list[Operation]) -> Iterator[tuple[list[float], str, str]]:
    kept = [0.0 if carries(ways, tensor, user) else 1.0 for user in users]
    if 0 in kept and 1 in kept:
        yield kept, "BPTT-NO-CARRY", "the gradient that comes back from the next step is not added"


def _selections(ways: Ways, users: list[Operation]) -> Iterator[tuple[list[float], str, str]]:
    """Yield (how often each consumer is counted, id, sentence); the consumers are in order of computation."""
    count = len(users)
    turns: dict[object, list[int]] = {}  # by the innermost line: a loop's, or a function's that is called again
    for number, user in enumerate(users):
        key = (user.node.op, user.node.site[:1], ways.number[id(user.node)])
        turns.setdefault(key, []).append(number)
    loops = [members for members in turns.values() if len(members) > 1]
    for members in loops:
        first, last = members[0], members[-1]
        in_time = any(ways.dependent(users[a].output, users[last].output) for a in members[:-1]) or _through(
            ways, users[first], users[last]
        )
        newest, oldest = (first, last) if in_time else (last, first)
        others = set(range(count)) - set(members)
        kept = [1.0 if i in others or i == newest else 0.0 for i in range(count)]
        yield kept, "ACC-OVERWRITE", "= where += is needed: only the last contribution of the loop is kept"
        order = members[::-1] if in_time else members
        for length in range(1, len(order)):
            inside = set(order[:length]) | others
            yield (
                [1.0 if i in inside else 0.0 for i in range(count)],
                "ACC-EARLY-RETURN",
                f"the loop ends too early: {length} of {len(order)} contributions are added",
            )
        kept = [1.0 if i in others or i == oldest else 0.0 for i in range(count)]
        yield kept, "ACC-OVERWRITE", "= where += is needed: only the first contribution of the loop is kept"
    for number in range(count):
        alone = [1.0 if i == number else 0.0 for i in range(count)]
        yield (
            [1.0 - a for a in alone],
            "ACC-BRANCH-LOST",
            f"the gradient through {_where(users[number])} is not added",
        )
        if count > 2:
            yield (
                alone,
                "ACC-OVERWRITE",
                f"= where += is needed: only the gradient through {_where(users[number])} is kept",
            )
        yield (
            [1.0 + a for a in alone],
            "ACC-DOUBLE-COUNT",
            f"the gradient through {_where(users[number])} is added twice",
        )


def _through(ways: Ways, first: Operation, last: Operation) -> bool:
    """Return whether a loop runs through time: what takes the first turn's result leads to what takes the last's."""
    others = [t for t in last.node.inputs if t.grad_fn is not None]
    before = [t for t in (first.output, *first.node.inputs) if t.grad_fn is not None]
    if any(id(t) in ways.above(o) for o in others for t in before):
        return True
    for one in _led_to(ways, first.output):
        for other in ways.group(one):
            if other is not one and one.outputs[0].numel() > 1 and other in _led_to(ways, last.output):
                return ways.dependent(one.outputs[0], other.outputs[0])
    return False


def _led_to(ways: Ways, tensor: Tensor) -> list[Node]:
    """Return what takes this tensor, and what takes that."""
    found: list[Node] = []
    level = [tensor]
    for _ in range(NEXT):
        users = [n for t in level for n in ways.users.get(id(t), []) if n.outputs]
        found += users
        level = [n.outputs[0] for n in users]
    return found


def _where(operation: Operation) -> str:
    return f"{operation.node.op} in line {operation.node.line}"


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
