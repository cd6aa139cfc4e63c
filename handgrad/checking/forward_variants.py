"""What people's forwards compute instead: each entry yields (id, sentence, other result) for a node of the record."""

from collections.abc import Callable, Iterator

import torch

from handgrad.checking.operations import FUNCTIONS, Operation
from handgrad.checking.record import Node, Record, Tensor

Others = Iterator[tuple[str, str, Tensor]]


def _reduction(record: Record, node: Node) -> Others:
    """A mean that is a sum, one that divides by n - 1 or by another size, and the reverse."""
    out = node.outputs[0]
    if node.op not in ("mean", "sum", "var", "mse_loss") or not node.inputs or out.numel() == 0:
        return
    n = node.inputs[0].numel() / out.numel()
    if n < 2:
        return
    identity = "LOSS-NO-MEAN" if out is record.loss else "FORWARD-MEAN"
    if node.op == "sum":
        yield identity, f"the mean over {n:g} is taken where torch's side has the sum", out / n
    elif node.op == "var":
        yield "NORM-DDOF-FORWARD", "the variance divides by n, torch's by n - 1", out * (n - 1) / n
        yield "NORM-DDOF-FORWARD", "the variance divides by n - 1, torch's by n", out * n / (n - 1)
    else:
        yield identity, f"the sum is taken where torch's side has the mean over {n:g}", out * n
        yield "NORM-DDOF-FORWARD", f"the mean divides by n - 1 = {n - 1:g}, not by n = {n:g}", out * n / (n - 1)
        for size in sorted({float(size) for size in node.inputs[0].shape} - {1.0, n}):
            yield "LOSS-WRONG-COUNT", f"the mean divides by {size:g}, not by {n:g}", out * n / size


def _loss_factor(record: Record, node: Node) -> Others:
    out = node.outputs[0]
    if out is record.loss:
        yield "LOSS-FACTOR-2", "the loss is twice torch's: a 1/2 is missing", 2 * out
        yield "LOSS-FACTOR-2", "the loss is half of torch's: a 1/2 too much", out / 2
        yield "LOSS-SIGN", "the loss has the other sign", -out


def _root(record: Record, node: Node) -> Others:
    """sqrt(var + eps) with eps elsewhere."""
    power = {"sqrt": 0.5, "rsqrt": -0.5}.get(node.op)
    if node.op == "pow" and node.args[1] in (0.5, -0.5):
        power = float(node.args[1])
    made = [m for m in record.nodes if node.inputs and any(node.inputs[0] is t for t in m.outputs)]
    if power is None or not made or made[-1].op not in ("add", "add_") or isinstance(made[-1].args[1], Tensor):
        return
    eps = float(made[-1].args[1])
    for identity, sentence, deviation in _deviations(eps):
        found = deviation(node.inputs[0] - eps)
        yield identity, sentence, found if power > 0 else 1 / found


def _deviations(eps: float) -> Iterator[tuple[str, str, Callable[[Tensor], Tensor]]]:
    """Yield what people take for sqrt(var + eps), as a function of the variance."""
    yield "NORM-EPS-PLACE", "eps is added to the root, not under it: sqrt(var) + eps", lambda var: var.sqrt() + eps
    yield "NORM-EPS-PLACE", "eps is left out: sqrt(var)", torch.sqrt
    for other in sorted({1e-2, 1e-3, 1e-5, 1e-6, 1e-7, 1e-8} - {eps}):
        sentence = f"eps is {other:g}, torch's side has {eps:g}"
        yield "NORM-EPS-VALUE", sentence, lambda var, other=other: (var + other).sqrt()  # type: ignore[misc]
        sentence = f"eps is added to the root, not under it, and is {other:g}: sqrt(var) + eps"
        yield "NORM-EPS-PLACE", sentence, lambda var, other=other: var.sqrt() + other  # type: ignore[misc]


def _fused_norm(record: Record, node: Node) -> Others:
    """torch's own norms, whose variance cannot be seen from outside."""
    found = _parts(node)
    if found is None:
        return
    x, axes, eps, gain, shift = found

    def result(axes: tuple[int, ...], deviation: Callable[[Tensor], Tensor]) -> Tensor:
        centred = x - x.mean(axes, keepdim=True)
        normed = centred / deviation((centred**2).mean(axes, keepdim=True))
        normed = normed.reshape(node.outputs[0].shape)
        normed = normed if gain is None else normed * gain
        return normed if shift is None else normed + shift

    n = 1
    for axis in axes:
        n *= x.shape[axis]
    if n > 1:
        sentence = f"the variance divides by n - 1 = {n - 1}, torch's by n = {n}"
        yield "NORM-DDOF-FORWARD", sentence, result(axes, lambda var: (var * n / (n - 1) + eps).sqrt())
    for identity, sentence, deviation in _deviations(eps):
        yield identity, sentence, result(axes, deviation)
    for bits in range(1, 2 ** x.dim()):
        other = tuple(i for i in range(x.dim()) if bits >> i & 1)
        if other != axes:
            sentence = f"the statistics are taken over the axes {other}, not {axes}"
            yield "NORM-WRONG-AXIS", sentence, result(other, lambda var: (var + eps).sqrt())


def _parts(node: Node) -> tuple[Tensor, tuple[int, ...], float, Tensor | None, Tensor | None] | None:
    """Return x in the shape in which it is normalised, the axes, eps, the gain and the shift."""

    def by_channel(t: Tensor | None) -> Tensor | None:
        return None if t is None else t.view(-1, *[1] * (node.inputs[0].dim() - 2))

    a = node.args
    if node.op == "native_layer_norm":
        return a[0], tuple(range(a[0].dim() - len(a[1]), a[0].dim())), a[4], a[2], a[3]
    if node.op == "native_batch_norm" and a[5]:
        return a[0], (0, *range(2, a[0].dim())), a[7], by_channel(a[1]), by_channel(a[2])
    if node.op == "native_group_norm":
        return a[0].reshape(a[3], a[6], -1), (2,), a[7], by_channel(a[1]), by_channel(a[2])
    return None


LOSSES = (
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits",
)  # fmt: skip


def _broadcast(record: Record, node: Node) -> Others:
    """(N, 1) with (N,): an (N, N) table where torch's side has N numbers."""
    functions: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "sub": torch.sub,
        "mul": torch.mul,
        "add": torch.add,
        "div": torch.div,
    }
    if node.op not in (*functions, *LOSSES) or len(node.inputs) != 2:
        return
    a, b = node.inputs
    n = a.numel()
    if a.shape == b.shape and n > 1 and max(a.shape) == n:
        for left, right in (((n, 1), (1, n)), ((1, n), (n, 1))):
            pair = (a.reshape(left).expand(n, n), b.reshape(right).expand(n, n))
            function = functions.get(node.op, node.func)
            result = function(*pair, *(() if node.op in functions else node.args[2:]))
            yield "LOSS-BROADCAST", f"(N, 1) meets (N,) and makes an (N, N) table, N = {n}: reshape one", result


def _layout(record: Record, node: Node) -> Others:
    if node.op in ("t", "transpose", "permute") and node.inputs[0].dim() > 1:
        result = node.inputs[0].reshape(node.outputs[0].shape)
        yield "SHAPE-FLATTEN-ORDER", "a reshape stands where the axes have to be exchanged", result


def _left_out(record: Record, node: Node) -> Others:
    """An operation that hands on one of its operands."""
    out = node.outputs[0]
    for tensor in node.inputs:
        if tensor.is_floating_point() and tensor.shape == out.shape and tensor is not out:
            names = [n for t in node.inputs if t is not tensor for n, named in record.named.items() if named is t]
            yield "FORWARD-LEFT-OUT", f"{node.op}{f' with {names[0]}' if names else ''} is left out", tensor.detach()


def of_function(operation: Operation) -> Others:
    """Yield another activation, and a softmax over another axis."""
    if operation.kind in FUNCTIONS:
        x = operation.roles["x"].detach()
        for name, function in FUNCTIONS.items():
            if name != operation.kind:
                identity = "ACT-VARIANT" if "gelu" in name and "gelu" in operation.kind else "ACT-OTHER"
                yield identity, f"the activation is {name}, torch's side has {operation.kind}", function(x)
        if "gelu" in operation.kind:
            yield "ACT-VARIANT", "GELU is taken as x sigmoid(1.702 x)", x * torch.sigmoid(1.702 * x)
    if operation.kind in ("softmax", "log_softmax"):
        x, right = operation.roles["x"].detach(), operation.attributes["axis"]
        for axis in set(range(x.dim())) - {right}:
            result = torch.softmax(x, axis) if operation.kind == "softmax" else torch.log_softmax(x, axis)
            yield "SOFTMAX-AXIS", f"the softmax runs over axis {axis}, not {right}", result


# The likelier first: of two that give the same numbers the first is named first.
VARIANTS: list[Callable[[Record, Node], Others]] = [
    _reduction,
    _loss_factor,
    _root,
    _fused_norm,
    _broadcast,
    _layout,
    _left_out,
]
