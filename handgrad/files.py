"""Files that are written whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def written_beside(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file beside `path` that takes its place at the end; if anything is raised, `path` stays as it was."""
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the new name with nothing in it
        os.chmod(beside, 0o644)  # mkstemp's file is for its owner alone
        os.replace(beside, path)
    finally:
        Path(beside).unlink(missing_ok=True)  # gone already, unless something was raised
