"""Where a tensor is normalised: torch's own layer, batch and group norm, and any spelling of one, by its numbers."""

from collections.abc import Iterator
from functools import lru_cache

import torch

from handgrad.checking.operations import Operation
from handgrad.checking.record import Node, Record, Tensor
from handgrad.checking.rules.norm_written import Norm, may_end, written


def recognise(record: Record, node: Node) -> Iterator[Operation]:
    """Yield a normalisation, with the operations inside it and the gain after it where it is written out."""
    y = node.outputs[0]
    found = _fused(node)
    if found is not None:
        named = {"x": node.args[0], "gamma": node.args[1 + (node.op == "native_layer_norm")]}
        named["beta"] = node.args[2 + (node.op == "native_layer_norm")]
        roles = {role: t for role, t in named.items() if t is not None and t.requires_grad}
        if "x" in roles:
            fixed = node.op == "native_batch_norm" and not node.args[5]
            yield Operation("norm_eval" if fixed else "norm", node, roles, y, {"norm": found})
    elif may_end(record, node):
        yield from written(record, node)


@lru_cache(maxsize=2)
def norms(record: Record) -> list[tuple[Node, Norm]]:
    """Return all normalisations of a run, each with the operation that ends it."""
    found = [o for node in record.nodes if node.outputs for o in recognise(record, node)]
    return [(o.node, o.attributes["norm"]) for o in found if o.kind == "norm"]


def _fused(node: Node) -> Norm | None:
    a, x = node.args, node.inputs[0] if node.inputs else None
    if x is None or node.op not in ("native_layer_norm", "native_batch_norm", "native_group_norm"):
        return None
    form, axes = tuple(x.shape), (0, *range(2, x.dim()))
    gain = None if a[1] is None else a[1]
    if node.op == "native_layer_norm":
        axes, gain = tuple(range(x.dim() - len(a[1]), x.dim())), a[2]
    elif node.op == "native_group_norm":
        form, axes = (a[3], a[6], -(-x.numel() // (a[3] * a[6]))), (2,)
    if gain is not None and node.op != "native_layer_norm":
        gain = gain.view(-1, *[1] * (x.dim() - 2))
    kept = [1 if axis in axes else size for axis, size in enumerate(form)]
    mean, rstd = (t.detach().numpy().reshape(kept) for t in _statistics(node))
    xhat = (x.detach().numpy().reshape(form) - mean) * rstd
    return Norm(form, axes, xhat, rstd, True, 1.0, 1.0 if gain is None else gain.detach().numpy())


def _statistics(node: Node) -> tuple[Tensor, Tensor]:
    """Return mean and 1 / std by which a layer of torch's normalises: in eval mode those that it keeps."""
    if node.op == "native_batch_norm" and not node.args[5]:
        return node.args[3], 1 / torch.sqrt(node.args[4] + node.args[7])
    return node.outputs[1], node.outputs[2]
