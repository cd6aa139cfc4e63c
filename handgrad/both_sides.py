"""What the two sides of an experiment share: how a loss is named, states in one form, batches in parts."""

from collections.abc import Callable, Mapping, Sequence
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


def restore_optimizer(optimizer: Any, saved: Mapping[str, Any], convert: Callable[[Any, Any], Any]) -> None:
    """Load an optimizer's state, the numbers in it too as they were: `convert(saved, loaded)` makes them of its kind.

    torch, and manual.optim like it, loads all but `step` in the parameter's dtype. NAdam's product and ASGD's rates are
    float32 whatever that is, and a training that rounds them otherwise from here on would end elsewhere.
    """
    optimizer.load_state_dict(saved)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, entries in saved["state"].items():
        state = optimizer.state[parameters[number]]
        state |= {key: convert(v, state[key]) for key, v in entries.items() if getattr(v, "ndim", None) == 0}


class Scheduled:
    """What each side does alike: its optimizer's learning rate, which a scheduler sets where there is one."""

    trainer: Any
    scheduler: Any

    def schedule(self, *loss: float) -> None:
        """Let the scheduler set the next learning rate; one that looks at the loss is given it."""
        if self.scheduler is not None:
            self.scheduler.step(*loss)

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self.trainer.optimizer.param_groups[0]["lr"])


def parts(rows: Array, count: int) -> list[Array]:
    """Return rows in at most `count` parts, their sizes as equal as they can be."""
    return [part for part in np.array_split(rows, count) if len(part)]


def shared_by(processes: Processes) -> str:
    """Return what a side's description says of several processes."""
    return f", {processes.world} processes" if processes.world > 1 else ""
