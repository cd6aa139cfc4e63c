"""The same wrong reading at every turn of a loop, each turn's error feeding the next.

A loop in the user's code makes its mistake at all steps at once: h_t for h_{t-1}, always the last step's value, the
delta of another gate. Turns that do not feed each other add up; those that do are replayed one after the other.
"""

from collections.abc import Iterator
from itertools import pairwise, starmap

import numpy as np
import torch

from handgrad.checking.finders.probe import Probe
from handgrad.checking.finders.slots import LINEAR, Slot, reading, slots, wrong
from handgrad.checking.finders.substitution import proposal
from handgrad.checking.finders.ways import VIEWS, Ways, seen_as
from handgrad.checking.operations import Operation, native
from handgrad.checking.record import Array, Node, Tensor
from handgrad.checking.search import Proposal, Search

Pairs = list[tuple[Tensor, Array]]
STEPS = (1, -1, 2, -2)


def find(search: Search) -> Iterator[Proposal]:
    """Yield what, read wrongly at all turns of a loop, gives the error."""
    ways, probe = Ways(search.record), Probe(search)
    seen: set[int] = set()
    for operation in reversed(search.near):
        group = ways.group(operation.node)
        if operation.kind != "any" or operation.node.op in VIEWS or id(group) in seen or len(group) < 2:
            continue
        seen.add(id(group))
        turns = [_operation(node) for node in group]
        if any(turn is None for turn in turns):
            continue
        loop = Loop(search, ways, probe, [turn for turn in turns if turn is not None])
        yield from loop.proposals()


def _operation(node: Node) -> Operation | None:
    return None if node.in_place or node.stale else next(native(node), None)


class Loop:
    """One operation at all turns of a loop, the first turn first."""

    def __init__(self, search: Search, ways: Ways, probe: Probe, turns: list[Operation]) -> None:
        self.search, self.ways, self.probe, self.turns = search, ways, probe, turns
        near = {id(o.node) for o in search.near}
        self.near = [number for number, turn in enumerate(turns) if id(turn.node) in near]
        self.feeds = False

    def proposals(self) -> Iterator[Proposal]:
        """Yield every other sequence of values, in each slot, or of gradients, that gives the error."""
        yield from self._deltas()
        places = [list(slots(turn)) for turn in self.turns]
        if len({len(p) for p in places}) > 1:
            return
        for column in zip(*places, strict=True):
            self.feeds = self._feeding(list(column))
            for identity, sentence, values in self._sequences(list(column)):
                pairs = self._off(list(column), values)
                if pairs:
                    yield proposal(identity, sentence, "at all turns of the loop", self.turns, pairs)

    def _feeding(self, column: list[Slot]) -> bool:
        """Return whether one turn's error comes into the turn before: not that of a parameter's gradient alone."""
        for first, later in pairwise(column):
            linear = later.operation.node.op in LINEAR and later.operand >= 0
            off = [t for t in later.operation.roles.values() if not (linear and t is later.tensor)]
            if any(id(first.operation.output) in self.ways.above(t) for t in off):
                return True
        return False

    def _sequences(self, column: list[Slot]) -> Iterator[tuple[str, str, list[Tensor]]]:
        """Yield (id, sentence, the values read at each turn) of what may be read in these slots."""
        roots = [self.ways.root(slot.tensor) for slot in column]
        if len({t.shape for t in roots}) > 1:  # layers of a loop over layers: none can be read for another
            return
        own = self._own(roots)
        places = [next(i for i, t in enumerate(own) if t is root) for root in roots]
        outputs = [slot.operation.output for slot in column]
        wider = any(starmap(self.ways.dependent, (*pairwise(outputs), *pairwise(roots))))
        if len(own) > 1:
            for step in STEPS:
                read = [own[min(max(place + step, 0), len(own) - 1)] for place in places]
                what = f"the value {abs(step)} step{'s' * (abs(step) > 1)} {'later' if step > 0 else 'earlier'} is read"
                yield "BPTT-WRONG-STEP" if wider else "CACHE-STALE", what, read
            for place, which in ((-1, "last"), (0, "first")):
                if bool((own[place] == own[place].flatten()[0]).all()):
                    continue  # zeros to start with, at every turn, leave the operation out
                yield "CACHE-STALE", f"the {which} turn's value is read at all turns", [own[place]] * len(roots)
        known = [self.ways.root(t) for t in self.search.record.named.values()]
        for group in self.ways.turns.values():
            results = [node.outputs[0] for node in group if node.outputs]
            fits = len(results) == len(roots) and group[0].op not in VIEWS
            fits = fits and not any(t is o for t in own for o in results)
            fits = fits and self.turns[0].node.op in LINEAR and all(any(t is o for o in known) for t in results)
            if fits and all(r.shape == o.shape and r is not o for r, o in zip(results, roots, strict=True)):
                what = f"the result of {group[0].op} (line {group[0].line}) is read in place of another value"
                yield "LIN-WRONG-CACHE", what, results

    def _deltas(self) -> Iterator[Proposal]:
        """Yield a parameter's gradient formed from other gradients than those of the operation's results."""
        common = set.intersection(*({id(t) for t in turn.roles.values()} for turn in self.turns))
        parameters = [t for t in self.turns[0].roles.values() if id(t) in common]
        if not parameters:
            return
        for group in self.ways.turns.values():
            results = [node.outputs[0] for node in group if node.outputs]
            ups = [self.search.current.get(id(t)) for t in results]
            alike = len(results) == len(self.turns) and group[0].op not in VIEWS and group[0] is not self.turns[0].node
            if not alike or any(
                up is None or up.shape != o.output.shape for up, o in zip(ups, self.turns, strict=True)
            ):
                continue
            for parameter in parameters:
                off = np.zeros(tuple(parameter.shape))
                for turn, up in zip(self.turns, ups, strict=True):
                    role = next(r for r, t in turn.roles.items() if t is parameter)
                    made = turn.true(self.search.record, up if up is not None else torch.zeros_like(turn.output))
                    off = off + made[role] - self.search.use(turn).true[role]
                if off.any() and self.probe.fits(self.probe.moves(parameter, off)):
                    what = f"formed from the gradient of {group[0].op} in line {group[0].line}, not from its own delta"
                    yield proposal("LIN-WRONG-CACHE", what, "at all turns of the loop", self.turns, [(parameter, off)])

    def _own(self, roots: list[Tensor]) -> list[Tensor]:
        """Return these values in order, and what the code that made them made besides."""
        found = list(roots)
        for root in roots:
            maker = self.ways.maker.get(id(root))
            for node in self.ways.group(maker) if maker is not None else ():
                if all(t.shape == root.shape for t in node.outputs[:1]):
                    found.append(node.outputs[0])
            found += self._before(root)
        unique = list({id(t): t for t in found if t.shape == roots[0].shape}.values())
        made = {id(t): n.index for n in self.search.record.nodes for t in n.outputs}
        return sorted(unique, key=lambda t: made.get(id(t), -1))

    def _before(self, state: Tensor) -> list[Tensor]:
        """Return what stands where the next step reads this state: the initial state stands there as well."""
        found: list[Tensor] = []
        for user in self.ways.users.get(id(state), []):
            place = next(i for i, t in enumerate(user.inputs) if t is state)
            found += [n.inputs[place] for n in self.ways.group(user) if len(n.inputs) > place]
        return found

    def _off(self, column: list[Slot], read: list[Tensor]) -> Pairs:
        """Return all changes with these values read, if they give the error."""
        values = [seen_as(self.ways.chain(slot.tensor), t.detach()) for slot, t in zip(column, read, strict=True)]
        if any(v.shape != slot.tensor.shape for slot, v in zip(column, values, strict=True)):
            return []
        apart = not self.feeds or len(self.near) == 1
        if apart and not self.probe.fits(self._moves(column, values)):
            return []
        pairs = self._replayed(column, values)
        return pairs if not apart or self.probe.fits(self.probe.total(pairs)) else []

    def _moves(self, column: list[Slot], values: list[Tensor]) -> Array:
        """Return the sum of what each near turn moves by itself."""
        total = np.zeros(len(self.probe.goal))
        for number in self.near:
            slot, value = column[number], values[number]
            up = self.search.up(slot.operation.output)
            reads = self._reads(slot, up)
            if reads is not None:
                total += [(c * (value - slot.tensor.detach()).numpy()).sum() for c in reads]
            else:
                use = self.search.use(slot.operation)
                true = {id(t): use.true[role] for role, t in slot.operation.roles.items()}
                roles = {id(t): t for t in slot.operation.roles.values()}
                total += self.probe.total([(roles[k], d) for k, d in wrong(slot, value, up, true).items()])
        return total

    def _reads(self, slot: Slot, up: Tensor) -> list[Array] | None:
        if not hasattr(slot, "reads"):
            vars(slot)["reads"] = reading(slot, up, self.probe)
        found: list[Array] | None = vars(slot)["reads"]
        return found

    def _replayed(self, column: list[Slot], values: list[Tensor]) -> Pairs:
        """Return what each turn is off, the last first, each from what the later ones hand on."""
        outputs = [slot.operation.output for slot in column]
        moved = [torch.zeros_like(t) for t in outputs]
        pairs: Pairs = []
        for number in reversed(range(len(column))):
            slot = column[number]
            up = self.search.up(slot.operation.output) + moved[number]
            made = slot.operation.true(self.search.record, up)
            true = {id(t): made[role] for role, t in slot.operation.roles.items()}
            roles = {id(t): t for t in slot.operation.roles.values()}
            here = [(roles[k], delta) for k, delta in wrong(slot, values[number], up, true).items()]
            pairs += here
            if self.feeds and here:
                changes = [(t, torch.from_numpy(np.ascontiguousarray(d))) for t, d in here]
                through = self.search.record.after(changes, outputs)
                moved = [a + b for a, b in zip(moved, through, strict=True)]
        return pairs
