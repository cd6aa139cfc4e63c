"""The whole gradient against what it could be taken for: its entries in another order, a sibling's, cut to a type."""

from collections.abc import Iterator
from itertools import permutations

import numpy as np
import torch

from handgrad.checking.finders.shapes import near
from handgrad.checking.record import Array, Tensor
from handgrad.checking.search import Proposal, Search

BLOCKS = range(2, 13)
EPS = float(np.finfo(np.float64).eps)
HALF = 0.02  # how far sums in half precision may be off


def find(search: Search) -> Iterator[Proposal]:
    """Yield every relation of the given gradient, or of one on the way to it, to right ones."""
    if search.target.numel() > 1:
        yield from _same_everywhere(search)
        yield from _clipped(search)
        yield from _cut(search)
        yield from _from_weights(search)
        yield from _swapped(search)
        yield from _laid_out(search)


def _near(search: Search, a: Array, b: Array) -> bool:
    """Return whether two arrays of one shape agree."""
    return near(a, b, search.fit)


def _whole(search: Search, identity: str, sentence: str, detail: str = "") -> Proposal:
    change = torch.from_numpy(np.array(search.given - search.expected, dtype=np.float64))
    return Proposal(identity, sentence, detail, [], [(search.target, change)])


def _same_everywhere(search: Search) -> Iterator[Proposal]:
    """Yield a bias gradient whose entries are one number, the rounding of a sum over all that is 0."""
    given, expected = search.given, search.expected
    size = EPS * given.size * float(np.abs(expected).max(initial=0.0))
    of_parameter = search.target.grad_fn is None and search.name in search.record.parameters
    if of_parameter and given.ndim == 1 and given.any() and np.ptp(given) == 0 and abs(given[0]) < 64 * size:
        sentence = "the bias gradient is summed over all axes: every entry is the same, here 0 but for rounding"
        yield _whole(search, "BIAS-SUM-ALL", sentence)


def _clipped(search: Search) -> Iterator[Proposal]:
    """Yield a gradient whose entries end at some +-c, the right one cut off there."""
    most = float(np.abs(search.given).max())
    largest = float(np.abs(search.expected).max())
    if 1e-6 * largest < most < largest and (np.abs(search.given) == most).sum() > 1:
        sentence = f"the gradient is clipped to +-{most:g}, entry by entry"
        clipped = np.clip(search.expected, -most, most) - search.expected
        yield Proposal("OPT-CLIP-VALUE", sentence, "", [], [(search.target, torch.from_numpy(clipped))])


def _cut(search: Search) -> Iterator[Proposal]:
    """Yield a gradient, the target's or one on the way to it, that lost its digits in an integer or half precision."""
    given = search.given
    if given.dtype.kind in "iu":
        yield _whole(search, "NUM-INT-TRUNC", "the gradient is held in integers: what stands behind the point is lost")
    with np.errstate(over="ignore"):
        held = np.array_equal(given.astype(np.float16), given) and given.size > 3
    if held and given.any() and np.abs(given - search.expected).max() < HALF * np.abs(search.expected).max():
        yield _whole(search, "NUM-HALF", "the gradient is held in half precision")
    tensors = {id(search.target): search.target}
    for operation in search.near:
        if operation.kind == "any":
            tensors[id(operation.output)] = operation.output
    for tensor in tensors.values():
        up = search.up(tensor)
        for cut in (up.trunc(), up.floor()):
            if (
                tensor.numel() > 1
                and up.any()
                and (cut.any() or search.given.dtype.kind in "iu" or not search.given.any())
            ):
                sentence = "the gradient is held in integers: what stands behind the point is lost"
                yield Proposal("NUM-INT-TRUNC", sentence, "", [], [(tensor, cut - up)])
        half = up.to(torch.float16).to(up.dtype)
        if tensor.numel() > 1 and not torch.equal(half, up) and bool(half.isfinite().all()):
            sentence = "the gradient is held in half precision"
            yield Proposal("NUM-HALF", sentence, "", [], [(tensor, half - up)])


def _from_weights(search: Search) -> Iterator[Proposal]:
    """Yield a bias gradient that is a sum or a mean of a weight's."""
    for name in search.record.parameters:
        tensor = search.record.named[name]
        grad = search.up(tensor).numpy()
        if tensor is search.target or grad.ndim <= search.given.ndim:
            continue
        for axis in range(grad.ndim):
            for how, made in (("sum", grad.sum(axis=axis)), ("mean", grad.mean(axis=axis))):
                if _near(search, search.given, made) and made.any():
                    sentence = f"it is the {how} of d{name} over axis {axis}: the inputs are in it; sum the delta"
                    yield _whole(search, "BIAS-FROM-DW", sentence)


def _swapped(search: Search) -> Iterator[Proposal]:
    """Yield another tensor's right gradient, or the target's own with its blocks exchanged."""
    taken = [
        (n, t) for n, t in search.record.named.items() if t is not search.target and t.shape == search.target.shape
    ]
    for name, tensor in taken:
        if not search.given.any() or not _near(search, search.given, search.up(tensor).numpy()):
            continue
        mutual = name in search.answers and _near(search, search.answers[name], search.expected)
        if mutual or _siblings(search, tensor):
            there = torch.from_numpy(search.expected) - search.up(tensor)
            here = torch.from_numpy(search.given - search.expected)
            sentence = f"it is the gradient of {name}: the two are exchanged"
            yield Proposal("PATH-SWAPPED", sentence, "", [], [(search.target, here), (tensor, there)])
            if torch.equal(search.up(tensor), search.record.grad(tensor)):
                yield _whole(search, "PATH-SWAPPED", f"it is the gradient of {name}")
    given, true = search.given, search.expected
    for axis, size in enumerate(true.shape):
        for count in (n for n in BLOCKS if axis > 0 and size % n == 0 and n < size):
            blocks = [np.split(a, count, axis=axis) for a in (given, true)]
            order = [next((j for j, b in enumerate(blocks[1]) if _near(search, a, b)), -1) for a in blocks[0]]
            if sorted(order) == list(range(count)) and order != sorted(order):
                sentence = f"the {count} blocks along axis {axis} stand in the order {', '.join(map(str, order))}"
                yield _whole(search, "PATH-SWAPPED", sentence)


def _siblings(search: Search, tensor: Tensor) -> bool:
    """Return whether one operation takes both, or both are parameters."""
    both = (tensor, search.target)
    if all(t.grad_fn is None for t in both):
        return any(search.record.named[n] is tensor for n in search.record.parameters)
    return any(all(any(t is i for i in n.inputs) for t in both) for n in search.record.nodes)


def _laid_out(search: Search) -> Iterator[Proposal]:
    """Yield the target's own gradient, or one on the way, with its entries in the order of another layout."""
    seen: set[tuple[int, ...]] = set()
    yield from _reshaped(search)
    if not _near(search, np.sort(search.given, axis=None), np.sort(search.expected, axis=None)):
        return
    tensors = [search.target, *(o.output for o in search.near if o.kind == "any")]
    for tensor in tensors:
        up = search.up(tensor).numpy()
        key = (id(tensor),)
        if key in seen or up.size != search.given.size or not up.any():
            continue
        seen.add(key)
        if not _near(search, np.sort(search.given, axis=None), np.sort(up, axis=None)):
            continue
        for detail, made in _layouts(up, search.given.shape):
            if _near(search, search.given, made):
                sentence = "the entries are right, but in another order: reshaped where axes are to be exchanged"
                yield _whole(search, "SHAPE-FLATTEN-ORDER", sentence, detail)
                return


def _reshaped(search: Search) -> Iterator[Proposal]:
    """Yield a gradient on the way that is reshaped where its axes are to be exchanged back, or exchanged once more."""
    for operation in search.near:
        node, up = operation.node, search.up(operation.output)
        if operation.kind != "any" or node.op not in ("permute", "transpose", "t") or not up.any():
            continue
        source = node.inputs[0]
        true = next(iter(search.use(operation).true.values()))
        again = node.func(up, *node.args[1:], **node.kwargs)
        for made, how in ((up.reshape(source.shape), "reshaped"), (again, "exchanged as in the forward, not back")):
            if made.shape == source.shape:
                sentence = f"the gradient's axes are to be exchanged back; they are {how}"
                yield Proposal(
                    "SHAPE-FLATTEN-ORDER", sentence, "", [operation], [(source, made - torch.from_numpy(true))]
                )


def _layouts(up: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Yield `up` with axes split, exchanged and read as `shape`."""
    for split in _splits(up.shape, shape):
        parts = up.reshape(split)
        for order in permutations(range(len(split))):
            yield f"as {split} in the order {order}", parts.transpose(order).reshape(shape)


def _splits(own: tuple[int, ...], shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the shape itself, and with one axis split in two or three, at most five axes in all."""
    own = tuple(n for n in own if n > 1)
    if own != tuple(n for n in shape if n > 1) or len(own) > 2:
        yield own
    for axis, size in enumerate(own):
        for first in (n for n in range(2, size) if size % n == 0):
            split = (*own[:axis], first, size // first, *own[axis + 1 :])
            if len(split) <= 5:
                yield split
            for second in (n for n in range(2, size // first) if (size // first) % n == 0):
                wide = (*own[:axis], first, second, size // first // second, *own[axis + 1 :])
                if len(wide) <= 5:
                    yield wide
