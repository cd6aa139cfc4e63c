"""The arrays at which a check was made, in a file: to look at the same numbers again."""

import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from handgrad.checking.probing import MakeInputs, fresh
from handgrad.checking.record import Array, Arrays
from handgrad.errors import UsageError

DAMAGED = (zipfile.BadZipFile, zlib.error, NotImplementedError)
SEED = 0  # of the first draw where a file has make_inputs and no params and inputs
PARTS = ("params", "inputs")


def drawn(make_inputs: MakeInputs) -> tuple[Arrays, Arrays]:
    """Return the first params and inputs that `make_inputs` draws."""
    return fresh(make_inputs, np.random.default_rng(SEED))


def save(path: Path, params: Arrays, inputs: Arrays) -> None:
    """Write the arrays as `params/NAME` and `inputs/NAME` into an .npz file, beside first and then renamed."""
    arrays = {f"{part}/{name}": a for part, of in zip(PARTS, (params, inputs), strict=True) for name, a in of.items()}
    path = path.resolve()  # a link stays one
    if not path.name or (path.exists() and not (path.is_file() and zipfile.is_zipfile(path))):
        raise UsageError(f"{path} is no .npz file, and is not overwritten; give another name")
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with beside.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written ({error.strerror}); nothing was left there") from None


def load(path: Path) -> tuple[Arrays, Arrays]:
    """Return the params and inputs of such a file.

    Raises UsageError where it cannot be read, or holds anything else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, Array] = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, AttributeError, TypeError, RuntimeError, *DAMAGED) as error:
        raise UsageError(f"{path} cannot be read as .npz ({error}); give a file that --save wrote") from None
    found: tuple[Arrays, Arrays] = ({}, {})
    for name, array in arrays.items():
        part, slash, rest = name.partition("/")
        if part not in PARTS or not slash:
            raise UsageError(f"{path} holds {name!r}; it takes params/NAME and inputs/NAME, as --save writes them")
        found[PARTS.index(part)][rest] = array
    return found
