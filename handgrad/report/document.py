"""A comparison as plain values, for --json and for comparison.json in a run folder."""

from typing import Any

from handgrad.comparison import Comparison
from handgrad.data import contradictions
from handgrad.lockstep import Row
from handgrad.report.text import SAMPLES_SHOWN


def results(comparison: Comparison) -> dict[str, Any]:
    """Return all that was found: every report, the first and the last step, the worst, the predictions."""
    data = comparison.data
    inputs = data.inputs[:SAMPLES_SHOWN] if data.classes else data.inputs
    hand, autograd = comparison.outputs(inputs)
    found: dict[str, Any] = {
        "title": comparison.experiment.title,
        "source": comparison.experiment.source,
        "device": str(comparison.device),
        "outputs": [
            {"inputs": x, "by_hand": a, "with_autograd": b} for x, a, b in zip(inputs, hand, autograd, strict=True)
        ],
        "asked": [_asked(comparison, name, inputs) for name, inputs in data.asked],
        "same_state": [vars(end) for end in comparison.ends],
        "contradictory_rows": [] if data.labels is None else contradictions(data.inputs, data.targets),
    }
    if comparison.experiment.kind == "forward":
        return found
    lockstep = comparison.lockstep
    return found | {
        "losses": [vars(report) for report in comparison.reports],
        "steps": lockstep.steps,
        "largest_error_ratio": lockstep.largest_ratio,
        "diverged_at_epoch": comparison.diverged_at,
        "first_step": [_row(row) for row in lockstep.first],
        "last_step": [_row(row) for row in lockstep.last],
        "furthest_apart": [vars(worst) for worst in lockstep.worst_rows()],
        "failure": None if lockstep.failure is None else vars(lockstep.failure),
        "final": {"by_hand": comparison.final_hand, "with_autograd": comparison.final_autograd},
        "free_running_difference": comparison.apart,
        "twin_difference": comparison.twin_apart,
    }


def verdict(comparison: Comparison) -> str:
    """Return the verdict as one word."""
    return "in parity" if comparison.ok else "out of parity"


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "by_hand": row.hand,
        "with_autograd": row.autograd,
        "difference": row.difference.max(initial=0.0),
        "units": row.units.max(initial=0.0),
        "in_parity": row.ok,
    }


def _asked(comparison: Comparison, name: str, inputs: tuple[float, ...]) -> dict[str, Any]:
    import numpy as np

    hand, autograd = comparison.outputs(np.array([inputs]))
    label = comparison.data.label(float(hand.item()))
    return {"name": name, "inputs": inputs, "by_hand": hand.item(), "with_autograd": autograd.item(), "label": label}
