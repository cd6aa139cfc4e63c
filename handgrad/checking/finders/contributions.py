"""A gradient is a sum over a tensor's consumers, and over a loop's turns. Parts are lost, or counted twice."""

from collections.abc import Iterator

import numpy as np

from handgrad.checking.finders.probe import Probe
from handgrad.checking.finders.substitution import proposal
from handgrad.checking.finders.ways import Ways
from handgrad.checking.operations import Operation
from handgrad.checking.record import Array, Node, Tensor
from handgrad.checking.search import Proposal, Search

NEXT = 4  # operations between a turn's own result and the state that takes it


def find(search: Search) -> Iterator[Proposal]:
    """Yield what is lost or counted twice and gives the error."""
    ways, probe = Ways(search.record), Probe(search)
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
        if len({users[member].node.site for member in members}) > 1:
            continue  # one function, called at several places: that is no loop which may end early
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
        for place, which in ((newest, "last"), (oldest, "first")):
            whole = [1.0 if i in others else len(members) * (i == place) for i in range(count)]
            sentence = f"the {which} of {len(members)} turns is taken for their mean: the others are not added"
            yield whole, "ACC-OVERWRITE", sentence
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
    after = _led_to(ways, last.output)
    for one in _led_to(ways, first.output):
        for other in ways.group(one):
            y, later = one.outputs[0], other.outputs[0]  # a running loss, of one number, is no state
            if other is not one and y.numel() > 1 and other in after and ways.dependent(y, later):
                return True
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
