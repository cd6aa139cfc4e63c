"""The tutorials' numbers, and how an experiment is trained on one side to compare with them.

numbers.json holds, by name, the inputs, the numbers expected and the tolerance: rtol 1e-12 and atol 1e-13 for
trained values (recomputed in float64 and checked against 34 digits), the printed accuracy for printed ones.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from handgrad import experiments
from handgrad.experiment import Experiment, Loss
from handgrad.loop import run
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide
from parity_tests.devices import chosen
from parity_tests.sides import as_array

NUMBERS: dict[str, Any] = json.loads((Path(__file__).parent / "numbers.json").read_text(encoding="utf-8"))
SIDES = ["manual", "torch"]
SIGNED = Loss("signed_error", 1.0, "sum")
HALF_SSE = Loss("squared_error", 0.5, "sum")
HALF_MEAN = Loss("squared_error", 0.5, "mean")
MSE = Loss("squared_error", 1.0, "mean")
CE_SUM = Loss("cross_entropy", 1.0, "sum")
CE_MEAN = Loss("cross_entropy", 1.0, "mean")


def expected(name: str) -> Any:
    """Return the numbers expected under this name."""
    return NUMBERS[name]["expected"]


def close(name: str, actual: Any, wanted: Any) -> None:
    """Assert that `actual` is `wanted` within the tolerance that stands beside the name."""
    tolerance = {"rtol": 0.0, "atol": 0.0} | NUMBERS[name]["tol"]
    wanted = np.asarray(wanted, dtype=float)
    assert np.shape(actual) == wanted.shape, (np.shape(actual), wanted.shape)
    np.testing.assert_allclose(as_array(actual).astype(float), wanted, **tolerance, err_msg=name)


def side_of(which: str, experiment: Experiment, device: str | None = None) -> ManualSide | TorchSide:
    """Return one side of the experiment at its start."""
    state = experiment.weights(experiment.seed, experiment.network)
    if which == "manual":
        return ManualSide(experiment, experiment.data(), state)
    return TorchSide(experiment, experiment.data(), state, device or chosen.device(experiment.dtype))


def train(which: str, experiment: Experiment, device: str | None = None) -> ManualSide | TorchSide:
    """Return one side of the experiment at its end."""
    side = side_of(which, experiment, device)
    with np.errstate(over="ignore"):
        run(experiment, len(side.inputs), side.step, lambda epoch: None)
    return side


def snapshots(
    which: str, experiment: Experiment, at: Iterable[int], device: str | None = None
) -> dict[int, dict[str, Any]]:
    """Return the state and the losses after the given numbers of full-batch steps, 0 being the start."""
    wanted, found = set(at), {}
    side = side_of(which, experiment, device)
    rows = np.arange(len(side.inputs))
    for step in range(max(wanted) + 1):
        if step in wanted:
            losses = {
                "signed": SIGNED,
                "half_sse": HALF_SSE,
                "half_mean": HALF_MEAN,
                "mse": MSE,
                "ce_sum": CE_SUM,
                "ce_mean": CE_MEAN,
            }
            found[step] = {
                **{name: side.report(loss) for name, loss in losses.items()},
                "state": side.state(),
                "outputs": side.predict(experiment.data().inputs),
                "asked": {name: side.predict(np.array([x])).item() for name, x in experiment.data().asked},
            }
        side.step(rows)
    return found


def people(**changes: Any) -> Experiment:
    """Return the people experiment with other settings."""
    return replace(experiments.get("people"), **changes)


@cache
def trained_people(which: str, seed: int, device: str | None = None) -> ManualSide | TorchSide:
    """Return one side of the people experiment, trained from a seed."""
    return train(which, people(seed=seed), device)
