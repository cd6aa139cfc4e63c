"""Why a tensor went wrong: known wrong formulas are replayed where they could stand, and must give the user's numbers.

A hypothesis is a wrong contribution of one operation (or of all that stand on one line, or of all of one kind) to the
gradient of an operand. A backward pass is linear in what it hands on, so autograd carries the difference to every
tensor that the user gave. A hypothesis is kept if it gives the tensor in question, and every one before it, to the
last digits; the more of the later ones it gives too, the better.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from time import monotonic

import numpy as np
import torch

from handgrad.checking.candidates import candidates, made_from
from handgrad.checking.conventions import EPS_RATIO, in_single
from handgrad.checking.finders import FINDERS, SHAPE_FINDERS, Finder, everywhere
from handgrad.checking.operations import Operation
from handgrad.checking.place import source
from handgrad.checking.recognition import operations
from handgrad.checking.record import Arrays, Record, Tensor
from handgrad.checking.report import Cause
from handgrad.checking.rules import Rule, Use, Wrong
from handgrad.checking.scales import named_ratio, sizes
from handgrad.checking.search import Search

FIT = 1e-9  # relative to the size of the tensor: hypotheses that differ at all differ by far more
FIT_SINGLE = 1e-5  # ... and where the code under test computes in float32

STRUCTURAL = 1000  # times FIT is the relative error below which no operand is exchanged and no part lost
PARTS = ("ACC-OVERWRITE", "ACC-EARLY-RETURN", "ACC-UNBROADCAST", "NUM-INT-TRUNC", "NUM-HALF", "OPT-CLIP-VALUE")
SECONDS = 60.0  # after which no further cause is looked for: a chain of hundreds of operations has thousands
GENERAL = 1000  # ranks behind all that is said of one operation
CLOSER = 1e-4  # relative to the error that a hypothesis has to explain


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A rule at some operations, with the share of the given gradients that it reproduces."""

    cause: Cause
    fine: bool
    explained: int
    rank: int


class Diagnosis:
    """The hypotheses for one run of the forward; `given` are the user's gradients, `units` one rounding of each."""

    def __init__(self, record: Record, given: Arrays, order: Sequence[str], units: Arrays) -> None:
        self.record, self.given, self.order, self.units = record, given, list(order), units
        self.begun = monotonic()
        self.operations = operations(record)
        self.sizes = sizes(record)
        self.fits = {name: FIT_SINGLE if in_single(array) else FIT for name, array in given.items()}
        self._uses: dict[int, Use] = {}
        self._made: dict[tuple[int, int], list[tuple[str, Wrong]]] = {}

    def causes(self, name: str, current: dict[int, Tensor]) -> list[Hypothesis]:
        """Return what fits the gradient of `name`, best first; `current` are the gradients it should follow from."""
        found: list[Hypothesis] = []
        self._uses, self._made = {}, {}
        near = self._near(name)
        named = [self.record.named[n] for n in self.order]
        for rule, uses in candidates(near):
            if self.late:
                break
            for variant, (detail, _) in enumerate(self._formula(rule, self._used(uses[0], current))):
                first = self._replay(rule, uses, variant, current, [self.record.named[name]])
                if first is None or not self._gives(name, current, first):
                    continue
                changes = self._replay(rule, uses, variant, current, named) or {}
                explained = self._fits(name, current, changes)
                if explained is not None:
                    found.append(Hypothesis(self._cause(name, rule, uses, detail), rule.fine, explained, len(found)))
        for operation in reversed(near):
            if operation.kind == "any" and not self.late:
                found += self._scaled(name, operation, current, len(found))
        found += self._proposed([everywhere.find], name, near, current)
        if not found and self._error(name, current) > STRUCTURAL * self.fits[name]:
            found += self._proposed(FINDERS, name, near, current)
        if not self.given[name].any() and self.given[name].dtype.kind == "f":  # what is 0 everywhere holds no part
            found = [h for h in found if h.cause.id not in PARTS]
        found.sort(key=lambda h: (-h.explained, h.rank))
        unique: dict[str, Hypothesis] = {}
        for hypothesis in found:
            unique.setdefault(hypothesis.cause.id, hypothesis)
        best = max((h.explained for h in unique.values()), default=0)
        return [h for h in unique.values() if h.explained == best]

    @property
    def late(self) -> bool:
        """Whether causes have been looked for long enough."""
        return monotonic() - self.begun > SECONDS

    def _proposed(
        self, finders: Sequence[Finder], name: str, near: list[Operation], current: dict[int, Tensor]
    ) -> Iterator[Hypothesis]:
        """Yield what finders propose, if it fits."""
        for number, proposal in enumerate(chain.from_iterable(f(self._search(name, near, current)) for f in finders)):
            if self.late:
                return
            explained = self._fits(name, current, self._carried(proposal.changes))
            if explained is not None:
                rule = Rule(proposal.id, (), proposal.sentence, _nothing)
                cause = self._cause(name, rule, proposal.operations, proposal.detail)
                yield Hypothesis(cause, proposal.fine, explained, GENERAL + number)

    def _error(self, name: str, current: dict[int, Tensor]) -> float:
        """Return the largest error of a gradient, relative to its largest entry."""
        given = self.given[name]
        true = current.get(id(self.record.named[name]), torch.zeros(given.shape)).numpy()
        size = float(np.abs(true).max(initial=0.0))
        return float(np.abs(given - true).max(initial=0.0)) / size if size else np.inf

    def of_shape(self, name: str, current: dict[int, Tensor]) -> list[Cause]:
        """Return what a gradient of the wrong shape may be."""
        self._uses = {}
        search = self._search(name, self._near(name), current)
        return [cause for finder in SHAPE_FINDERS for cause in finder(search)]

    def _near(self, name: str) -> list[Operation]:
        settled = {id(self.record.named[other]) for other in self.order[: self.order.index(name)]}
        reach = made_from(self.record, self.record.named[name], settled)
        return [o for o in self.operations if any(id(t) in reach for t in o.roles.values())]

    def _search(self, name: str, near: list[Operation], current: dict[int, Tensor]) -> Search:
        target = self.record.named[name]
        expected = current.get(id(target), torch.zeros_like(target)).numpy()
        used = partial(self._used, current=current)
        given, fit = self.given, self.fits[name]
        return Search(self.record, name, given[name], expected, near, current, self.sizes, used, given, fit)

    def _carried(self, changes: Sequence[tuple[Tensor, Tensor]]) -> dict[int, Tensor]:
        """Return how the named tensors' gradients change where some tensors' gradients are off by these amounts."""
        tensors = [self.record.named[n] for n in self.order]
        return dict(zip(map(id, tensors), self.record.after(changes, tensors), strict=True))

    def _scaled(self, name: str, operation: Operation, current: dict[int, Tensor], rank: int) -> Iterator[Hypothesis]:
        """Yield what fits if a contribution of this operation is multiplied by a constant: by its value, what it is."""
        use = self._used(operation, current)
        target = self.record.named[name]
        error = torch.from_numpy(self.given[name]) - current.get(id(target), torch.zeros_like(target))
        roles = list(use.true)
        for part in [roles, *([role] for role in roles if len(roles) > 1)]:
            pairs = [(operation.roles[role], torch.from_numpy(np.asarray(use.true[role]))) for role in part]
            through = self._carried(pairs)
            size = float((through[id(target)] ** 2).sum())
            if size == 0:
                continue
            excess = float((error * through[id(target)]).sum()) / size
            explained = self._fits(name, current, {key: excess * change for key, change in through.items()})
            if explained is not None:
                for identity, sentence in named_ratio(use, part, 1 + excess, target, self.fits[name]):
                    rule = Rule(identity, (), sentence, _nothing)
                    cause = self._cause(name, rule, [operation], f"the ratio is {1 + excess:.6g}")
                    # Whose sign it is may be known; that a whole term is lost is more likely than a slope of 0.
                    last = {"LOSS-SIGN": GENERAL, "REG-MISSING": -GENERAL, "ACC-BRANCH-LOST": -GENERAL}.get(identity, 0)
                    yield Hypothesis(cause, False, explained, rank + last)

    def _used(self, operation: Operation, current: dict[int, Tensor]) -> Use:
        if id(operation) not in self._uses:
            self._uses[id(operation)] = self._use(operation, current)
        return self._uses[id(operation)]

    def _use(self, operation: Operation, current: dict[int, Tensor]) -> Use:
        up = current.get(id(operation.output))
        up = torch.zeros_like(operation.output) if up is None else up
        last = operation.output is self.record.loss
        return Use(operation, up.numpy(), operation.true(self.record, up), self.sizes, last, self.record)

    def _formula(self, rule: Rule, use: Use) -> list[tuple[str, Wrong]]:
        """Return the rule's wrong gradients, formed once where the operation's gradient is the expected one."""
        key = (id(rule), id(use))
        if key not in self._made:
            with np.errstate(all="ignore"):
                found = list(rule.formula(use))
            if self._uses.get(id(use.operation)) is not use:
                return found
            self._made[key] = found
        return self._made[key]

    def _replay(
        self, rule: Rule, uses: Sequence[Operation], variant: int, current: dict[int, Tensor], tensors: list[Tensor]
    ) -> dict[int, Tensor] | None:
        """Return how these tensors' gradients change where the operations follow the rule, the last first."""
        if len(uses) > 1:
            tensors = tensors + [o.output for o in uses]
        changes: dict[int, Tensor] = {}
        for operation in uses:
            moved = {key: current[key] + change for key, change in changes.items() if key in current}
            use = self._use(operation, {**current, **moved}) if moved else self._used(operation, current)
            made = self._formula(rule, use)
            if variant >= len(made):
                return None
            wrong = made[variant][1]
            pairs = [(operation.roles[r], torch.from_numpy(np.asarray(w - use.true[r]))) for r, w in wrong.items()]
            if not all(torch.isfinite(delta).all() for _, delta in pairs):
                return None
            for tensor, change in zip(tensors, self.record.after(pairs, tensors), strict=True):
                changes[id(tensor)] = changes[id(tensor)] + change if id(tensor) in changes else change
        return changes

    def _gives(self, name: str, current: dict[int, Tensor], changes: dict[int, Tensor], asked: bool = True) -> bool:
        """Return whether the changed gradient of `name` is the given one.

        The one that is asked about has to come out closer than its fit, and far closer than the right gradient, which a
        tiny mistake is close to as well; any other may hold what has passed as rounding.
        """
        tensor, given = self.record.named[name], self.given[name]
        true = current[id(tensor)].numpy() if id(tensor) in current else np.zeros(given.shape)
        if given.shape != true.shape:
            return False
        error, size = (np.abs(a).max(initial=0.0) for a in (given - true, given))
        unit = self.units[name] * (1.0 if self.fits[name] == FIT else EPS_RATIO)
        allowed = min(self.fits[name] * size, CLOSER * error if asked else np.inf) + 64 * unit
        with np.errstate(invalid="ignore"):
            return bool((np.abs(true + changes[id(tensor)].numpy() - given) <= allowed).all())

    def _fits(self, name: str, current: dict[int, Tensor], changes: dict[int, Tensor]) -> int | None:
        """Return how many of the given gradients are reproduced; None unless `name` and all before it are."""
        explained = 0
        before = True
        for other in self.order:
            same = self._gives(other, current, changes, other == name)
            if before and not same:
                return None
            explained += same
            before = before and other != name
        return explained

    def _cause(self, name: str, rule: Rule, uses: Sequence[Operation], detail: str) -> Cause:
        kinds = [use.node.op if use.kind == "any" else use.kind for use in uses]
        where = f"{kinds[0]} in forward, {source(use.node for use in uses)}" if uses else ""
        evidence = f"with it the numbers come out to {self.fits[name]:g}"
        return Cause(rule.id, rule.sentence, f"{evidence}{f'; {detail}' if detail else ''}", where)


def _nothing(use: Use) -> list[tuple[str, Arrays]]:
    return []
