"""Padding: entries put before and behind the last axes, constant or copied from the input.

Along one axis of size S, `before` entries are put in front and `after` behind, so that output j stands at the
position q = j - before of the input, and q runs from -before to S + after - 1. Where q is outside 0 .. S - 1, the mode
says which entry s(q) is copied:

    reflect      s(q) = min(|q|, 2 (S - 1) - q): a mirror at the first and at the last entry
    replicate    s(q) = min(max(q, 0), S - 1): the first or the last entry
    circular     s(q) = q mod S: the input goes on from its other end
    constant     no entry: y[j] = value

Inside, s(q) = q. Hence y[j] = x[s(j - before)], and with g = dL/dy

    dy[j]/dx[i] = 1 if s(j - before) = i, else 0        dL/dx[i] = sum of g[j] over all j with s(j - before) = i:

an entry that was copied gets back what its copies got. A constant has no gradient, so that of constant padding is g
with the padding cut off, which is constant padding by (-before, -after).

A negative number of entries cuts entries off: q then starts or ends inside. Reflection and replication still look at
the whole input. A circular input is what the cut has left of it, as in torch.

Several axes are padded one after the other. So are their gradients, in any order: what one axis copies does not depend
on the place along another.
"""

from typing import Any

import numpy as np

from manual.module import Array
from manual.nn.windows import Sizes

Ends = tuple[tuple[int, int], ...]  # (before, after) of each padded axis, the first axis first


def pad_constant(x: Array, ends: Ends, value: float = 0.0) -> Array:
    """Return x with `value` around its last axes, and cut where a number is negative."""
    shape = [*x.shape[: -len(ends)], *(n + sum(end) for n, end in zip(x.shape[-len(ends) :], ends, strict=True))]
    y = np.full(shape, value, x.dtype)
    y[_inner(y.shape, ends)] = x[_inner(x.shape, tuple((-before, -after) for before, after in ends))]
    return y


def _inner(shape: Sizes, ends: Ends) -> tuple[Any, ...]:
    """Index what is left without the ends that are positive; a slice stops at the end of its axis anyway."""
    padded = zip(shape[-len(ends) :], ends, strict=True)
    return ..., *(slice(max(before, 0), n - after) for n, (before, after) in padded)


def sources(size: int, before: int, after: int, mode: str) -> Array:
    """Return s(q) for q = -before .. size + after - 1."""
    q = np.arange(-before, size + after)
    if mode == "reflect":
        reflected: Array = np.minimum(np.abs(q), 2 * (size - 1) - q)
        return reflected
    if mode == "replicate":
        return np.minimum(np.maximum(q, 0), size - 1)
    start = max(-before, 0)
    left = size - start - max(-after, 0)  # what a cut leaves is what goes round
    return start + (q - start) % left


def pad(x: Array, ends: Ends, mode: str, value: float = 0.0) -> Array:
    """Return x padded at its last axes: 'constant' with `value`, 'reflect', 'replicate' or 'circular'."""
    if mode == "constant":
        return pad_constant(x, ends, value)
    for axis, (before, after) in enumerate(ends, start=-len(ends)):
        x = np.take(x, sources(x.shape[axis], before, after, mode), axis)
    return x


def unpad(grad: Array, ends: Ends, mode: str) -> Array:
    """Return the gradient of what `pad` was given: every entry of `grad` is added where pad took its value from."""
    if mode == "constant":
        return pad_constant(grad, tuple((-before, -after) for before, after in ends))
    for axis, (before, after) in enumerate(ends, start=-len(ends)):
        from_front = np.moveaxis(grad, axis, 0)
        size = len(from_front) - before - after
        total = np.zeros((size, *from_front.shape[1:]), grad.dtype)
        for g, source in zip(from_front, sources(size, before, after, mode), strict=True):
            total[source] += g
        grad = np.moveaxis(total, 0, axis)
    return grad


def check_ends(who: str, shape: Sizes, ends: Ends, mode: str) -> None:
    """Raise ValueError where the axes of this shape cannot be padded like this."""
    for size, (before, after) in zip(shape, ends, strict=True):
        left = size + min(before, 0) + min(after, 0)
        if mode == "reflect" and max(before, after) >= size:
            raise ValueError(
                f"{who}: reflection of {before, after} entries at an axis of {size}; it has {size - 1} to mirror"
            )
        if mode == "circular" and max(before, after) > left:
            raise ValueError(f"{who}: {before, after} entries from the other end of an axis with {left}; give {left}")
        if mode in ("reflect", "replicate") and size + before + after < 1:
            raise ValueError(f"{who}: padding by {before, after} leaves nothing of an axis of {size}; cut less")
        if mode in ("constant", "circular") and left < 0:
            raise ValueError(f"{who}: {before, after} cuts more than an axis of {size} has; cut less")
