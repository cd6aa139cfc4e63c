"""Attention computed again in the backward without its mask: the probabilities are other ones wherever they stand."""

from collections.abc import Iterator

import numpy as np
import torch

from handgrad.checking.finders.substitution import proposal
from handgrad.checking.finders.ways import Ways, seen_as, vjp
from handgrad.checking.record import Array, Node, Tensor
from handgrad.checking.search import Proposal, Search

SOFTMAXES = ("_softmax", "_safe_softmax")


def find(search: Search) -> Iterator[Proposal]:
    """Yield the probabilities without their mask: in the product with the values, in softmax's own, in both."""
    ways = Ways(search.record)
    for node in search.record.nodes:
        if node.op in SOFTMAXES:
            scores = _unmasked(ways, node)
            if scores is not None:
                yield from _without(search, ways, node, scores)


def _unmasked(ways: Ways, node: Node) -> Tensor | None:
    """Return the scores before what hides some of them with -inf (or a very negative number); None if none does."""
    masked = node.inputs[0].detach()
    maker = ways.maker.get(id(ways.root(node.inputs[0])))
    if maker is None or not (masked < -1e8).any():
        return None
    for tensor in maker.inputs:
        value = tensor.detach()
        if value.shape == masked.shape and value.is_floating_point() and not (value < -1e8).any():
            return value
    return None


def _without(search: Search, ways: Ways, node: Node, scores: Tensor) -> Iterator[Proposal]:
    axis = int(node.args[1])
    masked, p = node.inputs[0].detach(), node.outputs[0]
    log_sum = torch.logsumexp(masked, axis, keepdim=True)
    anew = (torch.softmax(scores, axis), "normalised anew")
    kept = (torch.exp(scores - log_sum), "normalised as with it")
    sentence = "the probabilities are computed again without the mask: what it hides comes back"
    operations = [o for o in search.near if o.kind == "any" and o.node is node]
    for again, how in (anew, kept):
        if not bool(again.isfinite().all()):
            continue
        used = _read_again(search, ways, p, again)
        for change in (used, []):
            up = search.up(p)
            for row in (up * p.detach(), up * again):
                ds = (again * (up - row.sum(axis, keepdim=True))).numpy()
                off = ds - search.up(ways.root(node.inputs[0])).numpy()
                source = _source(ways, node, scores)
                pairs = [*change, (source, off)] if source is not None else change
                if pairs:
                    yield proposal("ATT-MASK-LOST", sentence, how, operations, pairs)
        if used:
            yield proposal("ATT-MASK-LOST", sentence, how, operations, used)


def _source(ways: Ways, node: Node, scores: Tensor) -> Tensor | None:
    """Return the tensor of the scores, whose gradient the mask should cut."""
    maker = ways.maker[id(ways.root(node.inputs[0]))]
    return next((t for t in maker.inputs if t.requires_grad and t.shape == scores.shape), None)


def _read_again(search: Search, ways: Ways, p: Tensor, again: Tensor) -> list[tuple[Tensor, Array]]:
    """Return by how much the other operands of products with the probabilities are off."""
    found: list[tuple[Tensor, Array]] = []
    for node in search.record.nodes:
        for tensor in node.inputs:
            if node.op in ("mm", "bmm") and ways.root(tensor) is p:
                other = next(t for t in node.inputs if t is not tensor)
                value = seen_as(ways.chain(tensor), again)
                up = search.up(node.outputs[0])
                made = vjp(node, up, [other], {id(tensor): value})[id(other)]
                true = vjp(node, up, [other], {})[id(other)]
                if other.requires_grad:
                    found.append((other, np.asarray(made - true)))
    return found
