"""How a training begins: from an experiment's initial weights, or from a checkpoint of either side."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handgrad import checkpoint, rules
from handgrad.both_sides import Snapshot
from handgrad.cli import plain
from handgrad.data import Data
from handgrad.data.source import fingerprint
from handgrad.errors import UsageError
from handgrad.experiment import Experiment, State
from handgrad.processes import Processes
from handgrad.sides import ManualSide
from handgrad.training import Plan, Training

if TYPE_CHECKING:
    from handgrad.torch_side import TorchSide

__all__ = ["Plan", "Saved", "folders", "go_on", "kept", "read", "trainings"]

# Options that say where and how a run is computed, not what.
NOT_KEPT = ("out", "resume", "side", "device", "json")


def kept(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that a run is repeated from, as plain values; a path is kept whole, from the root on."""
    given = {name: value for name, value in vars(options).items() if name not in NOT_KEPT}
    return {name: {"path": str(v.absolute())} if isinstance(v, Path) else v for name, v in given.items()}


def trainings(
    experiment: Experiment, sides: Sequence[str], processes: Processes, options: Mapping[str, Any], plan: Plan
) -> list[Training]:
    """Return a training of each side, both from copies of the same initial weights."""
    data = loaded(experiment, options)
    state = experiment.weights(experiment.seed, experiment.network)
    by_hand = replace(processes, device="cpu") if len(sides) > 1 else processes
    places = {"manual": by_hand, "torch": processes}
    config = _config(experiment, data, options)
    return [_training(experiment, data, state, side, places[side], config, plan) for side in sides]


def let_be_deterministic() -> None:
    """Let torch give the same bits every time; UsageError where it is too late for that."""
    from torch_impl.device import deterministic

    try:
        deterministic()
    except ValueError as error:
        raise UsageError(f"--deterministic: {error}") from None


def loaded(experiment: Experiment, options: Mapping[str, Any]) -> Data:
    """Return the experiment's samples; UsageError where a batch, or a scheduler, does not fit them."""
    data, asked = experiment.data(), options["batch_size"]
    if asked is not None and asked > len(data.inputs):
        raise UsageError(
            f"--batch-size {asked}: there are {len(data.inputs):,} samples to train on; give at most that many, "
            "or leave it out"
        )
    rules.check_length(experiment, len(data.inputs))
    return data


def _training(
    experiment: Experiment,
    data: Data,
    state: State,
    side: str,
    processes: Processes,
    config: Mapping[str, Any],
    plan: Plan,
) -> Training:
    if side == "torch" and config["options"]["deterministic"]:
        let_be_deterministic()
    built = build(side, experiment, data, state, processes)
    # Of several processes each has the device of its own number.
    device = built.on.partition(":")[0] if processes.world > 1 else built.on
    return Training(experiment, data, built, {**config, "device": device}, plan)


def _config(experiment: Experiment, data: Data, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run is held against when it goes on, the same on both sides."""
    return {"settings": plain(experiment.config()), "samples": fingerprint(data), "options": dict(options)}


def build(
    side: str, experiment: Experiment, data: Data, state: State, processes: Processes
) -> "ManualSide | TorchSide":
    """Return one side, with copies of the weights; torch is imported only for its own.

    The generators that modules would draw from are seeded, so that a checkpoint of them is the same every time.
    """
    device = processes.device
    if side == "manual" and device != "cpu":
        raise UsageError(f"--device {device}: the manual side runs on the CPU alone; use --side torch or both")
    if side == "manual":
        by_hand = ManualSide(experiment, data, state, processes=processes)
        by_hand.seed(experiment.seed)
        return by_hand
    import torch

    from handgrad.torch_side import TorchSide, choose_device

    torch.manual_seed(experiment.seed)
    return TorchSide(experiment, data, state, choose_device(device, experiment.dtype), processes=processes)


@dataclass(frozen=True, eq=False)
class Saved:
    """A checkpoint as it was read, the folder of its run, and the file in it."""

    folder: Path
    file: Path
    snapshot: Snapshot
    rest: dict[str, Any]

    @property
    def options(self) -> dict[str, Any]:
        """The options that the run was started with."""
        options: dict[str, Any] = self.rest["config"]["options"]
        return {name: Path(v["path"]) if isinstance(v, dict) else v for name, v in options.items()}


def folders(given: Path, side: str | None) -> list[Path]:
    """Return the folder of the run, or the two of a training of both sides; UsageError where `side` does not fit."""
    both = [given / name for name in ("manual", "torch") if (given / name / "config.json").is_file()]
    if both and side not in (None, "both"):
        raise UsageError(f"{given} holds a run of each side; name one of them: --resume {given / str(side)}")
    if not both and side == "both":
        raise UsageError(f"{given} is a run of one side; go on with --side manual or torch")
    return both or [given]


def read(given: Path) -> Saved:
    """Return the last checkpoint of a folder, or the one in a file; UsageError where it cannot be used."""
    snapshot, rest = checkpoint.load(given)
    folder, file = (given, checkpoint.file_of(given)) if given.is_dir() else (given.parent, given)
    if not (folder / "config.json").is_file():
        raise UsageError(f"{folder} has no config.json, so it is no run of train.py; name the folder of one")
    return Saved(folder, file, snapshot, rest)


def go_on(
    saved: Saved,
    experiment: Experiment,
    side: str | None,
    processes: Processes,
    options: Mapping[str, Any],
    plan: Plan,
) -> Training:
    """Return a training that goes on from a checkpoint, on the side that it is of, or on the other.

    Raises UsageError where settings or samples are no longer what they were.
    """
    name = saved.rest["side"] if side in (None, "both") else str(side)
    data = loaded(experiment, options)
    state = experiment.weights(experiment.seed, experiment.network)
    training = _training(experiment, data, state, name, processes, _config(experiment, data, options), plan)
    before, now = saved.rest["config"], training.config
    for key, value in now["settings"].items():
        if key not in ("epochs", "steps") and before["settings"].get(key) != value:
            raise UsageError(
                f"{saved.folder} was trained with {key} {before['settings'].get(key)}, but this version of handgrad "
                f"has {value}; go on with the version that config.json names"
            )
    if before["samples"] != now["samples"]:
        where = (data.source or {}).get("path", "what comes with this version")
        raise UsageError(f"{saved.folder} was trained on other samples: {where} is not as it was; bring that back")
    if training.total < (taken := saved.rest["order"]["step"]):
        raise UsageError(
            f"{saved.folder} has taken {taken:,} steps already, more than the {training.total:,} asked for"
        )
    training.go_on(saved.folder, saved.file, saved.snapshot, saved.rest)
    return training
