"""Upstream gradients: how a function of any outputs becomes the loss of one number that a check needs.

The loss is sum(output * upstream) with upstream gradients drawn at random, never ones; a single output of one number
is the loss itself. The gradients of the outputs are given, so that all behind them counts as settled.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from handgrad.checking.record import Array, Arrays, Tensor
from handgrad.checking.report import Cause, Report

PREFIX = "grad_output"


def is_loss(outputs: list[Any]) -> bool:
    """Return whether there is one output, of one number."""
    return len(outputs) == 1 and np.ndim(outputs[0]) == 0


def named(outputs: list[Any]) -> dict[str, Any]:
    """Return the outputs by name; none where the only one is the loss."""
    if is_loss(outputs):
        return {}
    return {f"output{number}" if len(outputs) > 1 else "output": o for number, o in enumerate(outputs)}


def drawn(outputs: list[Any], rng: np.random.Generator) -> Arrays:
    """Return random upstream gradients, to stand among the inputs under their own names."""
    return {f"grad_{name}": np.asarray(rng.standard_normal(tuple(o.shape))) for name, o in named(outputs).items()}


def of(inputs: Mapping[str, Any]) -> list[Any]:
    """Return the upstream gradients among these inputs, [1.0] for a loss."""
    return [value for name, value in inputs.items() if name.startswith(PREFIX)] or [1.0]


def without(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that are no upstream gradients."""
    return {name: value for name, value in inputs.items() if not name.startswith(PREFIX)}


def loss(outputs: list[Tensor], inputs: Mapping[str, Tensor]) -> Any:
    """Return what a forward under check returns: (the loss, the outputs by name)."""
    found = named(outputs)
    if not found:
        return outputs[0]
    # One may be made of another, as an LSTM's h of its c, or be written in place: only copies have the gradients given.
    found = {name: o.clone() for name, o in found.items()}
    total = torch.stack([(o * inputs[f"grad_{name}"].detach()).sum() for name, o in found.items()]).sum()
    return total, {name: o for name, o in found.items() if o.requires_grad}


def answer(outputs: list[Array], inputs: Mapping[str, Array]) -> tuple[Any, Arrays]:
    """Return (the loss, intermediates) of a backward under check."""
    found = named([np.array(o) for o in outputs])  # copies: backward may overwrite what forward returned
    if not found:
        return np.array(outputs[0]), {}
    upstream = {f"d{name}": inputs[f"grad_{name}"] for name in found}
    total = sum((o * g).sum() for o, g in zip(outputs, of(inputs), strict=True))
    if all((o == o.astype(np.float32)).all() for o in found.values()):  # of a layer in single precision, as it would
        total = np.float32(total)
    return total, {**found, **upstream}


def tidy(report: Report, fresh: str) -> None:
    """Leave out of a report what was made up: the outputs' copies, their loss, the upstream gradients given.

    `fresh` is what was drawn anew where nobody gave make_inputs.
    """
    if fresh:
        report.probe = report.probe.replace("inputs of make_inputs", fresh)
    report.probe = "; ".join(dict.fromkeys(report.probe.split("; ")))
    report.causes = [_of_output(cause) for cause in report.causes]
    report.also_wrong = {name: [_of_output(cause) for cause in causes] for name, causes in report.also_wrong.items()}
    if any(row.name.startswith("doutput") for row in report.table):
        report.table = [row for row in report.table if row.name != "loss" and not row.name.startswith("doutput")]
        report.fine = [note for note in report.fine if not note.startswith("loss:")]


def _of_output(cause: Cause) -> Cause:
    return replace(cause, place=cause.place.replace("clone in", "output of"))
