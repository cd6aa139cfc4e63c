"""Causes that no single operation's wrong formula describes: operands exchanged, contributions lost, layouts.

They are asked when no rule gives the user's numbers; what they propose has to give them as well.
"""

from collections.abc import Callable, Iterable

from handgrad.checking.finders import (
    carries,
    contributions,
    everywhere,
    exchange,
    loops,
    mask,
    masks,
    relations,
    shapes,
    slices,
    substitution,
    ties,
)
from handgrad.checking.report import Cause
from handgrad.checking.search import Proposal, Search

Finder = Callable[[Search], Iterable[Proposal]]
FINDERS: list[Finder] = [
    contributions.find,
    slices.find,
    carries.find,
    relations.find,
    substitution.find,
    exchange.find,
    loops.find,
    mask.find,
    ties.find,
    masks.find,
]
# Where the shape is wrong nothing can be replayed: these look at the numbers alone.
SHAPE_FINDERS: list[Callable[[Search], Iterable[Cause]]] = [shapes.find]

__all__ = ["FINDERS", "SHAPE_FINDERS", "Finder", "everywhere"]
