"""Run folders: config.json, metrics.jsonl and weights.npz, written beside and moved into place when complete."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from handgrad import weights
from handgrad.cli import plain
from handgrad.data import Data
from handgrad.data.source import recorded
from handgrad.errors import UsageError
from handgrad.experiment import Experiment, State

FORMAT = 1


@contextmanager
def new_folder(given: Path) -> Iterator[Path]:
    """Yield a folder to fill; its files become those of `given` at the end, and vanish if anything is raised.

    Raises UsageError where `given` holds something already or cannot be written, before any work is done.
    """
    with _writing(given):
        path = given.resolve()
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(f"--out {given} exists already and is kept as it is; name a new or an empty folder")
        made = [parent for parent in path.parents if not parent.exists()]  # the innermost first
        beside = path.parent / f".{path.name[:200]}.{os.getpid()}.partial"
        beside.mkdir(parents=True)
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied")
    try:
        yield beside
        with _writing(given):
            if path.exists():  # an empty folder stays, since it may be somebody's working directory
                for child in sorted(beside.iterdir()):
                    child.rename(path / child.name)
            else:
                beside.rename(path)
                made = []
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        for parent in made:
            if not any(parent.iterdir()):
                parent.rmdir()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead round in a circle
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"--out {path} cannot be written ({reason}); nothing was left there") from None


def write(
    folder: Path, side: str, experiment: Experiment, data: Data, metrics: list[Mapping[str, Any]], state: State
) -> None:
    """Fill `folder` with one side's run."""
    config = {"format": FORMAT, "side": side, **experiment.config(), "data": _data(data)}
    lines = "".join(json.dumps(plain(dict(line)), allow_nan=False) + "\n" for line in metrics)
    with _writing(folder):
        folder.mkdir(exist_ok=True)
    write_text(folder / "config.json", json.dumps(plain(config), indent=2, allow_nan=False) + "\n")
    write_text(folder / "metrics.jsonl", lines)
    with _writing(folder):
        weights.save(folder / "weights.npz", state)


def write_text(path: Path, text: str) -> None:
    """Write a text file of a run folder; UsageError where that fails."""
    with _writing(path):
        path.write_text(text, encoding="utf-8")


def _data(data: Data) -> dict[str, Any]:
    """What predict needs to turn what a user types into inputs, and an output into a label."""
    return {
        "features": data.features,
        "units": data.units,
        "shift": data.shift,
        "scale": data.scale,
        "labels": data.labels,
        "classes": data.classes,
        "target": data.target,
        "target_shift": data.target_shift,
        "target_scale": data.target_scale,
        "source": recorded(data),
    }
