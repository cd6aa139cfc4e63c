"""Windows that slide over an image or a sequence: what convolution, pooling and columns have in common."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from handgrad.checking.record import Array
from handgrad.checking.rules.rule import Rule, Use, Wrong

Wrongs = Iterable[tuple[str, Wrong]]
Index = tuple[Any, ...]  # what an array is indexed by
SHIFTS = 40  # ways to crop that are tried; beyond it only those of one axis's padding


@dataclass(frozen=True)
class Windows:
    """Windows of `size` at every `stride`, over `shape` with `padding` around it; there are `count` along each axis.

    `patches` are gradients of every window's entries: (..., *size, *count).
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    shape: tuple[int, ...]
    count: tuple[int, ...]

    def taps(self) -> Iterator[tuple[Index, Index]]:
        """Yield each place in the window, and where in the padded image all windows have it."""
        for tap in np.ndindex(*self.size):
            lines = zip(tap, self.stride, self.dilation, self.count, strict=True)
            yield tap, tuple(slice(k * d, k * d + (n - 1) * s + 1, s) for k, s, d, n in lines)

    def places(self) -> Iterator[tuple[Index, Index]]:
        """Yield each window, and where it lies in the padded image."""
        for place in np.ndindex(*self.count):
            lines = zip(place, self.stride, self.dilation, self.size, strict=True)
            yield place, tuple(slice(o * s, o * s + (k - 1) * d + 1, d) for o, s, d, k in lines)

    def padded(self) -> tuple[int, ...]:
        """Return the shape with the padding, and with what the last window hangs over."""
        lines = zip(self.shape, self.padding, self.count, self.stride, self.dilation, self.size, strict=True)
        return tuple(max(n + 2 * p, (c - 1) * s + (k - 1) * d + 1) for n, p, c, s, d, k in lines)

    def take(self, x: Array, fill: float) -> Array:
        """Return the windows of x, (..., *size, *count), with `fill` for the padding."""
        lead = x.shape[: x.ndim - len(self.shape)]
        whole: Array = np.full(lead + self.padded(), fill)
        inside: Index = tuple(slice(p, p + n) for p, n in zip(self.padding, self.shape, strict=True))
        whole[(..., *inside)] = x
        taps = [whole[(..., *at)] for _, at in self.taps()]
        return np.stack(taps, axis=len(lead)).reshape(lead + self.size + self.count)

    def add(self, patches: Array) -> Array:
        """Return the gradient of the padded image: what overlaps is added."""
        padded: Array = np.zeros(self._lead(patches) + self.padded())
        for tap, at in self.taps():
            padded[(..., *at)] += patches[(..., *tap, *(slice(None),) * len(self.count))]
        return padded

    def assign(self, patches: Array) -> Iterator[Array]:
        """Yield the gradient of the padded image where what overlaps is overwritten, in several orders of the loops.

        By windows, whole or only where there is a gradient, and by places in the window; forwards and backwards.
        """
        ways = [(list(self.places()), True), (list(self.taps()), False)]
        for order, by_window in ways:
            for steps in (order, order[::-1]):
                padded: Array = np.zeros(self._lead(patches) + self.padded())
                for index, at in steps:
                    part = (slice(None),) * len(self.count)
                    padded[(..., *at)] = patches[(..., *part, *index) if by_window else (..., *index, *part)]
                yield padded
        padded = np.zeros(self._lead(patches) + self.padded())
        for index, at in ways[0][0]:
            patch = patches[(..., *(slice(None),) * len(self.count), *index)]
            padded[(..., *at)] = np.where(patch != 0, patch, padded[(..., *at)])
        yield padded

    def crop(self, padded: Array, start: Sequence[int] | None = None) -> Array | None:
        """Return the image in the padded one; from another corner than the right one, None where it does not fit."""
        start = self.padding if start is None else start
        inside: Index = tuple(slice(s, s + n) for s, n in zip(start, self.shape, strict=True))
        found = padded[(..., *inside)]
        return found if found.shape[-len(self.shape) :] == self.shape else None

    def _lead(self, patches: Array) -> tuple[int, ...]:
        return tuple(patches.shape[: patches.ndim - 2 * len(self.shape)])


def other_corners(right: Sequence[int], most: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield other corners to crop from, up to `most` along each axis: all of them, or those of some padding."""
    choices = [list(range(total + 1)) for total in most]
    if np.prod([len(choice) for choice in choices]) > SHIFTS:
        choices = [[s for s in sorted({0, *right, *most}) if s <= total] for total in most]
    return (corner for corner in product(*choices) if corner != tuple(right))


def windowed(make: Callable[[Use, Windows, Array], Iterable[Array | None]]) -> Callable[[Use], Wrongs]:
    """Apply make(use, windows, the windows' right gradients), which yields wrong gradients of x."""

    def formula(use: Use) -> Wrongs:
        windows: Windows = use.operation.attributes["windows"]
        if "x" in use.true:
            axis = use.operation.attributes.get("axis", -1)
            for found in make(use, windows, use.operation.attributes["patches"](use.up)):
                if found is not None and found.size == use["x"].size:
                    yield "", {"x": np.moveaxis(found, -1, axis).reshape(use["x"].shape)}

    return formula


def _assigned(use: Use, windows: Windows, patches: Array) -> Iterator[Array | None]:
    if any((k - 1) * d >= s for k, d, s in zip(windows.size, windows.dilation, windows.stride, strict=True)):
        for padded in windows.assign(patches):
            yield windows.crop(padded)


def _cropped(use: Use, windows: Windows, patches: Array) -> Iterator[Array | None]:
    if any(windows.padding):
        padded = windows.add(patches)
        for corner in other_corners(windows.padding, [2 * p for p in windows.padding]):
            yield windows.crop(padded, corner)


SLIDING = ("conv", "columns", "max_pool", "avg_pool")
RULES = [
    Rule(
        "ACC-OVERLAP-ASSIGN",
        SLIDING,
        "windows overlap, and their gradients are assigned: they have to be added",
        windowed(_assigned),
    ),
    Rule("CONV-PAD-CROP", SLIDING, "the padding is cut off at the wrong place on the way back", windowed(_cropped)),
]
