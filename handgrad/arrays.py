"""Named arrays in a file, as .npz: plain ones alone, never a pickle."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class DamagedError(Exception):
    """A file that cannot be read as what it should be; the message names it and says why."""


def write_arrays(file: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """Write named arrays as .npz: the same arrays give the same bytes, and every array has a checksum."""
    named: dict[str, Any] = dict(arrays)
    np.savez(file, **named)


def read_arrays(path: Path) -> dict[str, Array]:
    """Return the named arrays of an .npz file, read whole, so that each has been held against its checksum.

    Raises FileNotFoundError, and DamagedError for a file that is damaged, a pickle or none of this kind.
    """
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DamagedError(f"{path} holds a single array, not an .npz of named ones")
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except (NotImplementedError, RuntimeError, MemoryError) as error:  # what a damaged zip archive can ask for
        raise DamagedError(f"{path} is damaged ({type(error).__name__})") from None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise DamagedError(f"{path} is no readable .npz file ({type(error).__name__})") from None
    except ValueError:
        raise DamagedError(f"{path} is a pickle or damaged; only plain .npz arrays are read, never pickles") from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # a file within that numpy cannot read comes as bytes
            raise DamagedError(f"{path} is a pickle or damaged: {name} is no array")
    return arrays
