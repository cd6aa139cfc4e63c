"""What an update rule by hand keeps between steps, beside torch's state, where names and shapes tell what it is."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from handgrad.checking.conventions import near
from handgrad.checking.optimizer_runs import Run
from handgrad.checking.record import Array

# What people call torch's entries; "v" is the velocity where there is one buffer, and Adam's second moment.
NAMES = {
    "momentum_buffer": ("v", "velocity", "momentum", "buf", "buffer", "m", "b"),
    "exp_avg": ("m", "first", "mean", "m1"),
    "exp_avg_sq": ("v", "second", "variance", "s", "m2"),
    "square_avg": ("s", "v", "cache", "square", "sq", "ms", "e"),
    "sum": ("s", "g", "cache", "total", "accumulator", "h"),
}


def state_notes(given: Run, truth: Run, names: Sequence[str]) -> list[str]:
    """Return how what is kept differs from torch's state, one note an entry; nothing where all agrees."""
    notes: dict[str, list[str]] = {}
    for name in names:
        for entry, path in _pairs(given, truth, name).items():
            pairs = [(_at(g, path), t[name].get(entry)) for g, t in zip(given.state, truth.state, strict=True)]
            both = [(np.asarray(a, dtype=np.float64), b) for a, b in pairs if a is not None and b is not None]
            wrong = [number for number, (a, b) in enumerate(both) if a.shape != b.shape or not near(a, b)]
            if wrong:
                how = _difference(both, truth, name)
                text = f"not torch's {entry} from step {wrong[0] + 1} on{how}"
                notes.setdefault(text, []).append("".join(f"[{key!r}]" for key in path))
    return [f"state{', state'.join(paths)}: {text}" for text, paths in notes.items()]


def _difference(both: Sequence[tuple[Array, Array]], truth: Run, name: str) -> str:
    """Say which one factor it is, if it is one."""
    factors = [float((a * b).sum() / (b * b).sum()) for a, b in both if a.shape == b.shape and b.any()]
    if len(factors) != len(both) or not all(near(a, f * b) for f, (a, b) in zip(factors, both, strict=True)):
        return ""
    rates = [settings[name]["lr"] for settings in truth.settings[-len(both) :]]
    if np.allclose(factors, rates, rtol=1e-9, atol=0):
        return ", but with the learning rate in it, which is the same until the learning rate changes"
    return f", but {factors[0]:.6g} times that" if np.ptp(factors) <= 1e-9 * abs(factors[0]) else ""


def _pairs(given: Run, truth: Run, name: str) -> dict[str, tuple[Any, ...]]:
    """Return torch's entry -> the path in `state` of what it must be: by name, or as the only ones left, in order."""
    shape = truth.params[0][name].shape
    entries = [key for key, value in truth.state[-1][name].items() if value.shape == shape and shape]
    paths = [path for path, value in _leaves(given.state[-1]) if np.shape(value) == shape and _of(path, name, truth)]
    found: dict[str, tuple[Any, ...]] = {}
    for entry in entries:
        known = [p for p in paths if _words(p, name) & {entry, *NAMES.get(entry, ())}]
        if len(known) == 1 and known[0] not in found.values():
            found[entry] = known[0]
    if not found and len(paths) == len(entries):
        found = dict(zip(entries, paths, strict=True))
    return found


def _words(path: tuple[Any, ...], name: str) -> set[str]:
    words = [part for key in path if key != name for part in re.split(r"[^A-Za-z0-9]+", str(key))]
    return {word.lower() for word in words if word != name}


def _of(path: tuple[Any, ...], name: str, truth: Run) -> bool:
    """Whether a path in `state` belongs to this tensor: it has its name, or its number in a list of all."""
    number = list(truth.params[0]).index(name)
    return any(key == name or (isinstance(key, str) and name in re.split(r"[^A-Za-z0-9]+", key)) for key in path) or (
        len(path) == 2 and path[1] == number and isinstance(path[0], str)
    )


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(inner, (*path, index))
    elif isinstance(value, np.ndarray) and value.dtype.kind == "f":
        yield path, value


def _at(value: Any, path: Sequence[Any]) -> Any:
    """Return what stands at this path, or None at a step where it does not stand there yet."""
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value
