"""Run folders: config.json, metrics.jsonl and weights.npz, written beside and renamed when complete."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from handgrad import weights
from handgrad.cli import plain
from handgrad.data import Data
from handgrad.errors import UsageError
from handgrad.experiment import Experiment, Network, State

FORMAT = 1


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder to fill beside `path`; it becomes `path` at the end, and vanishes if anything is raised.

    Raises UsageError where `path` holds something already or cannot be written, before any work is done.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"--out {path} exists already and is kept as it is; name a new or an empty folder")
    beside = path.parent / f".{path.name}.{os.getpid()}.partial"
    try:
        beside.mkdir(parents=True)
    except OSError as error:
        raise UsageError(f"--out {path} cannot be written ({error.strerror}); name a folder that can") from None
    try:
        yield beside
        if path.exists():
            path.rmdir()
        beside.rename(path)
    except OSError as error:
        raise UsageError(f"--out {path} could not be written ({error.strerror}); nothing was left there") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def write(
    folder: Path, side: str, experiment: Experiment, data: Data, metrics: list[Mapping[str, Any]], state: State
) -> None:
    """Fill `folder` with one side's run."""
    folder.mkdir(exist_ok=True)
    config = {"format": FORMAT, "side": side, **experiment.config(), "data": _data(data)}
    write_json(folder / "config.json", config)
    lines = "".join(json.dumps(plain(dict(line)), allow_nan=False) + "\n" for line in metrics)
    (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")
    weights.save(folder / "weights.npz", state)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as an indented JSON document."""
    path.write_text(json.dumps(plain(value), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _data(data: Data) -> dict[str, Any]:
    """What predict needs to turn what a user types into inputs, and an output into a label."""
    return {
        "features": data.features,
        "units": data.units,
        "shift": data.shift,
        "scale": data.scale,
        "labels": data.labels,
    }


class Run:
    """A run folder that was read back: its network and weights, and how its inputs are made."""

    def __init__(self, folder: Path) -> None:
        config = _read_config(folder / "config.json")
        try:
            network = config["network"]
            self.network = Network(**{**network, "sizes": tuple(network["sizes"])})
            self.experiment_name = str(config["experiment"])
            self.side, self.dtype = str(config["side"]), str(config["dtype"])
            # A table without samples: it knows how inputs are made and what an output means.
            table: dict[str, Any] = {k: None if v is None else tuple(v) for k, v in config["data"].items()}
            self.data = Data(inputs=np.empty((0, self.network.sizes[0])), targets=np.empty((0, 1)), **table)
        except (KeyError, TypeError) as error:
            raise UsageError(f"{folder / 'config.json'} is not of a run of train.py ({error}); train again") from None
        self.state = weights.load(folder / "weights.npz", self.network)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; name a folder that train.py --out has left") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}); train again to replace it") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise UsageError(f"{path} is not of format {FORMAT}, which is what this version reads; train again")
    return config
