"""Losses: what is multiplied, masked, clipped or labelled wrongly between the prediction and the loss."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from handgrad.checking.record import Array
from handgrad.checking.rules.activation import slope
from handgrad.checking.rules.rule import Rule, Use, Wrong, elementwise

Wrongs = Iterable[tuple[str, Wrong]]

# What may stand between an element-wise loss and its total.
REDUCING = ("sum", "mean", "div", "mul", "neg", "add", "sub", "rsub", "view", "reshape", "squeeze", "index", "select")
# ... and between a probability and its loss.
BY_ENTRY = (
    *REDUCING, "log", "log1p", "clamp", "clamp_min", "clamp_max", "pow", "gather", "nll_loss_forward", "where",
    "binary_cross_entropy", "mse_loss", "select", "unsqueeze", "nll_loss2d_forward", "t", "transpose", "permute",
)  # fmt: skip


def _p(use: Use) -> Array:
    return np.exp(use["y"]) if use.operation.kind == "log_softmax" else use["y"]


def _reaches_the_loss(use: Use, through: tuple[str, ...] = REDUCING) -> bool:
    """Return whether nothing but such operations stands between the output and the loss."""
    found = {id(use.operation.output)}
    for node in use.record.nodes[use.operation.node.index + 1 :]:
        if any(id(t) in found for t in node.inputs):
            if node.op not in through:
                return False
            found.update(id(t) for t in node.outputs)
    return id(use.record.loss) in found


def _rows(use: Use, array: Array) -> Array:
    """Return an array shaped as the logits with the classes last, and all else in one axis before them."""
    axis = use.operation.attributes["axis"]
    return np.moveaxis(array, axis, -1).reshape(-1, array.shape[axis])


def _unrows(use: Use, rows: Array) -> Array:
    axis, shape = use.operation.attributes["axis"], use["x"].shape
    last = (*shape[:axis], *shape[axis + 1 :], shape[axis])
    return np.moveaxis(rows.reshape(last), -1, axis)


def _labels(use: Use) -> Iterator[Array]:
    """Yield the class labels among the inputs: whole numbers, one for each row of logits."""
    rows = _rows(use, use["x"])
    for name in use.record.inputs:
        found = use.record.named[name].detach().numpy()
        if found.dtype.kind in "iu" and found.size == len(rows) and found.max(initial=0) < rows.shape[1]:
            yield found.reshape(-1)


def _onehot(labels: Array, classes: int) -> Array:
    return np.asarray(labels[:, None] == np.arange(classes), dtype=np.float64)  # none where there is no such class


def _weights(p: Array, grad: Array, onehot: Array) -> Array | None:
    """Return w of grad = w (p - onehot), row by row; None where the gradient is not of that form."""
    others = (1 - onehot) * p
    w = (grad * others).sum(1) / (others**2).sum(1)
    form = w[:, None] * (p - onehot)
    return (
        w if np.abs(grad - form)[np.asarray(w != 0)].max(initial=0.0) <= 1e-9 * np.abs(grad).max(initial=0.0) else None
    )


def _targets(make: Callable[[Array, Array, Array, Array | None], Iterable[Array]]) -> Callable[[Use], Wrongs]:
    """Apply make(p, right gradient, labels, weights by row) to a loss of softmax(logits), row by row."""

    def formula(use: Use) -> Wrongs:
        p, grad = _rows(use, _p(use)), _rows(use, use.true["x"])
        for labels in _labels(use):
            used = grad.any(axis=1)
            w = _weights(p[used], grad[used], _onehot(labels, p.shape[1])[used])
            weights = None
            if w is not None:
                weights = np.zeros(len(p))
                weights[used] = w
            for wrong in make(p, grad, labels, weights):
                yield "", {"x": _unrows(use, wrong)}

    return formula


def _shifted(p: Array, grad: Array, labels: Array, w: Array | None) -> Iterator[Array]:
    if w is not None:
        targets, share, spread = w[:, None] * p - grad, w, np.zeros(len(p))
    else:
        share, spread = _smoothed(p, grad, labels)
        targets = share[:, None] * p - grad  # share times the target: smoothed ones, high at the label
        if np.abs(np.where(_onehot(labels, p.shape[1]) > 0, 0.0, targets - spread[:, None])).max() > 1e-9 * share.max():
            return
    for other in (labels + 1, labels - 1, (labels + 1) % p.shape[1], (labels - 1) % p.shape[1]):
        high = (targets * _onehot(labels, p.shape[1])).sum(1)
        moved = np.where(_onehot(other, p.shape[1]) > 0, high[:, None], spread[:, None])
        yield share[:, None] * p - moved


def _smoothed(p: Array, grad: Array, labels: Array) -> tuple[Array, Array]:
    """Return w and s of grad = w p - s away from the label, row by row: least squares over the other classes."""
    rest = 1 - _onehot(labels, p.shape[1])
    n = rest.sum(1)
    mean_p, mean_g = (p * rest).sum(1) / n, (grad * rest).sum(1) / n
    off = (p - mean_p[:, None]) * rest
    with np.errstate(all="ignore"):
        w = np.nan_to_num((off * grad).sum(1) / (off**2).sum(1))
    return w, w * mean_p - mean_g


def _hard(p: Array, grad: Array, labels: Array, w: Array | None) -> Iterator[Array]:
    """The targets are smoothed, so the gradient is none of a hard one; the mean's count is that of the rows."""
    if w is None:
        used = np.asarray(grad.any(axis=1))
        for count in (used.sum(), len(p), 1):
            yield used[:, None] * (p - _onehot(labels, p.shape[1])) / count


def _unmasked(p: Array, grad: Array, labels: Array, w: Array | None) -> Iterator[Array]:
    """Rows that do not count get the gradient of the label that stands there, or of class 0 or the last."""
    if w is not None and (w == 0).any() and w.any():
        weights = np.where(w == 0, np.median(w[w != 0]), w)
        for there in (labels, np.where(w == 0, 0, labels), np.where(w == 0, labels % p.shape[1], labels)):
            yield weights[:, None] * (p - _onehot(there, p.shape[1]))


def _count(use: Use) -> Wrongs:
    """A weighted mean, or one over what is valid, divided by another count."""
    if use.operation.node.op != "nll_loss_forward":
        return
    total, labels = use.operation.node.outputs[1:], use.operation.node.args[1].numel()
    if total[0].numel() == 1 and float(total[0]) != labels:
        yield "", {"x0": use.true["x0"] * float(total[0]) / labels}


def _other_divisor(use: Use) -> Wrongs:
    """A total divided by a count, as of a mask, and a gradient divided by a size of the run."""
    x = use["x0"] if "x0" in use.true else None
    if x is not None and x.size == 1 and use["y"].size == 1 and len(use.operation.node.inputs) == 2:
        count = float(use.operation.node.inputs[1].detach())
        if _reaches_the_loss(use) and count > 1:
            for name, size in use.sizes.items():
                yield f"{name} = {size:g} for {count:g}", {"x0": use.true["x0"] * count / size}


def _no_count(use: Use) -> Wrongs:
    if use.operation.node.op == "nll_loss_forward" and use.operation.node.outputs[1].numel() == 1:
        yield "", {"x0": use.true["x0"] * float(use.operation.node.outputs[1])}


def _undivided(use: Use) -> Wrongs:
    """A total that is divided by a constant, and a gradient that is not."""
    if use["y"].size == 1 and "x0" in use.true and use["x0"].size == 1 and _reaches_the_loss(use):
        count = abs(float(use.up.sum()) / float(use.true["x0"].sum())) if use.true["x0"].any() else 0.0
        if count == 2 or (use.operation.kind == "mul" and count not in use.sizes.values()):
            return  # a half is the square's, no count; nor is any other weight of a term
        yield "", {"x0": use.up.reshape(use["x0"].shape)}


def _mask_lost(use: Use) -> Wrongs:
    for role in use.true:
        others = [t.detach().numpy() for t in use.operation.node.inputs if t is not use.operation.roles[role]]
        masks = [set(np.unique(other)) == {0.0, 1.0} for other in others]
        if any(masks) and use[role].shape == use.up.shape and _reaches_the_loss(use):
            yield "", {role: use.up}


def _clip(use: Use) -> Wrongs:
    if use.operation.node.op in ("clamp", "clamp_min", "clamp_max", "hardtanh") and "x0" in use.true:
        yield "", {"x0": use.up}


def _fused_although_clipped(use: Use) -> Wrongs:
    """p - t of a sigmoid, though the probability is clipped on the way to the loss."""
    p, grad = use["y"], use.true["x"]
    if not (grad == 0).any() or not grad.any():
        return
    for name in use.record.inputs:
        t = use.record.named[name].detach().numpy()
        if t.shape == p.shape and t.dtype.kind == "f":
            used = np.asarray(grad != 0)
            ratio = np.median(grad[used] / (p - t)[used])
            if np.abs(grad - ratio * (p - t))[used].max() <= 1e-9 * np.abs(grad).max():
                yield "", {"x": ratio * (p - t)}


def _of_logits(use: Use) -> Wrongs:
    if use.operation.node.op == "binary_cross_entropy_with_logits" and "x0" in use.true:
        p = 1 / (1 + np.exp(-use["x0"]))
        yield "", {"x0": use.true["x0"] * p * (1 - p)}


LOGITS = ("softmax", "log_softmax")
RULES = [
    Rule(
        "LOSS-EXTRA-FPRIME",
        (*LOGITS, "sigmoid"),
        "f'(z) is multiplied in once more: p - y has it already, since the logarithm's derivative cancels it",
        elementwise(lambda u: u.true["x"] * _p(u) * (1 - _p(u)) if _reaches_the_loss(u, BY_ENTRY) else None),
    ),
    Rule(
        "LOSS-EXTRA-FPRIME",
        ("any",),
        "f'(z) is multiplied in once more: p - y has it already, since the logarithm's derivative cancels it",
        _of_logits,
    ),
    Rule(
        "LOSS-EXTRA-FPRIME",
        ("exp", "tanh"),
        "f'(z) is multiplied in twice",
        elementwise(lambda u: u.true["x"] * slope(u, u["x"]) if _reaches_the_loss(u, BY_ENTRY) else None),
    ),
    Rule("LOSS-ONEHOT-SHIFT", LOGITS, "1 is subtracted at a class beside the label's", _targets(_shifted)),
    Rule(
        "LOSS-SMOOTHING-IGNORED",
        LOGITS,
        "the loss has smoothed targets, the gradient the hard one-hot",
        _targets(_hard),
    ),
    Rule("LOSS-MASK-LOST", LOGITS, "rows that the loss leaves out are in the gradient", _targets(_unmasked)),
    Rule("LOSS-MASK-LOST", ("mul",), "what the loss masks is not masked in the gradient", _mask_lost),
    Rule("LOSS-WRONG-COUNT", ("any",), "divided by the number of all, not by the weight of those that count", _count),
    Rule(
        "LOSS-WRONG-COUNT",
        ("div",),
        "divided by the number of all, not by the weight of those that count",
        _other_divisor,
    ),
    Rule("LOSS-NO-MEAN", ("any",), "the loss is a mean over those that count, its gradient a sum", _no_count),
    Rule("LOSS-NO-MEAN", ("div", "mul"), "the loss is divided by a count, its gradient is not", _undivided),
    Rule("LOSS-CLIP-IGNORED", ("any",), "the gradient passes where the value is clipped: there it is 0", _clip),
    Rule("LOSS-CLIP-IGNORED", ("sigmoid",), "p - t, though p is clipped on the way", _fused_although_clipped),
]
