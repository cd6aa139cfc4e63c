"""Convolutions, columns and padding: kernels turned round, crops, biases and samples."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import torch

from handgrad.checking.operations import Operation
from handgrad.checking.record import Array, Node, Record
from handgrad.checking.rules.rule import Rule, Use, Wrong
from handgrad.checking.rules.windows import Windows, other_corners, windowed

Wrongs = Iterable[tuple[str, Wrong]]


def recognise(record: Record, node: Node) -> Iterator[Operation]:
    """Yield a convolution, windows laid out as columns, and padding with zeros."""
    a, y = node.args, node.outputs[0]
    if node.op == "convolution":
        roles = {r: t for r, t in zip(("x", "weight", "bias"), a[:3], strict=True) if t is not None and t.requires_grad}
        if a[6]:
            yield Operation("conv_transpose", node, roles, y)
        elif roles:
            stride, padding, dilation = (tuple(_each(n, a[0].dim() - 2)) for n in a[3:6])
            image, count = tuple(a[0].shape[2:]), tuple(y.shape[2:])
            windows = Windows(tuple(a[1].shape[2:]), stride, padding, dilation, image, count)
            patches = partial(_through, a[1].detach().numpy(), a[8])
            yield Operation("conv", node, roles, y, {"windows": windows, "patches": patches})
    elif node.op == "im2col" and a[0].requires_grad:
        size, dilation, padding, stride = (tuple(_each(n, 2)) for n in a[1:5])
        lines = zip(a[0].shape[-2:], size, dilation, padding, stride, strict=True)
        count = tuple((n + 2 * p - (k - 1) * d - 1) // s + 1 for n, k, d, p, s in lines)
        windows = Windows(size, stride, padding, dilation, tuple(a[0].shape[-2:]), count)
        patches = partial(_columns, windows, tuple(a[0].shape[:-2]))
        yield Operation("columns", node, {"x": a[0]}, y, {"windows": windows, "patches": patches})
    elif node.op == "unfold" and a[0].requires_grad:
        axis, size, step = a[1] % a[0].dim(), a[2], a[3]
        windows = Windows((size,), (step,), (0,), (1,), (a[0].shape[axis],), (y.shape[axis],))
        patches = partial(np.moveaxis, source=axis, destination=-1)
        yield Operation("columns", node, {"x": a[0]}, y, {"windows": windows, "patches": patches, "axis": axis})
    elif node.op == "constant_pad_nd" and a[0].requires_grad:
        front = [0] * y.dim()
        for number in range(len(a[1]) // 2):
            front[-1 - number] = a[1][2 * number]
        if min(a[1]) >= 0:
            yield Operation("pad", node, {"x": a[0]}, y, {"front": front})
    elif node.op == "cat" and sum(t.requires_grad for t in node.inputs) == 1:
        at, x = next((i, t) for i, t in enumerate(node.inputs) if t.requires_grad)
        axis = (a[1] if len(a) > 1 else 0) % y.dim()
        front = [sum(t.shape[axis] for t in node.inputs[:at]) if i == axis else 0 for i in range(y.dim())]
        if not any(bool(t.any()) for t in node.inputs if t is not x):
            yield Operation("pad", node, {f"x{at}": x}, y, {"front": front})


def _each(numbers: list[int], axes: int) -> list[int]:
    """Return one number for each axis, as torch takes one for all."""
    return list(numbers) * axes if len(numbers) == 1 else list(numbers)


def _through(weight: Array, groups: int, up: Array) -> Array:
    """Return the gradients of the windows' entries, (B, C, *size, *count): up times the kernel."""
    shares = [
        np.tensordot(u, w, axes=(1, 0)) for u, w in zip(_split(up, 1, groups), _split(weight, 0, groups), strict=True)
    ]
    axes = weight.ndim - 2
    count = range(1, 1 + axes)  # (B, *count, C, *size) for each group
    order = (0, 1 + axes, *range(2 + axes, 2 + 2 * axes), *count)
    return np.concatenate([share.transpose(order) for share in shares], axis=1)


def _split(array: Array, axis: int, parts: int) -> list[Array]:
    return np.split(array, parts, axis=axis)


def _columns(windows: Windows, lead: tuple[int, ...], up: Array) -> Array:
    return up.reshape(*lead, *windows.size, *windows.count)


def _with_kernel(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Use], Wrongs]:
    """The gradient of x with another kernel on the way back, of the same shape."""

    def formula(use: Use) -> Wrongs:
        node = use.operation.node
        weight = change(node.args[1].detach())
        if "x" in use.true and weight.shape == node.args[1].shape:
            with torch.enable_grad():
                x = node.args[0].detach().requires_grad_()
                y = node.func(x, weight, *node.args[2:], **node.kwargs)
                (grad,) = torch.autograd.grad(y, x, torch.from_numpy(use.up))
            yield "", {"x": grad.numpy()}

    return formula


def _turned_round(weight: torch.Tensor) -> torch.Tensor:
    return weight.flip(list(range(2, weight.dim())))


def _channels_exchanged(weight: torch.Tensor) -> torch.Tensor:
    return weight.transpose(0, 1)


def _square(use: Use) -> bool:
    return "weight" in use.true and use["weight"].shape[0] == use["weight"].shape[1]


def _flipped_gradient(use: Use) -> Wrongs:
    if "weight" in use.true:
        grad = use.true["weight"]
        yield "", {"weight": np.flip(grad, tuple(range(2, grad.ndim)))}


def _turned(use: Use, windows: Windows, patches: Array) -> Iterator[Array | None]:
    axes = tuple(range(-2 * len(windows.size), -len(windows.size)))
    yield windows.crop(windows.add(np.flip(patches, axes)))


def _channels_last(use: Use, windows: Windows, patches: Array) -> Iterator[Array | None]:
    """Columns are ordered as (channels, size), and read as (size, channels)."""
    lead = patches.shape[: -2 * len(windows.size)]
    if len(lead) == 2 and lead[1] > 1:
        other = patches.reshape(lead[0], *windows.size, lead[1], *windows.count)
        yield windows.crop(windows.add(np.moveaxis(other, 1 + len(windows.size), 1)))


def _of_samples(use: Use) -> Wrongs:
    """The kernel's gradient of the last sample, and of the first."""
    node = use.operation.node
    if "weight" not in use.true or len(use.up) < 2:
        return
    for number in (len(use.up) - 1, 0):
        alone = np.zeros_like(use.up)
        alone[number] = use.up[number]
        with torch.enable_grad():
            weight = node.args[1].detach().requires_grad_()
            y = node.func(node.args[0].detach(), weight, *node.args[2:], **node.kwargs)
            (grad,) = torch.autograd.grad(y, weight, torch.from_numpy(alone))
        yield f"sample {number} alone", {"weight": grad.numpy()}


def _bias_over_all(use: Use) -> Wrongs:
    if "bias" in use.true and use["bias"].size > 1:
        yield "", {"bias": np.full_like(use.true["bias"], use.up.sum())}


def _bias_mean(use: Use) -> Wrongs:
    if "bias" in use.true:
        yield "", {"bias": use.true["bias"] / len(use.up)}


def _pad_cropped(use: Use) -> Wrongs:
    """A pad's gradient is the part of up that x fills: taken from another corner."""
    for role, x in use.operation.roles.items():
        most = [wide - narrow for wide, narrow in zip(use.up.shape, x.shape, strict=True)]
        for corner in other_corners(use.operation.attributes["front"], most):
            yield "", {role: use.up[tuple(slice(c, c + n) for c, n in zip(corner, x.shape, strict=True))]}


RULES = [
    Rule(
        "CONV-FLIP",
        ("conv", "conv_transpose"),
        "the kernel is not turned round on the way to dX",
        _with_kernel(_turned_round),
    ),
    Rule("CONV-FLIP", ("columns",), "the windows are turned round on the way back from columns", windowed(_turned)),
    Rule(
        "LIN-W-NOT-T",
        ("conv", "conv_transpose"),
        "the kernel's input and output channels are not exchanged on the way to dX",
        _with_kernel(_channels_exchanged),
    ),
    Rule(
        "LIN-DW-T",
        ("conv", "conv_transpose"),
        "input and output channels are exchanged in the kernel's gradient",
        lambda u: [("", {"weight": u.true["weight"].swapaxes(0, 1)})] if _square(u) else [],
    ),
    Rule("CONV-DW-FLIP", ("conv", "conv_transpose"), "the kernel's gradient is turned round", _flipped_gradient),
    Rule("CONV-PAD-CROP", ("pad",), "the padding is cut off at the wrong place on the way back", _pad_cropped),
    Rule("SHAPE-FLATTEN-ORDER", ("columns",), "the columns are read with the channels last", windowed(_channels_last)),
    Rule("ACC-OVERWRITE", ("conv", "conv_transpose"), "samples overwrite one another's share of dW", _of_samples),
    Rule(
        "BIAS-SUM-ALL", ("conv", "conv_transpose"), "the bias gradient is summed over the channels too", _bias_over_all
    ),
    Rule(
        "BIAS-MEAN", ("conv", "conv_transpose"), "the bias gradient is averaged over the batch: it is a sum", _bias_mean
    ),
]
