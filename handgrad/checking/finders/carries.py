"""Gradients that go through a shared tensor: not carried from step to step, or handed on before they are complete."""

from collections.abc import Iterator
from itertools import accumulate, chain

import numpy as np
import torch

from handgrad.checking.finders.contributions import carries
from handgrad.checking.finders.probe import Probe
from handgrad.checking.finders.substitution import parts, proposal
from handgrad.checking.finders.ways import Ways
from handgrad.checking.operations import Operation, native
from handgrad.checking.record import Array, Node, Tensor
from handgrad.checking.search import Proposal, Search

Pairs = list[tuple[Tensor, Array]]
States = list[tuple[Tensor, list[tuple[Operation, float]]]]  # each with consumers, and how much more they count
COUNTED = ((-1.0, "ACC-BRANCH-LOST", "is not added"), (1.0, "ACC-DOUBLE-COUNT", "comes twice"))
TURNS = 12  # of a longer loop each possibility takes too long to follow
LOST = "the gradient that comes back from the next step is not added, at any step"
EARLY = "a shared tensor hands its gradient on before all of it has come in, and then again"


def find(search: Search) -> Iterator[Proposal]:
    """Yield what a lost carry at all steps gives, and a walk through the graph out of order."""
    ways, probe = Ways(search.record), Probe(search)
    yield from _not_carried(search, probe, ways)
    yield from _not_in_order(search, probe, ways)
    yield from _at_all_turns(search, probe, ways)


def _operations(search: Search) -> list[Operation]:
    live = [n for n in search.record.nodes if n.outputs and id(n.outputs[0]) in search.record.grads]
    return [o for n in live if not n.in_place and not n.stale for o in native(n) if o.kind == "any"]


def _not_carried(search: Search, probe: Probe, ways: Ways) -> Iterator[Proposal]:
    """Cut what leads from a state to the next step, for one state of the loop or for all of them."""
    by_state: dict[int, States] = {}
    operations = _operations(search)
    for tensor in search.record.tensors:
        maker = ways.maker.get(id(tensor))
        users = [o for o in operations if any(t is tensor for t in o.roles.values())]
        if maker is None or tensor.numel() < 2 or len(ways.group(maker)) < 2:
            continue
        into_next = [o for o in users if carries(ways, tensor, o) and _turn(ways, o.node) > _turn(ways, maker)]
        if into_next:
            by_state.setdefault(id(ways.group(maker)), []).append((tensor, [(o, -1.0) for o in into_next]))
    every = list(by_state.values())
    for states in [*every, *([[*chain.from_iterable(every)]] if len(every) > 1 else [])]:
        pairs = _counted(search, states)
        if pairs and probe.fits(probe.total(pairs)):
            used = [o for _, users in states for o, _ in users]
            yield proposal("BPTT-NO-CARRY", LOST, "", used, pairs)


def _at_all_turns(search: Search, probe: Probe, ways: Ways) -> Iterator[Proposal]:
    """Lose one consumer's share, or count it twice, at all turns of a loop of which each feeds the next."""
    alike: dict[tuple[object, ...], list[tuple[Tensor, list[Operation]]]] = {}
    operations = _operations(search)
    for tensor in search.record.tensors:
        users = [o for o in operations if any(t is tensor for t in o.roles.values())]
        maker = ways.maker.get(id(tensor))
        if maker is not None and len(users) > 1 and 1 < len(ways.group(maker)) <= TURNS:
            key = (id(ways.group(maker)), *(id(ways.group(o.node)) for o in users))
            alike.setdefault(key, []).append((tensor, users))
    for found in alike.values():
        if len(found) < 2 or not ways.dependent(found[0][0], found[-1][0]):
            continue
        for number in range(len(found[0][1])):
            for off, identity, what in COUNTED:
                pairs = _counted(search, [(tensor, [(users[number], off)]) for tensor, users in found])
                if pairs and probe.fits(probe.total(pairs)):
                    used = [users[number] for _, users in found]
                    sentence = f"the gradient through {used[0].node.op} in line {used[0].node.line} {what}, at any step"
                    yield proposal(identity, sentence, "", used, pairs)


def _turn(ways: Ways, node: Node) -> int:
    """Return how often the loop has come by before."""
    return next(number for number, other in enumerate(ways.group(node)) if other is node)


def _counted(search: Search, states: States) -> Pairs:
    """Return the changes if what comes back through these operations counts so much more or less, the last first."""
    made = {id(t): n.index for n in search.record.nodes for t in n.outputs}
    ordered = sorted(states, key=lambda state: -made.get(id(state[0]), -1))
    outputs = [o.output for _, users in ordered for o, _ in users]
    moved = {id(t): torch.zeros_like(t) for t in outputs}
    pairs: Pairs = []
    for tensor, users in ordered:
        share = np.zeros(tuple(tensor.shape))
        for user, off in users:
            true = user.true(search.record, search.up(user.output) + moved[id(user.output)])
            share = share + off * next(true[role] for role, t in user.roles.items() if t is tensor)
        share = np.asarray(share)
        pairs.append((tensor, share))
        through = search.record.after([(tensor, torch.from_numpy(share))], outputs)
        for t, change in zip(outputs, through, strict=True):
            moved[id(t)] = moved[id(t)] + change
    return pairs


def _not_in_order(search: Search, probe: Probe, ways: Ways) -> Iterator[Proposal]:
    """Hand on a part of a shared tensor's gradient, and then the whole; to one operand of what made it, or to all."""
    groups: dict[tuple[int, int, int], list[tuple[Operation, Pairs]]] = {}
    operations = _operations(search)
    for operation in (o for o in search.near if o.kind == "any"):
        users = [o for o in operations if any(t is operation.output for t in o.roles.values())]
        for number, extra in enumerate(_early(search, operation.output, users) if len(users) > 1 else ()):
            made = operation.true(search.record, torch.from_numpy(np.asarray(extra)))
            off = {id(operation.roles[role]): grad for role, grad in made.items() if grad.any()}
            for which, pairs in enumerate(parts(operation, off)):
                key = (id(ways.group(operation.node)), number, which)
                groups.setdefault(key, []).append((operation, pairs))
    for found in groups.values():
        everywhere = [pair for _, pairs in found for pair in pairs]
        for pairs in [everywhere, *([pairs for _, pairs in found] if len(found) > 1 else [])]:
            if pairs and probe.fits(probe.total(pairs)):
                yield proposal("ACC-NON-TOPO", EARLY, "", [o for o, _ in found], pairs)


def _early(search: Search, tensor: Tensor, users: list[Operation]) -> Iterator[Array]:
    """Yield what is handed on besides the whole: one consumer's share, or all that had come in at every arrival."""
    shares = []
    for user in users:
        true = search.use(user).true
        shares.append(next(true[role] for role, t in user.roles.items() if t is tensor))
    yield from shares
    for arriving in (shares[::-1], shares):  # the last consumer is the first to hand in, on the way back
        sums = list(accumulate(arriving))[:-1]
        if len(sums) > 1:
            yield np.asarray(sum(sums))
