"""Mistakes that any operation can have: a gradient times a constant, a branch lost, counted twice or with its sign."""

import math
from collections.abc import Iterable, Iterator, Sequence

from handgrad.checking.record import Record, Tensor
from handgrad.checking.rules import Rule, Use, Wrong

MEANS = ("mean", "mse_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "smooth_l1_loss", "huber_loss")


def sizes(record: Record) -> dict[str, float]:
    """Return the numbers by which people wrongly multiply or divide here, with what each is."""
    found: dict[str, float] = {}
    batch = [record.named[n].shape[0] for n in record.inputs if record.named[n].dim() > 0]
    if batch:
        found["the batch size"] = float(max(set(batch), key=batch.count))
    for node in record.nodes:
        if node.op in MEANS and node.outputs and node.outputs[0].dim() == 0 and node.inputs[0].numel() > 1:
            found.setdefault("the mean's count", float(node.inputs[0].numel()))
    others = {int(size) for tensor in record.tensors for size in (*tensor.shape, tensor.numel())}
    for size in sorted(others):
        if size > 1 and float(size) not in found.values():
            found["a tensor's size"] = found.get("a tensor's size", float(size))
            found[f"the size {size}"] = float(size)
    found.pop("a tensor's size", None)
    return found


def named_ratio(use: Use, roles: Sequence[str], ratio: float, target: Tensor) -> Iterator[tuple[str, str]]:
    """Yield (id, sentence) of all that multiplies a contribution by this constant; nothing where none is known."""

    def near(value: float) -> bool:
        return abs(ratio - value) <= 1e-9 * abs(value)

    if near(1):
        return
    batch = use.sizes.get("the batch size", 0.0)
    parameter = target.grad_fn is None
    if abs(ratio) < 1e-9:
        yield "ACC-BRANCH-LOST", "one consumer's gradient is not added"
    if near(-1):
        if use.operation.node.op in ("sub", "rsub", "neg"):
            yield "OP-SUB-SIGN", "u - v hands -grad to v: the sign is lost"
        else:
            yield "LOSS-SIGN", "the sign is wrong"
    if near(2) and len(roles) < len(use.true) + (len(use.true) == 1):
        yield "ACC-DOUBLE-COUNT", "a contribution is added twice"
    if near(2) or near(0.5):
        yield (
            "LOSS-FACTOR-2",
            "a factor 2 too much" if ratio > 1 else "the factor 2 of the square's derivative is missing",
        )
    count = use.sizes.get("the mean's count", 0.0)
    if count > 1 and count != batch and near(count):
        yield "LOSS-NO-MEAN", f"1/N with N = {count:g} is missing: the loss is a mean, its gradient a sum"
    if batch > 1 and near(batch):
        yield "LOSS-NO-MEAN", f"1/N with N = {batch:g} is missing: the loss is a mean, its gradient a sum"
    if batch > 1 and near(1 / batch):
        yield (
            "BIAS-MEAN" if parameter and target.dim() == 1 else "LOSS-DOUBLE-MEAN",
            f"1/N with N = {batch:g} is applied once too often",
        )
    for name, size in use.sizes.items():
        if name in ("the batch size", "the mean's count") and near(size):
            continue
        if near(size) or near(1 / size):
            yield (
                "LOSS-WRONG-COUNT",
                f"the wrong count: {name} is {'multiplied in' if ratio > 1 else 'divided by once too often'}",
            )
        if near(math.sqrt(size)) or near(1 / math.sqrt(size)):
            yield (
                "ATT-SCALE",
                f"the scale 1/sqrt({size:g}) is applied {'too rarely' if ratio > 1 else 'once too often'}",
            )
        if batch > 1 and near(batch / size):
            yield "LOSS-WRONG-COUNT", f"the wrong count: divided by {name}, not by {batch:g}"


def _bias_mean(use: Use) -> Iterable[tuple[str, Wrong]]:
    for role, true in use.true.items():
        if true.ndim < use.up.ndim or true.shape != use.up.shape:
            yield role, {role: true / use.up.shape[0]}


def _bias_sum_all(use: Use) -> Iterable[tuple[str, Wrong]]:
    for role, true in use.true.items():
        if true.ndim < use.up.ndim and true.size > 1:
            yield role, {role: 0 * true + use.up.sum()}


EDGES = [
    Rule("BIAS-MEAN", ("add", "matmul"), "the bias gradient is averaged over the batch: it is a sum", _bias_mean),
    Rule(
        "BIAS-SUM-ALL",
        ("add", "matmul"),
        "the bias gradient is summed over all axes: every entry is the same",
        _bias_sum_all,
    ),
]
