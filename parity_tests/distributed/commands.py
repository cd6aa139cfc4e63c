"""train.py in several processes: through, refused, diverged, interrupted, killed. Prints what each left, as JSON."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from handgrad import training
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide
from parity_tests.distributed.forked import fork
from scripts import train

LONG = ("people", "--batch-size", "3", "--epochs", "100000", "--report-every", "10", "--checkpoint-every", "20")
WHOLE = ("--batch-size", "3", "--epochs", "50", "--report-every", "1", "--side", "both")
WHOLE += ("--scheduler", "ReduceLROnPlateau(patience=3)")
EPOCHS = "300"  # of a run that goes on


def launched(folder: Path, world: int, *arguments: Any, then: Callable[[list[int]], None] = lambda _: None) -> Any:
    """Run train.py in so many processes, and return exit statuses, stdout and stderr, each by rank."""

    def work() -> int:
        if (
            os.environ["RANK"] == "1"
        ):  # by this one's clock a checkpoint is due after every step, and it sees no progress
            training.CHECKPOINT_SECONDS = 0.0
            for side in (ManualSide, TorchSide):
                side.report = lambda self, loss: 1.0
        return train.main([*map(str, arguments)])

    found: dict[str, Any] = {"statuses": fork(world, work, folder, then)}
    for name in ("out", "err"):
        found[name] = [(folder / f"{rank}.{name}").read_text() for rank in range(world)]
    return found


def after_some_lines(run: Path, rank: int, number: int) -> Callable[[list[int]], None]:
    """Return what sends a signal to one process once the run has written three lines."""

    def send(processes: list[int]) -> None:
        metrics = run / "metrics.jsonl"
        for _ in range(1500):
            if metrics.exists() and len(metrics.read_text().splitlines()) >= 3:
                break
            time.sleep(0.02)
        os.kill(processes[rank], number)

    return send


def run(folder: Path, _: str) -> None:
    """Run all of them."""
    whole = ("people", *WHOLE, "--out", folder / "whole")
    too_fast = ("trial_and_error", "--lr", "1e308", "--epochs", "9", "--out", folder / "diverged")
    found = {
        "whole": launched(folder, 2, *whole),
        "exists": launched(folder, 2, *whole),
        "mistyped": launched(folder, 2, "people", "--out", "x", "--sides", "both"),
        "diverged": launched(folder, 3, *too_fast),
    }
    for name, world, side, rank, number in (
        ("interrupted", 3, "manual", 1, signal.SIGTERM),
        ("killed", 2, "torch", 1, signal.SIGKILL),
        ("main killed", 3, "manual", 0, signal.SIGKILL),
    ):
        place = folder / name
        send = after_some_lines(place, rank, number)
        found[name] = launched(folder, world, *LONG, "--side", side, "--out", place, then=send)
        found[f"{name}, resumed"] = launched(folder, world - 1, "--resume", place, "--epochs", EPOCHS)
    print(json.dumps(found))
