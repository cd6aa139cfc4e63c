"""Where samples were read: kept in a run's config, so that the run can be repeated and a changed file is noticed."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from handgrad.data.table import Data


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(data: Data) -> str:
    """Return the SHA-256 of all arrays of some samples, with their shapes and dtypes, in hexadecimal."""
    digest = hashlib.sha256()
    for name, pair in data.parts.items():
        for array in pair:
            digest.update(f"{name} {array.shape} {array.dtype.str} ".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def recorded(data: Data) -> dict[str, Any]:
    """Return the source of some samples for config.json: of those that come with this project, their arrays' SHA-256.

    Those that were read from files have in `source` the kind (csv, idx, text or names), the absolute path, the SHA-256
    of each file, and the options that they were read with.
    """
    source = dict(data.source or {})
    return source if "kind" in source else {"kind": "packaged", "sha256": fingerprint(data), **source}
