"""What was read, in one line."""

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from handgrad.data.table import IGNORED, Data, contradictions

Array = np.ndarray[Any, np.dtype[Any]]

NAMED = 10  # features, and classes, that the line names
FEW = 10  # distinct whole numbers that may be meant for labels


def describe(data: Data, name: str = "") -> str:
    """Return one line on some samples: how many, of what, their classes, how many contradict each other, the parts.

    They are called after the file that they were read from, or else `name`.
    """
    count, shape = sum(len(x) for x, _ in data.parts.values()), data.inputs.shape
    targets = np.concatenate([t for _, t in data.parts.values()])
    source = data.source or {}
    called = Path(source["path"]).name if "path" in source else name
    if data.classes and data.inputs.dtype.kind in "iu":
        facts = _sequences(data, count, targets)
    else:
        if len(shape) == 4:
            facts = [f"{_counted(count, 'image')} of {shape[2]} x {shape[3]}"]
        elif data.features == ("pixel",):
            facts = [f"{_counted(count, 'image')} of {shape[1]} pixels"]
        else:
            features = f"{_counted(len(data.features), 'feature')} ({_listed(data.features)})"
            facts = [_counted(count, "row"), features]
        # Row by row through all parts: joined, a large set of images would stand in memory twice.
        groups = contradictions(itertools.chain(*(x for x, _ in data.parts.values())), targets)
        rows = sum(map(len, groups))
        facts += [_targets(data, targets), _counted(rows, "contradictory row") if rows else "no contradictory rows"]
    sizes = {"train": "to train", "validate": "to validate", "test": "to test"}
    parts = ", ".join(f"{len(x):,} {sizes[part]}" for part, (x, _) in data.parts.items())
    return f"{called}: {', '.join(facts)}; {parts}"


def _targets(data: Data, targets: Array) -> str:
    names = data.classes or data.labels
    if names:
        counts = np.bincount(targets.astype(np.int64).reshape(-1), minlength=len(names))
        listed = _listed(f"{name} {count:,}" for name, count in zip(names, counts, strict=True))
        return f"{len(names)} classes ({listed})"
    values = np.unique(data.natural(targets))
    # Scaled and scaled back, a whole number has been rounded twice; 250,000.5 is none all the same.
    few = data.target and len(values) <= FEW and np.allclose(values, values.round(), rtol=1e-12, atol=1e-9)
    hint = f" ({len(values)} whole numbers; --task classes takes them for labels)" if few else ""
    return f"{data.target or 'target'} a number from {values[0]:.6g} to {values[-1]:.6g}{hint}"


def _sequences(data: Data, count: int, targets: Array) -> list[str]:
    counted = int((targets != IGNORED).sum())
    if data.features == ("character",):
        cut = f"{_counted(count, 'sequence')} of {targets.shape[1]}"
        return [f"{counted:,} characters in {cut}", f"{len(data.classes):,} distinct ones"]
    longest = int((targets != IGNORED).sum(axis=1).max()) - 1
    letters = _counted(len(data.classes) - 1, "distinct letter")
    return [_counted(count, "name"), letters, f"the longest of {longest}"]


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    return ", ".join(found[:NAMED]) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
