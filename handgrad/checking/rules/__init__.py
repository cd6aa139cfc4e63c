"""The known wrong formulas by families; to add a mistake, add an entry to its family's RULES."""

from handgrad.checking.rules import activation, linear, softmax
from handgrad.checking.rules.rule import Rule, Use, Wrong

RULES: list[Rule] = [*activation.RULES, *softmax.RULES, *linear.RULES]

__all__ = ["RULES", "Rule", "Use", "Wrong"]
