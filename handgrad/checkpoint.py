"""Checkpoints: all that a training needs to go on, in one .npz of plain arrays, never pickled.

Next to the arrays stands `meta`, the bytes of a JSON text, which holds everything that is no array and says where
each array belongs. Python writes a float so that it is read back to the bit, and an .npz has a checksum of each array.
The states have torch's form and keys, so that either side can go on from the other's.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from handgrad.arrays import DamagedError, read_arrays, write_arrays
from handgrad.both_sides import Snapshot
from handgrad.errors import UsageError
from handgrad.files import written_beside

Array = np.ndarray[Any, np.dtype[Any]]

NAME, BEFORE = "checkpoint.npz", "previous.npz"
FORMAT, VERSION = "handgrad checkpoint", 1


def save(folder: Path, snapshot: Snapshot, rest: Mapping[str, Any]) -> None:
    """Write a checkpoint; the one before becomes previous.npz, and either is there at any moment.

    `rest` are plain values, and arrays anywhere among them.
    """
    arrays: dict[str, Array] = {}
    content = packed({**snapshot._asdict(), **rest}, "", arrays)
    meta = json.dumps({"format": FORMAT, "version": VERSION, "content": content})
    with written_beside(folder / NAME) as file:
        write_arrays(file, {"meta": np.frombuffer(meta.encode(), np.uint8), **arrays})
        if (folder / NAME).exists():
            os.replace(folder / NAME, folder / BEFORE)


def load(path: Path) -> tuple[Snapshot, dict[str, Any]]:
    """Return what `save` was given, from a run's folder or from one checkpoint file.

    Raises UsageError, in one sentence, for one that is missing, damaged, of something else, or of a newer version; it
    names the checkpoint before it where there is one.
    """
    file = file_of(path) if path.is_dir() else path
    try:
        return _load(file)
    except FileNotFoundError:
        raise UsageError(f"{file} does not exist; name a folder that train.py --out has left") from None
    except DamagedError as error:
        good = f"; the checkpoint before it is still there: --resume {path / BEFORE}"
        other = good if path.is_dir() and file.name == NAME and (path / BEFORE).exists() else "; train again"
        raise UsageError(f"{error}{other}") from None


def file_of(folder: Path) -> Path:
    """Return the last checkpoint of a folder: the one before, where a kill came between the two renames of `save`."""
    return folder / (NAME if (folder / NAME).exists() or not (folder / BEFORE).exists() else BEFORE)


def _load(path: Path) -> tuple[Snapshot, dict[str, Any]]:
    arrays = read_arrays(path)
    try:
        meta = json.loads(bytes(arrays.pop("meta").astype(np.uint8)).decode())
        known = meta["format"] == FORMAT and type(meta["version"]) is int
    except (KeyError, TypeError, ValueError, RecursionError):
        known = False
    if not known:
        raise DamagedError(f"{path} is no checkpoint of train.py, but something else")
    if meta["version"] > VERSION:
        raise UsageError(f"{path} is of version {meta['version']}, but this handgrad reads up to {VERSION}: update it")
    try:
        found = unpacked(meta["content"], arrays)
        return Snapshot(*(found.pop(part) for part in Snapshot._fields)), found
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedError(f"{path} lacks what a checkpoint has ({type(error).__name__})") from None


def packed(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """Return `value` as JSON has it, with its arrays put into `arrays` under names that say where they stand.

    A mapping whose keys are no texts (an optimizer's parameters have numbers) becomes a list of pairs.
    """
    if isinstance(value, np.float64 | np.integer | np.bool_):
        return value.item()
    if isinstance(value, np.ndarray | np.generic):
        arrays[name] = np.asarray(value)
        return {"array": name}
    if isinstance(value, Mapping):
        pairs = [(key, packed(part, f"{name}/{key}".lstrip("/"), arrays)) for key, part in value.items()]
        return {"pairs": [list(pair) for pair in pairs]}
    if isinstance(value, tuple):
        return {"tuple": [packed(part, f"{name}/{i}", arrays) for i, part in enumerate(value)]}
    return [packed(part, f"{name}/{i}", arrays) for i, part in enumerate(value)] if isinstance(value, list) else value


def unpacked(value: Any, arrays: Mapping[str, Array]) -> Any:
    """Return what `packed` was given; a number of NumPy's has become an array without axes."""
    if isinstance(value, list):
        return [unpacked(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "tuple":
        return tuple(unpacked(part, arrays) for part in content)
    return {key: unpacked(part, arrays) for key, part in content}
