"""Trainings in this process, and how two of their folders are compared."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts import train

# All that a run leaves but config.json, which says that it was interrupted.
NUMBERS = ("weights.npz", "best.npz", "metrics.jsonl", "summary.json", "checkpoint.npz")


@contextmanager
def as_in_a_terminal() -> Iterator[None]:
    """Let Ctrl-C come through, which is ignored where the tests themselves run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def trained(folder: Path, *arguments: Any) -> int:
    """Train into a folder, and return the exit status."""
    return train.main([*map(str, arguments), "--out", str(folder), "--json"])


def resumed(folder: Path, *arguments: Any) -> int:
    """Go on with a run, and return the exit status."""
    return train.main(["--resume", str(folder), *map(str, arguments), "--json"])


def differing(one: Path, other: Path) -> list[str]:
    """Return the files of numbers that are not the same to the bit."""
    return [name for name in NUMBERS if (one / name).read_bytes() != (other / name).read_bytes()]
