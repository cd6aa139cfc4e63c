"""Penalties: terms of the loss that depend on one tensor alone, beside terms that do not."""

from collections.abc import Sequence

from handgrad.checking.record import Node, Record, Tensor
from handgrad.checking.rules import Use


def penalises(record: Record, node: Node, target: Tensor) -> bool:
    """Return whether an operation belongs to a penalty on the target: a term of the loss that depends on it alone.

    A parameter's penalty is computed from parameters only, that of a hidden layer from this layer only; beside it
    the loss has a term that is not.
    """
    parts = terms(record)
    if len(parts) < 2:
        return False
    own = [t for t in parts if id(node) in _nodes_of(record, t, target)]
    alone = [t for t in parts if _alone(record, t, target)]
    if not any(_depends(record, t, target) for t in parts if all(t is not a for a in alone)):
        return False  # what is all there is of the target is no penalty on it
    return len(own) == 1 and own[0] in alone and len(alone) < len(parts)


def adds_penalty(use: Use, roles: Sequence[str], target: Tensor) -> bool:
    """Return whether what is scaled is a penalty on the target, which the operation adds to others."""
    every, parts = terms(use.record), [use.operation.roles[role] for role in roles]
    others = any(not _alone(use.record, term, target) for term in every)
    return others and all(
        part.dim() == 0 and part.grad_fn is not None and _alone(use.record, part, target) for part in parts
    )


def terms(record: Record) -> list[Tensor]:
    """Return the tensors whose weighted sum the loss is."""
    maker = {id(t): node for node in record.nodes for t in node.outputs}
    found, open_ = [], [record.loss]
    while open_:
        tensor = open_.pop()
        node = maker.get(id(tensor))
        inputs = [t for t in node.inputs if t.requires_grad] if node is not None else []
        op = node.op if node is not None and tensor.dim() == 0 and all(t.dim() == 0 for t in inputs) else ""
        if op in ("add", "sub", "stack") or (op in ("mul", "div") and len(inputs) == 1):
            open_ += inputs
        else:
            found.append(tensor)
    return found


def _nodes_of(record: Record, term: Tensor, target: Tensor) -> set[int]:
    """Return the operations that make a term from the target on; with the factors behind it."""
    found: set[int] = set()
    wanted = {id(term)}
    for node in reversed(record.nodes):
        if any(id(t) in wanted for t in node.outputs) and not any(t is target for t in node.outputs):
            found.add(id(node))
            wanted.update(id(t) for t in node.inputs if t is not target)
    after = {id(term)}
    for node in record.nodes:
        if any(id(t) in after for t in node.inputs) and len([t for t in node.inputs if t.requires_grad]) == 1:
            found.add(id(node))
            after.update(id(t) for t in node.outputs)
    return found


def _depends(record: Record, term: Tensor, target: Tensor) -> bool:
    """Return whether a term is computed from the target."""
    found = {id(target)}
    for node in record.nodes:
        if any(id(t) in found for t in node.inputs):
            found.update(id(t) for t in node.outputs)
    return id(term) in found


def _alone(record: Record, term: Tensor, target: Tensor) -> bool:
    """Return whether a term depends on the target and no input; on no parameter either if the target is none."""
    leaves = {id(record.named[name]) for name in record.parameters} if target.grad_fn is None else set()
    wanted, hit = {id(term)}, False
    inputs = {id(record.named[name]) for name in (*record.inputs, *record.parameters)} - leaves - {id(target)}
    for node in reversed(record.nodes):
        if any(id(t) in wanted for t in node.outputs) and not any(t is target for t in node.outputs):
            wanted.update(id(t) for t in node.inputs)
            hit = hit or any(t is target for t in node.inputs)
    hit = hit or term is target
    return hit and not wanted & inputs
