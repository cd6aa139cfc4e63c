"""An operand is read wrongly: the right formula with another tensor of the run in one place.

The operation is differentiated anew with every other tensor of a fitting shape in each of its slots, and with the
samples in another order. By what was read, and from where, the mistake has its name.
"""

from collections.abc import Iterator
from itertools import pairwise, starmap

import numpy as np
import torch

from handgrad.checking.finders.probe import Probe
from handgrad.checking.finders.slots import LINEAR, Other, Others, Slot, made_by, reading, slots, wrong
from handgrad.checking.finders.ways import VIEWS, Ways, seen_as
from handgrad.checking.operations import Operation
from handgrad.checking.record import Array, Tensor
from handgrad.checking.search import Proposal, Search

STEP = "LIN-UPDATED-WEIGHTS"
# Functions of one operand that may be written over it.
ACTIVATIONS = {"tanh", "sigmoid", "softplus", "mish", "gelu", "silu", "elu", "selu", "celu", "hardswish", "relu6"}
LAYERS = {"mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "convolution", "add"}


def find(search: Search) -> Iterator[Proposal]:
    """Yield every operand that, read from elsewhere, gives the error."""
    ways, probe = Ways(search.record), Probe(search)
    others = Others(ways)
    for operation in reversed(search.near):
        up = search.up(operation.output)
        if operation.kind != "any" or operation.node.op in VIEWS or not up.any():
            continue
        true = contributions(search, operation)
        for slot in slots(operation):
            yield from _exchanged(search, probe, others, slot, up, true)
            yield from _relaid(search, probe, ways, slot, up, true)
            yield from _reordered(probe, slot, up, true)
            yield from _stepped(search, probe, ways, slot, up, true)
        yield from _other_delta(search, probe, others, operation, true)


def contributions(search: Search, operation: Operation) -> dict[int, Array]:
    """Return the operation's right contributions to its operands' gradients, by their identity."""
    use = search.use(operation)
    return {id(t): use.true[role] for role, t in operation.roles.items()}


def parts(operation: Operation, off: dict[int, Array]) -> Iterator[list[tuple[Tensor, Array]]]:
    """Yield what may be off together: all operands that depend on the slot, or one of them."""
    operands = {id(t): t for t in operation.roles.values()}
    pairs = [(operands[key], delta) for key, delta in off.items()]
    yield pairs
    if len(pairs) > 1:
        yield from ([pair] for pair in pairs)


def proposal(
    identity: str, sentence: str, detail: str, operations: list[Operation], pairs: list[tuple[Tensor, Array]]
) -> Proposal:
    """Return a proposal of these changes."""
    changes = [(tensor, torch.from_numpy(np.ascontiguousarray(delta))) for tensor, delta in pairs]
    return Proposal(identity, sentence, detail, operations, changes)


def _exchanged(
    search: Search, probe: Probe, others: Others, slot: Slot, up: Tensor, true: dict[int, Array]
) -> Iterator[Proposal]:
    found = others.of(slot)
    reads = reading(slot, up, probe)
    if reads is not None:
        own = slot.tensor.detach().numpy()
        with np.errstate(invalid="ignore"):
            found = [o for o in found if probe.fits(np.array([(c * (o.value.numpy() - own)).sum() for c in reads]))]
    for other in found:
        off = wrong(slot, other.value, up, true)
        for pairs in parts(slot.operation, off):
            if pairs and probe.fits(probe.total(pairs)):
                for identity, sentence in named(others.ways, search, slot, other):
                    yield proposal(identity, sentence, "", [slot.operation], pairs)


def _relaid(
    search: Search, probe: Probe, ways: Ways, slot: Slot, up: Tensor, true: dict[int, Array]
) -> Iterator[Proposal]:
    """Yield an operand that is reshaped where its axes are to be exchanged first."""
    root = ways.root(slot.tensor)
    exchanged = any(node.op in ("permute", "transpose", "movedim") for node in ways.chain(slot.tensor))
    if slot.operand < 0 or not exchanged or root.numel() != slot.tensor.numel():
        return
    off = wrong(slot, root.detach().reshape(slot.tensor.shape), up, true)
    for pairs in parts(slot.operation, off):
        if pairs and probe.fits(probe.total(pairs)):
            sentence = f"{label(search, slot.tensor)} is reshaped without exchanging its axes first"
            yield proposal("SHAPE-FLATTEN-ORDER", sentence, "", [slot.operation], pairs)


def named(ways: Ways, search: Search, slot: Slot, other: Other) -> Iterator[tuple[str, str]]:
    """Yield (id, sentence) for reading `other` instead of the slot's own tensor."""
    own, taken = ways.root(slot.tensor), ways.root(other.source)
    node = slot.operation.node
    what = f"{label(search, other.source)} is read where {label(search, slot.tensor)} belongs"
    if own is taken:
        return
    turn = same_turns(ways, slot, taken)
    if turn is not None:
        if turn and ways.layers(own, taken):
            yield "LIN-WRONG-CACHE", f"{what}: the value of another layer"
        elif turn:
            yield "BPTT-WRONG-STEP", f"{what}: the value of another step"
        else:
            yield "CACHE-STALE", f"{what}: the values of another call of the same code are still in the cache"
        return
    maker = ways.maker.get(id(taken))
    if node.op in ACTIVATIONS and maker is node and slot.operand == 0:
        yield "ACT-TWICE", f"the derivative is evaluated at the result: {what}"
        yield "CACHE-INPLACE", f"the operand was overwritten by the result before the backward read it: {what}"
        return
    # An expression's own parts, read in place of each other, are a wrong derivative and not a wrong cache.
    known = any(taken is ways.root(t) for t in search.record.named.values())
    own_part = node.op == "mul" and any(taken is ways.root(t) for t in node.inputs)
    if known and node.op in LINEAR and slot.operand >= 0 and not own_part:
        yield "LIN-WRONG-CACHE", what


def same_turns(ways: Ways, slot: Slot, taken: Tensor) -> bool | None:
    """Return whether `taken` is the slot's tensor of another turn of a loop (True), or of another call (False)."""
    group = ways.group(slot.operation.node)
    in_slot = [slot.operation.output if slot.operand < 0 else n.inputs[slot.operand] for n in group]
    if slot.operand < 0:
        in_slot = [n.outputs[0] for n in group]
    roots = [ways.root(t) for t in in_slot]
    makers = [m for m in (made_by(ways, t) for t in in_slot) if m is not None]
    maker = ways.maker.get(id(taken))
    if ways.twins(ways.root(slot.tensor), taken) and not any(maker is m for m in ways.group(makers[0])):
        return False
    if not any(taken is t for t in roots) and not any(maker in ways.group(m) for m in makers):
        return None
    own = ways.root(slot.tensor)
    outputs = [n.outputs[0] for n in group]
    return ways.dependent(own, taken) or any(starmap(ways.dependent, pairwise(outputs)))


def label(search: Search, tensor: Tensor) -> str:
    """Return a tensor's name, or which operation made it."""
    ways = Ways(search.record)
    root = ways.root(tensor)
    for name, known in search.record.named.items():
        if known is tensor or known is root:
            return name
    maker = ways.maker.get(id(root))
    return f"the result of {maker.op} (line {maker.line})" if maker is not None else "another tensor"


def _reordered(probe: Probe, slot: Slot, up: Tensor, true: dict[int, Array]) -> Iterator[Proposal]:
    """Yield the samples in another order: moved by any number, reversed, two exchanged."""
    value, reads = slot.tensor.detach(), reading(slot, up, probe)
    if reads is None or value.dim() < 2 or not 1 < value.shape[0] <= 128:
        return
    rows = value.numpy().reshape(len(value), -1)
    products = [rows @ c.reshape(len(value), -1).T for c in reads]  # [m, n]: sample m read where n belongs
    place = np.arange(len(value))
    for order, how in _orders(len(value)):
        if probe.fits(np.array([k[order, place].sum() - np.trace(k) for k in products])):
            off = wrong(slot, value[order], up, true)
            for pairs in parts(slot.operation, off):
                sentence = f"the samples of an operand are {how}: those of the activation and of the delta differ"
                yield proposal("LIN-SAMPLE-MISALIGNED", sentence, "", [slot.operation], pairs)


def _orders(size: int) -> Iterator[tuple[Array, str]]:
    index = np.arange(size)
    for by in range(1, size):
        yield np.roll(index, by), f"moved by {min(by, size - by)}"
    if size > 2:
        yield index[::-1].copy(), "in reverse"
    for i in range(size):
        for j in range(i + 1, size):
            order = index.copy()
            order[[i, j]] = order[[j, i]]
            yield order, f"exchanged, {i} with {j}"


def _stepped(
    search: Search, probe: Probe, ways: Ways, slot: Slot, up: Tensor, true: dict[int, Array]
) -> Iterator[Proposal]:
    """Yield W - lr dW in place of the parameter W, the rate lr being the one constant that gives the error."""
    root = ways.root(slot.tensor)
    name = next((n for n in search.record.parameters if search.record.named[n] is root), None)
    grad = search.current.get(id(root))
    if name is None or grad is None or slot.operand < 0:
        return
    along = seen_as(ways.chain(slot.tensor), grad.detach())
    off = wrong(slot, slot.tensor.detach() + along, up, true)
    off.pop(id(slot.tensor), None)
    for pairs in parts(slot.operation, off):
        rate = probe.factor(probe.total(pairs)) if pairs else None
        if rate is not None and rate < 0:
            scaled = [(tensor, rate * delta) for tensor, delta in pairs]
            sentence = f"{name} is stepped before the gradient is sent back through it: {name} - lr d{name} is read"
            yield proposal(STEP, sentence, f"lr = {-rate:.6g}", [slot.operation], scaled)


def _other_delta(
    search: Search, probe: Probe, others: Others, operation: Operation, true: dict[int, Array]
) -> Iterator[Proposal]:
    """Yield the gradient of another tensor sent back through the operation, in place of its result's."""
    ways, output = others.ways, operation.output
    if operation.node.op not in LAYERS:
        return
    for tensor in others.by_shape.get(tuple(output.shape), []):
        up = search.current.get(id(tensor))
        if tensor is output or up is None or torch.equal(up, search.up(output)):
            continue
        made = operation.true(search.record, up)
        off = {id(t): made[role] - true[id(t)] for role, t in operation.roles.items()}
        for pairs in parts(operation, off):
            if probe.fits(probe.total(pairs)):
                sent = label(search, tensor)
                if id(output) in ways.above(tensor):
                    raw = f"the gradient of {sent} is sent back, not the delta: the step from it to here is left out"
                    yield proposal("LIN-RAW-ERROR", raw, "", [operation], pairs)
                elif ways.maker.get(id(tensor)) in ways.group(operation.node) and not ways.layers(output, tensor):
                    sentence = f"the gradient of {sent} is sent back: that of another step"
                    yield proposal("BPTT-WRONG-STEP", sentence, "", [operation], pairs)
                else:
                    sentence = f"the gradient of {sent} is sent back in place of this one's"
                    yield proposal("LIN-WRONG-CACHE", sentence, "", [operation], pairs)
