"""A factor of the chain rule, and the one that every chain begins with: the loss's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from handgrad.explaining.source import Call, Line
from manual.objective import Objective

Array = np.ndarray[Any, np.dtype[Any]]

# dl/dy of one entry; y is the output that the loss is given, t the target.
SLOPES = {
    "squared_error": "2 * ({y} - t)",
    "cross_entropy": "({y} - t) / ({y} * (1 - {y}))",
    "cross_entropy_from_logits": "(sigmoid({y}) - t)",
}


@dataclass(frozen=True, eq=False)
class Factor:
    """One factor: `values` (N,), one a sample, by `formula`, computed by hand in `line` and by autograd in `nodes`.

    `symbols` holds the numbers (N,) for which the names in the formula stand, as far as they are known.
    """

    name: str
    formula: str
    values: Array
    line: Line
    nodes: Sequence[str]
    symbols: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Chain:
    """A gradient as a sum over samples of products: the factors, and the line that multiplies or sums them."""

    name: str
    factors: Sequence[Factor]
    line: Line


def loss_factor(
    name: str,
    output: str,
    unit: int,
    objective: Objective,
    call: Call,
    outputs: Array,
    targets: Array,
    nodes: Sequence[str],
) -> Factor:
    """Return dL/d(output) of one output unit, from the real backward of the loss.

    `call` is that backward, `output` the name of the unit's output in the formula; outputs and targets (N, units).
    """
    statement, _ = call.source.input_gradient()
    formula = SLOPES[objective.kind].format(y=output)
    if objective.factor != 1:
        formula = f"{objective.factor:g} * {formula}"
    if objective.reduction == "mean" and outputs.size > 1:
        formula = f"{formula} / {outputs.size}"
    symbols = {output: outputs[:, unit], "t": targets[:, unit]}
    return Factor(name, formula, call.result[0][:, unit], call.source.line(statement), nodes, symbols)
