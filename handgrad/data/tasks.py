"""A user's table as samples: what its target is, which part each row belongs to, and how its numbers are scaled."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from handgrad.data.csv_file import Table, read, refuse_one_class
from handgrad.data.source import file_digest
from handgrad.data.split import Shares, split, taken_apart
from handgrad.data.table import Data
from handgrad.errors import UsageError
from handgrad.parsing import NUMBER

Array = np.ndarray[Any, np.dtype[Any]]
Scale = Literal["standardise", "shift", "none"]

MOST = 256  # labels of a target

# What a network is given and what it answers: one probability (of the second of two classes), a logit for each class,
# or a number.
Form = Literal["probability", "logits", "number"]


@dataclass(frozen=True, eq=False)
class Samples:
    """What a table holds before any of it is scaled: `inputs` (N, F), and the targets (N,) under the name `target`.

    Where `labels` names classes, the targets are their numbers; without labels the targets are numbers to predict.
    """

    path: Path
    features: tuple[str, ...]
    inputs: Array
    target: str
    targets: Array
    labels: tuple[str, ...]


def read_samples(
    path: Path,
    features: Sequence[str] | None,
    target: str,
    task: str | None = None,
    labels: Sequence[str] | None = None,
) -> Samples:
    """Return the columns `features` of a CSV file as inputs (None: all but the target) and the column `target`.

    A target of numbers alone is a number to predict; one of other texts alone is classes, in alphabetical order. `task`
    says otherwise (classes or number), `labels` names the classes in another order. Raises UsageError for what
    csv_file.read refuses, for a mixture of numbers and texts, for a label that is not in `labels`, and for too many.
    """
    if features is not None and target in features:
        raise UsageError(f"--target {target} is one of --features; a network would copy it, so name it once")
    if task == "number" and labels:
        raise UsageError("--classes names labels, and a number has none; leave out --classes or --task number")
    table = read(path, features, texts=(target,))
    if not table.columns:
        raise UsageError(f"{path} has no column beside {target}; a network needs at least one feature")
    found = table.texts[target]
    if task == "classes" or labels or (task is None and not _numbers_alone(table, target)):
        names = tuple(labels or _in_order(set(found)))
        _check_labels(table, target, names)
        places = {name: place for place, name in enumerate(names)}
        classes = np.array([places[label] for label in found], dtype=np.int64)
        return Samples(path, table.columns, table.numbers, target, classes, names)
    numbers = read(path, (target,)).numbers[:, 0]
    return Samples(path, table.columns, table.numbers, target, numbers, ())


def _numbers_alone(table: Table, target: str) -> bool:
    """Whether the target is numbers; UsageError where only some of it are: the others may be missing values."""
    good = [NUMBER.fullmatch(label) is not None for label in table.texts[target]]
    if any(good) and not all(good):
        first = good.index(False)
        raise UsageError(
            f"{table.path}, line {table.lines[first]}: {target} is {table.texts[target][first][:40]!r}, but elsewhere "
            "a number; mend it, or say --task classes, which takes every text for a label"
        )
    return all(good)


def _in_order(labels: set[str]) -> list[str]:
    """Return labels from the least to the greatest number, where they are numbers; else as an alphabet has them."""
    numbers = all(NUMBER.fullmatch(label) for label in labels)
    return sorted(labels, key=lambda label: (float(label) if numbers else 0.0, label))


def _check_labels(table: Table, target: str, names: Sequence[str]) -> None:
    if len(names) > MOST:
        raise UsageError(
            f"{table.path}: {target} has {len(names):,} different labels, and at most {MOST} are told apart; "
            "name another --target, or --task number where they are numbers"
        )
    known = set(names)
    for line, label in zip(table.lines, table.texts[target], strict=True):
        if label not in known:
            raise UsageError(
                f"{table.path}, line {line}: label out of range: {target} is {label[:40]!r}, "
                f"--classes has {', '.join(names[:20])}"
            )
    if len(names) < 2:
        raise UsageError(
            f"{table.path} has a single class, {names[0]} in all {len(table.lines):,} rows; training needs two or more"
        )


def as_data(samples: Samples, form: Form, scale: Scale, shares: Shares) -> Data:
    """Return samples in three parts, scaled by constants of the training part alone, which Data.shift and scale keep.

    standardise: (x - mean) / standard deviation, shift: x - mean, none: x. A number to predict is scaled alike.
    Raises UsageError for an empty part, for a column that cannot be scaled, and for a single class in training.
    """
    rows = split(len(samples.inputs), shares, str(samples.path))
    shift, by = _constants(samples.path, samples.features, samples.inputs[rows.train], scale)
    target, target_by = np.zeros(1), np.ones(1)
    if form == "number":
        column = samples.targets[rows.train, None]
        target, target_by = _constants(samples.path, (samples.target,), column, scale)
    data = Data(
        inputs=(samples.inputs - shift) / by,
        targets=samples.targets,
        features=samples.features,
        shift=tuple(shift.tolist()),
        scale=tuple(by.tolist()),
        classes=samples.labels if form == "logits" else (),
        labels=(samples.labels[0], samples.labels[1]) if form == "probability" else None,
        target=samples.target,
        target_shift=float(target[0]),
        target_scale=float(target_by[0]),
        source=_source(samples, scale, shares),
    )
    if form != "logits":
        data = replace(data, targets=(data.targets[:, None] - data.target_shift) / data.target_scale)  # (N, 1)
    if form != "number":
        refuse_one_class(data.targets[rows.train], samples.labels, f"the training part of {samples.path}")
    return taken_apart(data, rows)


def _constants(path: Path, names: Sequence[str], columns: Array, scale: Scale) -> tuple[Array, Array]:
    """Return shift and scale (F,) of some columns (N, F) of the training part."""
    count = columns.shape[1]
    if scale == "none":
        return np.zeros(count), np.ones(count)
    with np.errstate(over="ignore", invalid="ignore"):
        shift = columns.mean(axis=0)
        by = columns.std(axis=0) if scale == "standardise" else np.ones(count)
        same = columns.max(axis=0) == columns.min(axis=0)
    for name, mean, spread, constant in zip(names, shift, by, same, strict=True):
        if scale == "standardise" and constant:
            # Divided by 1 it would be 0 in training, so that its weights never move, and answer at random later.
            raise UsageError(
                f"{path}: {name} is the same in every row to train on, so it has no spread to divide by; "
                "leave it out, or say --scale shift"
            )
        if not (math.isfinite(mean) and math.isfinite(spread) and spread > 0):
            raise UsageError(f"{path}: the numbers of {name} are too large or too small to be scaled; say --scale none")
    return shift, by


def _source(samples: Samples, scale: Scale, shares: Shares) -> dict[str, Any]:
    return {
        "kind": "csv",
        "path": str(samples.path.absolute()),
        "sha256": file_digest(samples.path),
        "features": list(samples.features),
        "target": samples.target,
        "task": "classes" if samples.labels else "number",
        "classes": list(samples.labels),
        "scale": scale,
        **shares._asdict(),
    }
