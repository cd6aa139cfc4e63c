"""The chain rule in TwoTwoOne, read from its backward: the products, the factors and their values."""

import ast
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from handgrad.explaining.factors import Chain, Factor
from handgrad.explaining.source import Call, operands

Array = np.ndarray[Any, np.dtype[Any]]
LossFactor = Callable[[str, str, Sequence[str]], Factor]


def chain(parameter: str, call: Call, nodes: Sequence[Sequence[str]], loss: LossFactor) -> Chain:
    """Return the chain of one of the nine scalars.

    `call` is the real backward, `nodes` autograd's, in one group a factor. `loss(name, output, nodes)` makes the
    first factor: what the backward was given as grad_output.
    """
    source, name = call.source, f"d_L_d_{parameter}"
    product = source.assignment(name)
    if product is None:
        raise LookupError(f"{source.path} has no line that gives {name}")
    parts = operands(product.value)
    samples = len(call.values["ypred"])
    # More groups than factors would mean that the source has fewer factors than the graph: the last takes them.
    groups = [*nodes[: len(parts) - 1], [node for group in nodes[len(parts) - 1 :] for node in group]]
    groups += [[]] * (len(parts) - len(groups))

    def column(expression: ast.expr) -> Array:
        return np.broadcast_to(np.asarray(call.evaluate(expression)), (samples, 1))[:, 0]

    factors = []
    for part, group in zip(parts, groups, strict=True):
        text = ast.unparse(part)
        assigned = source.assignment(text)
        if assigned is not None and ast.unparse(assigned.value) == "grad_output":
            factors.append(loss(text, "ypred", group))
            continue
        formula = part if assigned is None else assigned.value
        names = [node for node in ast.walk(formula) if isinstance(node, ast.Name)]
        symbols = {node.id: column(node) for node in names if node.id in call.values}
        line = source.line(product if assigned is None else assigned)
        factors.append(Factor(text, ast.unparse(formula), column(part), line, group, symbols))
    return Chain(name, factors, source.line(product))
