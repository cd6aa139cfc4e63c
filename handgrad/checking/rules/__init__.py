"""The known wrong formulas by families; to add a mistake, add an entry to its family's RULES.

A family whose operations torch does not have as one (a norm written out) adds to RECOGNISERS what finds them.
"""

from collections.abc import Callable, Iterable

from handgrad.checking.operations import Operation
from handgrad.checking.record import Node, Record
from handgrad.checking.rules import (
    activation,
    beside,
    bias,
    conv,
    dropout,
    gather,
    layout,
    linear,
    loss,
    norm,
    norm_find,
    norm_inside,
    pool,
    product,
    slices,
    softmax,
    windows,
)
from handgrad.checking.rules.rule import Rule, Use, Wrong

RULES: list[Rule] = [
    *norm.RULES,
    *norm_inside.RULES,
    *dropout.RULES,
    *gather.RULES,
    *pool.RULES,
    *conv.RULES,
    *windows.RULES,
    *slices.RULES,
    *layout.RULES,
    *beside.RULES,
    *activation.RULES,
    *softmax.RULES,
    *product.RULES,
    *linear.RULES,
    *loss.RULES,
    *bias.RULES,
]
RECOGNISERS: list[Callable[[Record, Node], Iterable[Operation]]] = [
    activation.leaky,
    norm_find.recognise,
    dropout.recognise,
    pool.recognise,
    conv.recognise,
    layout.recognise,
    slices.recognise,
    beside.recognise,
]

__all__ = ["RECOGNISERS", "RULES", "Rule", "Use", "Wrong"]
