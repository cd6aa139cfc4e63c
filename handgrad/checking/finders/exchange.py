"""Two operands of products side by side are read in place of each other: each way back takes the other's weight."""

from collections.abc import Iterator
from itertools import chain, combinations

import numpy as np

from handgrad.checking.finders.probe import Probe
from handgrad.checking.finders.slots import LINEAR, Slot, reading, slots, wrong
from handgrad.checking.finders.substitution import contributions, label, proposal
from handgrad.checking.record import Array, Tensor
from handgrad.checking.search import Proposal, Search


def find(search: Search) -> Iterator[Proposal]:
    """Yield every pair of operands that, read in place of each other, gives the error."""
    probe = Probe(search)
    found: dict[tuple[object, ...], list[tuple[Slot, Tensor, list[Array]]]] = {}
    for operation in search.near:
        up = search.up(operation.output)
        if operation.kind == "any" and operation.node.op in LINEAR and up.any():
            for slot in slots(operation):
                reads = reading(slot, up, probe)
                if reads is not None and any(c.any() for c in reads):
                    key = (operation.node.op, slot.operand, tuple(slot.tensor.shape))
                    found.setdefault(key, []).append((slot, up, reads))
    for (one, up, c), (other, their_up, d) in chain.from_iterable(combinations(g, 2) for g in found.values()):
        off = (other.tensor - one.tensor).detach().numpy()
        if off.any() and probe.fits(np.array([(a * off).sum() - (b * off).sum() for a, b in zip(c, d, strict=True)])):
            sentence = f"{label(search, one.tensor)} and {label(search, other.tensor)} are read in place of each other"
            pairs = []
            for slot, value, g in ((one, other.tensor, up), (other, one.tensor, their_up)):
                true = contributions(search, slot.operation)
                operands = {id(t): t for t in slot.operation.roles.values()}
                made = wrong(slot, value.detach(), g, true)
                pairs += [(operands[k], delta) for k, delta in made.items() if k != id(slot.tensor)]
            if pairs and probe.fits(probe.total(pairs)):
                yield proposal("PATH-SWAPPED", sentence, "", [one.operation, other.operation], pairs)
