"""The known wrong formulas by families; to add a mistake, add an entry to its family's RULES.

A family whose operations torch does not have as one (a norm written out) adds to RECOGNISERS what finds them.
"""

from collections.abc import Callable, Iterable

from handgrad.checking.operations import Operation
from handgrad.checking.record import Node, Record
from handgrad.checking.rules import activation, linear, softmax
from handgrad.checking.rules.rule import Rule, Use, Wrong

RULES: list[Rule] = [*activation.RULES, *softmax.RULES, *linear.RULES]
RECOGNISERS: list[Callable[[Record, Node], Iterable[Operation]]] = []

__all__ = ["RECOGNISERS", "RULES", "Rule", "Use", "Wrong"]
