"""Run folders: config.json, metrics.jsonl, the weights and a checkpoint, each written whole or not at all.

config.json      every setting, where the samples come from, and what it was computed with
metrics.jsonl    a line for each report
weights.npz      the weights as they are now; best.npz: as they were when the run was best
checkpoint.npz   all that is needed to go on; previous.npz: the one before
summary.json     how good it is, once it is finished
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from handgrad import checkpoint, weights
from handgrad.both_sides import Snapshot
from handgrad.cli import plain
from handgrad.data import Data
from handgrad.data.source import recorded
from handgrad.environment import environment
from handgrad.errors import UsageError
from handgrad.experiment import Experiment, State
from handgrad.files import written_beside

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


class RunFolder:
    """One side's run on disk, while it is trained.

    Raises UsageError, in one sentence, where something cannot be written; what was there before is whole then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self.path.is_dir():
                raise UsageError(f"{self.path} was removed while training; nothing of this run is left") from None
            whole = "its last checkpoint is whole" if (self.path / checkpoint.NAME).exists() else "train again"
            raise UsageError(f"{self.path} cannot be written ({error.strerror or error}); {whole}") from None

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one of the folder's JSON files."""
        self.write_text(name, json.dumps(plain(dict(content)), indent=2, allow_nan=False) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Return one of the folder's JSON files; UsageError where it is none."""
        try:
            content = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise UsageError(f"{self.path / name} cannot be read; put back the file that train.py has left")
        return content

    def write_weights(self, name: str, state: State) -> None:
        """Write one of the folder's files of weights."""
        with self._writing():
            weights.save(self.path / name, state)

    def write_checkpoint(self, snapshot: Snapshot, rest: Mapping[str, Any]) -> None:
        """Write a checkpoint, which says how long metrics.jsonl is by now."""
        with self._writing():
            size = self._metrics.stat().st_size
            checkpoint.save(self.path, snapshot, {**rest, "metrics_size": size})

    def append(self, line: Mapping[str, Any]) -> None:
        """Append a line to metrics.jsonl."""
        with self._writing(), self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain(dict(line)), allow_nan=False) + "\n")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from training into this folder; the system lets go where this one is killed.

        Raises UsageError where another one does already.
        """
        with self._writing():
            handle = os.open(self._metrics, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(handle, self.path)
            yield
        finally:
            os.close(handle)

    def take_back(self, file: Path, size: int) -> None:
        """Make the checkpoint in `file` that of the folder, and take back the lines of metrics behind it.

        Going on from there will write them anew. UsageError where lines are missing, or are none.
        """
        with self._writing():
            content = self._metrics.read_bytes()
            if len(content) < size:
                raise UsageError(f"{self._metrics} lacks lines that the checkpoint knows of; train again")
            self._parsed(content[:size])
            if file.resolve() != (self.path / checkpoint.NAME).resolve():
                with written_beside(self.path / checkpoint.NAME) as copy:
                    copy.write(file.read_bytes())
            os.truncate(self._metrics, size)
            for left in (*self.path.glob(".*.npz.*"), *self.path.glob(".*.json.*")):  # of a process that was killed
                left.unlink()

    def resumed(self) -> list[Any]:
        """Return when the run went on before, as config.json has it; UsageError where that is no list."""
        found = self.read_json("config.json").get("resumed", [])
        if not isinstance(found, list):
            raise UsageError(f"{self.path / 'config.json'}: resumed is {found!r:.40}, but train.py writes a list there")
        return found

    def metrics(self) -> list[dict[str, Any]]:
        """Return all lines of metrics.jsonl."""
        with self._writing():
            return self._parsed(self._metrics.read_bytes())

    def _parsed(self, content: bytes) -> list[dict[str, Any]]:
        try:
            return [dict(json.loads(line)) for line in content.decode().splitlines()]
        except (TypeError, ValueError, RecursionError):
            raise UsageError(f"{self._metrics} has a line that is no report; put back what train.py has left") from None

    @property
    def _metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def write_text(self, name: str, text: str) -> None:
        """Write a file of text."""
        with self._writing(), written_beside(self.path / name) as file:
            file.write(text.encode())

    def create(self, config: Mapping[str, Any]) -> None:
        """Fill a new folder: the settings, and no lines yet."""
        with _writing(self.path):
            self.path.mkdir(exist_ok=True)
            self._metrics.touch()
        self.write_json("config.json", config)


class Unwritten(RunFolder):
    """The run's folder for a process that trains along and leaves all writing to another."""

    def create(self, config: Mapping[str, Any]) -> None:
        """Write nothing."""

    def write_text(self, name: str, text: str) -> None:
        """Write nothing."""

    def write_weights(self, name: str, state: State) -> None:
        """Write nothing."""

    def write_checkpoint(self, snapshot: Snapshot, rest: Mapping[str, Any]) -> None:
        """Write nothing."""

    def append(self, line: Mapping[str, Any]) -> None:
        """Write nothing."""

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Leave that to the process that writes."""
        yield

    def take_back(self, file: Path, size: int) -> None:
        """Leave the lines to the process that writes."""


def _lock(handle: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"another process trains into {path} already; wait for its end, or interrupt it") from None
    except OSError:  # a file system without locks
        return


def write(
    folder: Path, side: str, experiment: Experiment, data: Data, metrics: list[Mapping[str, Any]], state: State
) -> None:
    """Fill `folder` with a run of one side that is finished already."""
    run = RunFolder(folder)
    run.create(config(side, experiment, data))
    for line in metrics:
        run.append(line)
    run.write_weights("weights.npz", state)


def config(side: str, experiment: Experiment, data: Data) -> dict[str, Any]:
    """Return what config.json says of every run, whatever it was computed with."""
    return {"format": FORMAT, "side": side, **experiment.config(), "data": _data(data), "environment": environment()}


def _data(data: Data) -> dict[str, Any]:
    """Return what predict needs to turn what a user types into inputs, and an output into a label."""
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
