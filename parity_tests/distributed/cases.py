"""Small trainings, and what a process that takes part in one finds: losses, gradients, weights."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from handgrad import experiments
from handgrad.data import Data
from handgrad.data.table import IGNORED
from handgrad.divergence import first_not_finite
from handgrad.experiment import Experiment, Loss, Network, Optimizer
from handgrad.launch import build
from handgrad.processes import ALONE, Processes, join
from handgrad.weights import by_network
from parity_tests.distributed.forked import fork

Array = np.ndarray[Any, np.dtype[Any]]
ROWS = 7  # 4 and 3 on two processes, 3, 2 and 2 on three
LABELS = np.array([IGNORED, IGNORED, 0, IGNORED, 2, 1, 2])  # of 4 and 3 they count 1 and 3; of 3, 2, 2: 1, 1, 2


@dataclass(frozen=True)
class Case:
    """A training of a few steps on the same rows."""

    experiment: Experiment
    data: Data
    rows: list[int] = field(default_factory=lambda: list(range(ROWS)))
    steps: int = 1


def drawn(kind: str, **changes: Any) -> Case:
    """Return a case on drawn samples of a 4-5-3 network (4-5-1 for cross-entropy)."""
    random = np.random.default_rng(3)
    outputs = 1 if kind == "cross_entropy" else 3
    targets = LABELS if kind == "classes" else random.uniform(0.1, 0.9, (ROWS, outputs))
    network = Network("mlp", (4, 5, outputs), output="identity" if kind == "classes" else "sigmoid")
    of_case = {name: changes.pop(name) for name in ("rows", "steps") if name in changes}
    reduction = changes.pop("reduction", "mean")
    settings: dict[str, Any] = {"name": kind, "title": "", "source": "", "kind": "training", "weights": by_network}
    data = Data(
        random.normal(size=(ROWS, 4)), targets, tuple("abcd"), classes=tuple("xyz") if kind == "classes" else ()
    )
    experiment = Experiment(
        data=lambda: data, network=network, loss=Loss(kind, 1.5, reduction), seed=1, **settings | changes
    )
    return Case(experiment, data, **of_case)


def named(name: str) -> Case:
    """Return a case of one of the experiments' networks, on a few of its samples, in float64."""
    experiment = experiments.get(name.partition(" ")[0])
    if " " in name:
        experiment = experiment.with_cell(name.partition(" ")[2])
    return Case(replace(experiment, dtype="float64", optimizer=Optimizer()), experiment.data(), rows=[3, 14, 15, 92, 6])


CASES: dict[str, Callable[[], Case]] = {
    "squared error": lambda: drawn("squared_error"),
    "squared error, a sum": lambda: drawn("squared_error", reduction="sum"),
    "cross-entropy from logits": lambda: drawn("cross_entropy"),
    "classes, of which some do not count": lambda: drawn("classes"),
    "float32": lambda: drawn("classes", dtype="float32"),
    "one row": lambda: drawn("squared_error", rows=[2]),
    "two rows of classes": lambda: drawn("classes", rows=[4, 0]),
    "in two parts": lambda: drawn("classes", accumulate=2),
    "in three parts": lambda: drawn("squared_error", accumulate=3),
    "three rows, in two parts": lambda: drawn("squared_error", rows=[5, 1, 3], accumulate=2),  # of 2 and 1: 2 and 1
    "SGD": lambda: drawn("cross_entropy", steps=12, optimizer=Optimizer("SGD", (("momentum", 0.9),))),
    "Adam": lambda: drawn("squared_error", steps=12, optimizer=Optimizer("Adam"), lr=0.02),
    "clipped": lambda: drawn("squared_error", steps=12, max_norm=0.01, lr=5.0),
    "two rows, Adam": lambda: drawn("squared_error", rows=[5, 1], steps=12, optimizer=Optimizer("Adam"), lr=0.02),
    "mlp": lambda: named("mlp"),
    "convnet": lambda: named("convnet"),
    "char_rnn gru": lambda: named("char_rnn gru"),
    "gpt": lambda: named("gpt"),
}


def take_part(case: Case, side: str, processes: Processes = ALONE) -> dict[str, Array]:
    """Take the case's steps, and return the losses, the gradients of the first step and the last weights."""
    trained = side_of(case, side, processes)
    rows = np.array(case.rows)
    losses: list[Any] = [trained.step(rows)]
    found = by_name("gradient", trained, trained.flat_gradients())
    losses += [trained.step(rows) for _ in range(case.steps - 1)]
    found |= by_name("weight", trained, trained.flat_parameters())
    return found | {"losses": np.array(trained.read(losses))}


def side_of(case: Case, side: str, processes: Processes) -> Any:
    """Return one side of a case."""
    state = case.experiment.weights(case.experiment.seed, case.experiment.network)
    return build(side, case.experiment, case.data, state, processes)


def by_name(what: str, side: Any, vector: Array) -> dict[str, Array]:
    """Return the parts of a vector of all parameters."""
    ends = np.cumsum([int(np.prod(shape)) for shape in side.shapes().values()])
    parts = np.split(vector.copy(), ends[:-1])
    return {f"{what} {name}": part for name, part in zip(side.shapes(), parts, strict=True)}


def run(folder: Path, worlds: str) -> None:
    """Run all cases with so many processes each; every rank leaves what it has found in a file."""
    cases = {name: make() for name, make in CASES.items()}
    infinite = drawn("squared_error")
    infinite.data.inputs[-1] = np.nan
    for world in map(int, worlds.split(",")):

        def work(world: int = world) -> None:
            with join("cpu", f"file://{folder}/store{world}") as processes:
                for name, case in cases.items():
                    for side in ("manual", "torch"):
                        found = take_part(case, side, processes)
                        np.savez(folder / f"{name}.{side}.{world}.{processes.rank}.npz", **found)
                for side in ("manual", "torch"):
                    place = folder / f"{side}.{world}.{processes.rank}.txt"
                    place.write_text(str(first_not_finite(side_of(infinite, side, processes), np.arange(ROWS))))

        if any(statuses := fork(world, work, folder)):
            raise SystemExit(f"{world}: {statuses}\n" + "".join(p.read_text() for p in folder.glob("*.err")))


def short(folder: Path, times: str) -> None:
    """Start and end a training of three steps, several times."""
    case = drawn("squared_error")

    for number in range(int(times)):

        def work(number: int = number) -> None:
            with join("cpu", f"file://{folder}/short{number}") as processes:
                trained = side_of(case, "torch", processes)
                for _ in range(3):
                    trained.step(np.arange(ROWS))

        assert fork(2, work, folder) == [0, 0]
