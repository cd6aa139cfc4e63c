"""What the two sides of an experiment share: how a loss is named, states in one form, batches in parts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from handgrad.data import IGNORED
from handgrad.experiment import Loss, State
from handgrad.processes import Processes

Array = np.ndarray[Any, np.dtype[Any]]
CHUNK = 1000  # samples that a network is asked about at once


def loss_arguments(loss: Loss, logits: bool) -> tuple[str, float, str]:
    """Return the arguments of Objective for a convention, on outputs that are logits or not."""
    kind = "cross_entropy_from_logits" if loss.kind == "cross_entropy" and logits else loss.kind
    return kind, loss.factor, loss.reduction


def in_chunks(loss: Loss, inputs: Any, targets: Any, total: Callable[[Any, Any], float]) -> float:
    """Return the mean loss over many samples, CHUNK at a time: sums are added, and divided by what was counted."""
    counted = int((targets != IGNORED).sum())
    parts = (slice(start, start + CHUNK) for start in range(0, len(targets), CHUNK))
    found = sum(total(inputs[part], targets[part]) for part in parts)
    return loss.factor * found / (counted if loss.reduction == "mean" else 1)


class Snapshot(NamedTuple):
    """All that the next step depends on: the states of the network, the optimizer and the scheduler, as arrays.

    They have torch's form and keys, on either side, so that one can go on where the other has stopped.
    """

    network: State
    optimizer: dict[str, Any]
    scheduler: dict[str, Any]


def each_leaf(change: Callable[[Any], Any], value: Any) -> Any:
    """Return a snapshot, or a state of mappings and lists, with change(leaf) in the place of every leaf."""
    if isinstance(value, Snapshot):
        return Snapshot(*(each_leaf(change, part) for part in value))
    if isinstance(value, Mapping):
        return {key: each_leaf(change, part) for key, part in value.items()}
    return [each_leaf(change, part) for part in value] if isinstance(value, list) else change(value)


def optimizer_state(names: Sequence[str], state: Mapping[str, Any]) -> State:
    """Return what an optimizer keeps of each parameter, by name: exp_avg of 0.weight is `0.weight exp_avg`."""
    kept = ((names[int(number)], values) for number, values in sorted(state["state"].items()))
    return {f"{name} {key}": np.array(v) for name, values in kept for key, v in values.items() if v is not None}


def numbers(snapshot: Snapshot, state: Mapping[Any, dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Yield each number without axes of an optimizer's loaded state: its entries, its name, the dtype it was saved in.

    NAdam's `mu_product` and ASGD's `eta` are float32 of parameters in float64 too, but loading casts them to float64.
    """
    for loaded, saved in zip(state.values(), snapshot.optimizer["state"].values(), strict=True):
        yield from ((loaded, key, v.dtype) for key, v in saved.items() if hasattr(v, "dtype") and v.ndim == 0)


def parts(rows: Array, count: int) -> list[Array]:
    """Return rows in at most `count` parts, their sizes as equal as they can be."""
    return [part for part in np.array_split(rows, count) if len(part)]


def shared_by(processes: Processes) -> str:
    """Return what a side's description says of several processes."""
    return f", {processes.world} processes" if processes.world > 1 else ""
