"""Buffers after a forward: running statistics by hand beside torch's."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from handgrad.checking.conventions import near
from handgrad.checking.record import Array, Arrays
from handgrad.checking.report import Cause, Row
from handgrad.checking.twins import HandSide, at
from handgrad.checking.verdicts import ALLOWED


@dataclass(frozen=True)
class Problem:
    """Something wrong that is no gradient: its name, the stage, why if it is known, and a fact."""

    name: str
    stage: str
    cause: Cause | None
    fact: str = ""


def buffers_after(
    hand: HandSide, params: Arrays, inputs: Arrays, before: Arrays, training: bool, eps: float
) -> tuple[list[Row], list[Problem], list[str]]:
    """Run one forward on both sides; return the table's rows, what is wrong, and which buffers the layer lacks.

    `eps` is that of the precision in which the layer computes.
    """
    layer = hand.loaded(params, before, training)
    hand.forward(layer, {name: value.copy() for name, value in inputs.items()})
    after = hand.torch_side.run(params, inputs, training, before)[1]
    rows, problems, missing = [], [], []
    for name, buffer in after.items():
        given, true = at(layer, name), buffer.numpy()
        if given is None:
            missing.append(f"{name}: the layer has no such buffer")
            continue
        given = np.asarray(given)
        row = _row(name, given, true, eps)
        rows.append(row)
        if row.verdict:
            cause = next(_causes(hand.torch_side.module, name, given, true, before[name]), None)
            problems.append(
                Problem(name, "forward", cause, f"it is wrong after one forward from {name} = {_short(before[name])}")
            )
    return rows, problems, missing


def _short(value: Array) -> str:
    return np.array2string(value.ravel()[:3], precision=4, separator=", ")[:-1] + (", ...]" if value.size > 3 else "]")


def _row(name: str, given: Array, true: Array, eps: float) -> Row:
    if given.shape != true.shape:
        return Row(name, np.inf, np.inf, np.inf, f"shape {given.shape}, not {true.shape}")
    with np.errstate(all="ignore"):
        error = np.abs(given.astype(np.float64) - true)
        worst = float(np.where(np.isnan(error), np.inf, error).max(initial=0.0))
    size = float(np.abs(true).max(initial=0))
    unit = eps * size if true.dtype.kind == "f" and size else float(np.finfo(np.float64).tiny)
    verdict = "wrong" if worst / unit > ALLOWED else ""
    return Row(name, worst, worst / size if size else float(worst > 0), worst / unit, verdict)


def _causes(module: torch.nn.Module, name: str, given: Array, true: Array, before: Array) -> Iterator[Cause]:
    """Yield what torch's new = (1 - m) old + m batch becomes with its usual mistakes, if that is what is given."""
    evidence = "with it the numbers come out to 1e-9"
    momentum = getattr(module.get_submodule(name.rpartition(".")[0]), "momentum", None)
    if given.shape != true.shape or true.dtype.kind != "f":
        return
    if near(given, before):
        yield Cause("NORM-RUNNING-STATS", "the running statistics are not updated", evidence)
    if not momentum:
        return
    batch = before + (true - before) / momentum
    if near(given, momentum * before + (1 - momentum) * batch):
        said = f"the momentum {momentum:g} is the batch's share, not that of what was: here it is the other way round"
        yield Cause("NORM-RUNNING-STATS", said, evidence)
    with np.errstate(all="ignore"):
        ratio = (before + (given - before) / momentum) / batch
    count = 1 / (1 - float(np.median(ratio))) if np.isfinite(ratio).all() and np.median(ratio) < 1 else 0.0
    if np.ptp(ratio) < 1e-6 and count > 1.5 and abs(count - round(count)) < 1e-4 * count:
        said = f"the biased variance, over N = {count:.0f}, is kept: torch keeps the unbiased one, over N - 1"
        yield Cause("NORM-DDOF-FORWARD", said, evidence)
