"""Where a training goes wrong: the first step, and in it the first tensor, that is not finite."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from handgrad.both_sides import Snapshot
from handgrad.experiment import State
from handgrad.loop import Batch, Order
from handgrad.recording import by_hand, with_autograd
from handgrad.sides import ManualSide
from handgrad.trace import roots

if TYPE_CHECKING:
    from handgrad.torch_side import TorchSide

Array = np.ndarray[Any, np.dtype[Any]]


class Found(NamedTuple):
    """The first tensor that is not finite, its step's epoch, and all that the step began from."""

    name: str
    epoch: int
    before: Snapshot


def repeat(side: "ManualSide | TorchSide", order: Order, end: int, schedule: Callable[[Batch], object]) -> Found | None:
    """Take the steps up to `end` again, every tensor of them watched; None where all are finite this time."""
    while order.step < end:
        before, batch = side.snapshot(), order.next()
        if (name := first_not_finite(side, batch.rows)) is not None:
            return Found(name, batch.epoch, before)
        schedule(batch)
    return None


def first_not_finite(side: "ManualSide | TorchSide", rows: Array) -> str | None:
    """Take one step on these rows, and name the first tensor of it that is not finite, in order of computation.

    Forward these are the samples and what goes into every module and comes out of it, then the loss; back the gradients
    with respect to these, then those of the parameters; at last the parameters after the update. None where all is
    finite. Of several processes each looks at its own rows, and all return what is first in any of them.
    """
    found = [place for place in side.processes.every(_first(side, rows)) if place is not None]
    return min(found)[-1] if found else None


def _first(side: "ManualSide | TorchSide", rows: Array) -> tuple[bool, int, str] | None:
    """Return the place of the first tensor that is not finite, in an order that is the same in every process."""
    recorder = by_hand if isinstance(side, ManualSide) else with_autograd
    with recorder(roots(side)) as recording:
        loss = side.step(rows)
    found: State = {**recording.values, "loss": np.asarray(float(loss))}
    found |= {f"d_L_d_{name}": grad for name, grad in recording.grads.items()}
    flat = {"the gradient of": side.flat_gradients(), "after the update,": side.flat_parameters()}
    for place, (name, values) in enumerate(found.items()):
        if not _finite(values):
            return False, place, name
    for place, (what, vector) in enumerate(flat.items()):
        start = 0
        for name, shape in side.shapes().items():
            size = int(np.prod(shape))
            if not _finite(vector[start : start + size]):
                return True, place, f"{what} {name}"
            start += size
    return None


def _finite(values: Array) -> bool:
    return values.dtype.kind != "f" or bool(np.isfinite(values).all())
