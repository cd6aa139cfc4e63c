"""Pooling: ties of a maximum, places in a window, the divisor of a mean, the order of a flattened image."""

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np

from handgrad.checking.operations import Operation
from handgrad.checking.record import Array, Node, Record, Tensor
from handgrad.checking.rules.graph import between, only_reduced, sources, users
from handgrad.checking.rules.rule import Rule, Use, Wrong
from handgrad.checking.rules.windows import Windows, windowed

Wrongs = Iterable[tuple[str, Wrong]]
AVERAGED = (
    "mean",
    "div",
    "mul",
    "view",
    "_unsafe_view",
    "squeeze",
    "sum",
    "as_strided_",
)  # what the mean of a map may end with


def recognise(record: Record, node: Node) -> Iterator[Operation]:
    """Yield maxima and means over windows, maxima over axes, and the mean of all positions of a map."""
    y = node.outputs[0]
    x = node.inputs[0] if node.inputs else None
    if x is None or not x.requires_grad:
        return
    if node.op in ("max_pool2d_with_indices", "avg_pool2d"):
        yield _pool(record, node, x)
    elif node.op in ("amax", "max", "amin", "min") and y.numel() < x.numel() and len(node.inputs) == 1:
        yield Operation("max", node, {"x": x}, y)
    elif node.op in AVERAGED and y.dim() > 0:
        yield from _mean_of_map(record, node, y)


def _pool(record: Record, node: Node, x: Tensor) -> Operation:
    y = node.outputs[0]
    size = _two(node.args[1])
    stride = _two(node.args[2]) if len(node.args) > 2 and node.args[2] else size
    padding = _two(node.args[3]) if len(node.args) > 3 else (0, 0)
    is_max = node.op.startswith("max")
    dilation = _two(node.args[4]) if is_max and len(node.args) > 4 else (1, 1)
    windows = Windows(size, stride, padding, dilation, tuple(x.shape[-2:]), tuple(y.shape[-2:]))
    known = {"windows": windows, "areas": _areas(record)}
    if is_max:
        indices = node.outputs[1].numpy()
        patches = partial(_at_maximum, windows, indices)
        return Operation("max_pool", node, {"x": x}, y, known | {"patches": patches})
    inside = windows.take(np.ones(windows.shape), 0.0).sum(axis=(0, 1))
    padded = node.args[5] if len(node.args) > 5 else True
    divisor = (node.args[6] if len(node.args) > 6 else None) or (size[0] * size[1] if padded else inside)
    other = inside if padded else float(size[0] * size[1])
    known |= {"patches": partial(_spread, windows, divisor), "divisor": divisor, "other": other}
    return Operation("avg_pool", node, {"x": x}, y, known)


def _two(numbers: list[int]) -> tuple[int, int]:
    return (numbers[0], numbers[-1])


def _at_maximum(windows: Windows, indices: Array, up: Array) -> Array:
    """Return every window's gradient, which is at its maximum alone; `indices` count the places of the image."""
    numbers = np.arange(np.prod(windows.shape)).reshape(windows.shape)
    where = windows.take(numbers, -1.0)
    lead = indices.shape[:-2]
    return np.asarray((where == indices.reshape(*lead, 1, 1, *windows.count)) * up.reshape(*lead, 1, 1, *windows.count))


def _spread(windows: Windows, divisor: Array | float, up: Array) -> Array:
    each = (up / divisor).reshape(*up.shape[:-2], 1, 1, *windows.count)
    return np.broadcast_to(each, (*up.shape[:-2], *windows.size, *windows.count))


def _areas(record: Record) -> list[int]:
    """Return the numbers of positions of the run's maps and sequences."""
    return sorted({int(np.prod(t.shape[2:])) for t in record.tensors if t.dim() > 2})


def _mean_of_map(record: Record, node: Node, y: Tensor) -> Iterator[Operation]:
    """Yield y = the mean of x over its positions, unless it is part of a norm or of the loss."""
    if any(user.op in ("sub", "add", "add_", "rsqrt", "sqrt") for user in users(record).get(id(y), [])):
        return
    result = y.detach().numpy()
    for x in sources(record, y, 4):
        if x.dim() < 3 or x.numel() <= y.numel() or any(n.op not in AVERAGED for n in between(record, x, y)[:-1]):
            continue
        own = node.args[1] if node.op == "mean" and len(node.args) > 1 and node.inputs[0] is x else []
        for axes in (tuple(axis % x.dim() for axis in own), range(2, x.dim()), (1,), range(1, x.dim() - 1)):
            axes = tuple(axes)
            if not axes or 0 in axes:
                continue
            mean = x.detach().numpy().mean(axis=axes)
            if mean.size == result.size and np.allclose(mean.ravel(), result.ravel(), rtol=1e-11, atol=1e-13):
                if not only_reduced(record, y):
                    sides = [x.shape[axis] for axis in axes]
                    known = {"sides": sides, "areas": _areas(record)}
                    yield Operation("mean_of_map", node, {"x": x}, y, known, composite=True)
                return


def _undivided(use: Use) -> Wrongs:
    """Not divided by the number of positions, by one side of it alone, or by another map's."""
    if "x" not in use.true:
        return
    known = use.operation.attributes
    sides = known["sides"] if use.operation.kind == "mean_of_map" else known["windows"].size
    area = int(np.prod(sides))
    yield f"not divided by {area}", {"x": use.true["x"] * area}
    for side in sorted(set(sides) - {1, area}):
        yield f"divided by {side}, not by {area}", {"x": use.true["x"] * area / side}
    for other in known["areas"]:
        if other not in (1, area, *sides):
            yield f"divided by {other}, not by {area}", {"x": use.true["x"] * area / other}


def _other_divisor(use: Use, windows: Windows, patches: Array) -> Iterator[Array | None]:
    """Windows that hang over: divided by all their places or by those inside."""
    known = use.operation.attributes
    yield windows.crop(windows.add(patches * known["divisor"]))
    yield windows.crop(windows.add(patches * known["divisor"] / known["other"]))


def _exchanged(use: Use, windows: Windows, patches: Array) -> Iterator[Array | None]:
    """The place in the window, as its column and row."""
    if windows.size[0] == windows.size[1]:
        yield windows.crop(windows.add(np.swapaxes(patches, -3, -4)))


def _tiled(use: Use) -> Wrongs:
    """The small map is laid beside itself, where each of its entries has to be repeated."""
    windows: Windows = use.operation.attributes["windows"]
    if tuple(n * k for n, k in zip(windows.count, windows.size, strict=True)) == windows.shape:
        up = use.up / (use.operation.attributes["divisor"])
        yield "", {"x": np.tile(up, windows.size)}


def _largest(use: Use) -> tuple[Array, Array, Windows]:
    """Return where every window has its maximum, the maxima's gradients beside it, and the windows."""
    windows: Windows = use.operation.attributes["windows"]
    lead = use["y"].shape[:-2]
    taken = windows.take(use["x"], -np.inf)
    largest = taken == use["y"].reshape(*lead, 1, 1, *windows.count)
    return largest, use.up.reshape(*lead, 1, 1, *windows.count), windows


def _every_tie(use: Use) -> Wrongs:
    largest, up, windows = _largest(use)
    found = windows.crop(windows.add(largest * up))
    if found is not None:
        yield "", {"x": found}


def _shared(use: Use) -> Iterator[tuple[str, Array]]:
    """Yield the shares of a window's tied maxima: all alike, the first, the last, by rows and by columns."""
    largest, _, windows = _largest(use)
    yield "shared alike", largest / largest.sum(axis=(-3, -4), keepdims=True)
    lead = largest.shape[:-4]
    for name, order in (("by rows", largest), ("by columns", np.swapaxes(largest, -3, -4))):
        flat = order.reshape(*lead, -1, *windows.count)
        first = np.cumsum(flat, axis=-3) * flat == 1
        last = (np.cumsum(flat[..., ::-1, :, :], axis=-3) * flat[..., ::-1, :, :] == 1)[..., ::-1, :, :]
        for which, one in (("the first", first), ("the last", last)):
            placed = one.reshape(order.shape)
            yield f"{which} {name}", placed if order is largest else np.swapaxes(placed, -3, -4)


def _any_share(use: Use) -> Wrongs:
    _, up, windows = _largest(use)
    for name, share in _shared(use):
        found = windows.crop(windows.add(share * up))
        if found is not None:
            yield name, {"x": found}


def _reduced(use: Use) -> tuple[Array, Array, tuple[int, ...]]:
    """Return where the maximum over axes stands, its gradient spread over them, and the axes."""
    x, y, up = use["x"], use["y"], use.up
    dims = use.operation.node.args[1] if len(use.operation.node.args) > 1 else list(range(x.ndim))
    axes = tuple(int(d) % x.ndim for d in (dims if isinstance(dims, (list, tuple)) else [dims])) or tuple(range(x.ndim))
    if y.ndim < x.ndim:
        y, up = np.expand_dims(y, axes), np.expand_dims(up, axes)
    return x == y, up, axes


def _every_tie_of_axis(use: Use) -> Wrongs:
    largest, up, _ = _reduced(use)
    yield "", {"x": largest * up}


def _share_of_axis(use: Use) -> Wrongs:
    largest, up, axes = _reduced(use)
    yield "shared alike", {"x": largest * up / largest.sum(axis=axes, keepdims=True)}
    moved = np.moveaxis(largest, axes, range(-len(axes), 0))
    flat = moved.reshape(*moved.shape[: -len(axes)], -1)
    for which, step in (("the first", 1), ("the last", -1)):
        one = (np.cumsum(flat[..., ::step], axis=-1) * flat[..., ::step] == 1)[..., ::step]
        yield which, {"x": np.moveaxis(one.reshape(moved.shape), range(-len(axes), 0), axes) * up}


_TIES = "every tied maximum gets the full gradient: their shares have to sum to it"
_FINE = "a maximum is tied, and any shares of its gradient that sum to it are right"

RULES = [
    Rule("CTRL-SUBGRADIENT", ("max_pool",), _FINE, _any_share, fine=True),
    Rule("CTRL-SUBGRADIENT", ("max",), _FINE, _share_of_axis, fine=True),
    Rule("POOL-TIES", ("max_pool",), _TIES, _every_tie),
    Rule("POOL-TIES", ("max",), _TIES, _every_tie_of_axis),
    Rule("POOL-INDEX", ("max_pool",), "row and column of the maximum are exchanged", windowed(_exchanged)),
    Rule("POOL-NO-DIVIDE", ("avg_pool", "mean_of_map"), "the mean's divisor is missing or another's", _undivided),
    Rule("POOL-NO-DIVIDE", ("avg_pool",), "the mean's divisor is another's at the edges", windowed(_other_divisor)),
    Rule("SHAPE-FLATTEN-ORDER", ("avg_pool",), "the map is tiled: its entries have to be repeated", _tiled),
]
