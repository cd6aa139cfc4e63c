"""Whether a change somewhere on the way can be the cause of an error: told by two numbers, not by a backward pass.

With J the derivative of a tensor with respect to the target, a change d of that tensor's gradient moves the target's
by J^T d, and <J^T d, r> = <d, J r>. So J r, found once for random r, tries any number of hypotheses at the price of
one product each; what passes is replayed in full.
"""

from collections.abc import Iterable

import numpy as np
import torch

from handgrad.checking.record import Array, Tensor
from handgrad.checking.search import Search

DIRECTIONS = 2
CLOSE = 100.0  # fits, relative to the sum of all terms: rounding is far below, another hypothesis is far above


class Probe:
    """The random directions r at one target, J r for every tensor between it and what is settled, and <error, r>."""

    def __init__(self, search: Search) -> None:
        target = search.target
        random = torch.Generator().manual_seed(0)
        directions = [torch.randn(target.shape, generator=random, dtype=target.dtype) for _ in range(DIRECTIONS)]
        tensors = {id(t): t for o in search.near for t in (*o.roles.values(), o.output) if t.requires_grad}
        tensors[id(target)] = target
        needed = [t for t in search.record.needed if t.requires_grad and t is not target]
        self.moved = dict(zip(tensors, _moved(target, list(tensors.values()), directions, needed), strict=True))
        self.close = CLOSE * search.fit
        error = search.given - search.expected
        self.goal = np.array([float((error * r.numpy()).sum()) for r in directions])
        self.size = np.array([float(np.abs(error * r.numpy()).sum()) for r in directions])

    def moves(self, tensor: Tensor, change: Array) -> Array:
        """Return by how much a change of this tensor's gradient moves <gradient of the target, r>, for each r."""
        along = self.moved.get(id(tensor))
        if along is None:
            return np.zeros(DIRECTIONS)
        with np.errstate(all="ignore"):
            return np.array([float((change * a).sum()) for a in along])

    def total(self, changes: Iterable[tuple[Tensor, Array]]) -> Array:
        """Return the same for several changes at once."""
        return np.asarray(sum((self.moves(t, c) for t, c in changes), np.zeros(DIRECTIONS)))

    def fits(self, moves: Array) -> bool:
        """Return whether such moves can be the whole error."""
        with np.errstate(all="ignore"):
            return bool((np.abs(moves - self.goal) <= self.close * (self.size + np.abs(moves))).all())

    def factor(self, moves: Array) -> float | None:
        """Return the one constant by which these moves are the error, if there is one."""
        if not np.isfinite(moves).all() or not np.abs(moves).min() > 0:
            return None
        found = float(self.goal[0] / moves[0])
        return found if self.fits(found * moves) else None


def _moved(
    target: Tensor, tensors: list[Tensor], directions: list[Tensor], needed: list[Tensor]
) -> list[list[Array] | None]:
    """Return J r of every tensor: J^T v is linear in v, so its derivative along v, times r, is J r."""
    with torch.enable_grad():
        given = [torch.zeros_like(t).requires_grad_() for t in tensors]
        back = torch.autograd.grad(
            tensors, [target, *needed], given, create_graph=True, retain_graph=True, allow_unused=True
        )[0]
        found = [torch.autograd.grad(back, given, r, retain_graph=True, allow_unused=True) for r in directions]
    return [None if parts[0] is None else [p.numpy() for p in parts] for parts in zip(*found, strict=True)]
