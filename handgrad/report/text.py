"""A comparison as text: what a newcomer reads in the terminal."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from handgrad.comparison import Comparison
from handgrad.data import Data, contradictions, describe
from handgrad.experiment import Experiment
from handgrad.lockstep import Row
from handgrad.metrics import accuracy, class_accuracy
from torch_impl.device import FULL_PRECISION

Array = np.ndarray[Any, np.dtype[Any]]

EPOCHS_SHOWN = 11
ENTRIES_SHOWN = 12  # of one tensor; of a larger one, the entry that is furthest apart
SAMPLES_SHOWN = 12
PARTS = {"train": "on the samples", "validate": "on those to validate", "test": "on the held-out samples"}


def digits(value: float, dtype: str) -> str:
    """Return a number in the fewest digits that tell it from its neighbours of that dtype."""
    return str(np.dtype(dtype).type(value))


def title(experiment: Experiment) -> list[str]:
    """Return what the experiment is and from where, and how it is run."""
    lines = [f"{experiment.name}: {experiment.title}", f"  source    {experiment.source}"]
    lines.append(f"  network   {experiment.network}")
    if experiment.kind != "forward":
        batch = "full batch" if experiment.batch_size is None else f"batch {experiment.batch_size}"
        epochs = f"{experiment.epochs} epoch{'s' if experiment.epochs > 1 else ''}"
        lines.append(f"  loss      {experiment.loss}; {experiment.optimizer}, lr {experiment.lr:g}")
        inputs = f", inputs {experiment.inputs_as}" if experiment.inputs_as else ""
        order = f"{experiment.order} order, seed {experiment.seed}"
        lines.append(f"  training  {epochs}, {batch}, {order}, {experiment.dtype}{inputs}")
    if experiment.is_published:
        lines.append(f"  PUBLISHED RULE, with its mistake: {experiment.published_note}")
    return lines


def warnings_of_data(data: Data) -> list[str]:
    """Return a warning for rows that contradict each other; no training can get them right.

    Of a table that was read from a file the samples' line counts them: its rows have other numbers once it is split.
    """
    if data.labels is None or data.source is not None:
        return []
    groups = contradictions(data.inputs, data.targets)
    lines = []
    for rows in groups[:5]:
        best = data.targets[[row - 1 for row in rows]].mean()
        numbers = ", ".join(map(str, rows[:-1])) + f" and {rows[-1]}"
        lines.append(
            f"  warning   rows {numbers} have the same inputs and different targets: no function of the "
            f"inputs gets them right, the best output is {best:.4g}"
        )
    if len(groups) > 5:
        lines.append(f"  warning   {len(groups) - 5} more groups of rows contradict themselves in the same way")
    return lines


def on(device: Any) -> str:
    """Return where autograd's side computes; of an accelerator also how exactly."""
    return f"PyTorch on {device}" + ("" if device.type == "cpu" else f", {FULL_PRECISION}")


def full(comparison: Comparison) -> Iterator[str]:
    """Yield the whole report, line by line."""
    experiment = comparison.experiment
    yield from title(experiment)
    yield f"  devices   by hand: NumPy on the CPU; with autograd: {on(comparison.device)}"
    if experiment.kind != "forward":
        yield f"  samples   {describe(comparison.data, experiment.name)}"
    yield from warnings_of_data(comparison.data)
    if experiment.kind != "forward":
        yield from ("", *_losses(comparison))
        yield from ("", "First step, both sides from the same parameters")
        yield from _step(comparison.lockstep.first, experiment.dtype)
        if comparison.lockstep.steps > 1:
            yield from ("", f"Last step (of {comparison.lockstep.steps:,}), again from the same parameters")
            yield from _step(comparison.lockstep.last, experiment.dtype)
            yield from ("", "Furthest apart over all steps, in units of rounding", *_worst(comparison))
    yield from ("", *_predictions(comparison))
    if experiment.remarks is not None:
        yield from ("", *experiment.remarks(comparison))
    yield from ("", verdict(comparison))


def _losses(comparison: Comparison) -> Iterator[str]:
    experiment, reports = comparison.experiment, comparison.reports
    yield f"Reported loss, {experiment.report}, {experiment.report_when} the epoch; both sides running free"
    named = not experiment.layered  # where free runs part, that a twin does so too is worth a column
    heading = f"  {'epoch':>7}  {'by hand':>24}  {'with autograd':>24}  {'difference':>10}"
    yield heading + (f"  {'from a one-ulp twin':>19}" if named else "")
    shown = sorted({round(i) for i in np.linspace(0, len(reports) - 1, EPOCHS_SHOWN)}) if reports else []
    for index in shown:
        report = reports[index]
        difference = abs(report.hand - report.autograd)
        both = f"{digits(report.hand, experiment.dtype):>24}  {digits(report.autograd, experiment.dtype):>24}"
        twin = f"  {abs(report.hand - report.twin):>19.1e}" if named else ""
        yield f"  {report.epoch:>7}  {both}  {difference:>10.1e}{twin}"
    if len(shown) < len(reports):
        yield f"  ({len(shown)} of {len(reports)} reports; --json and --out have all)"


def entries(row: Row) -> Iterator[tuple[str, float, float, float, float]]:
    """Yield (name, by hand, with autograd, difference, units) for each entry, or for the worst of a large tensor."""
    if row.hand.size <= ENTRIES_SHOWN:
        indices: Sequence[Any] = list(np.ndindex(row.hand.shape))
    else:
        indices = [np.unravel_index(int(np.argmax(row.units)), row.hand.shape)]
    for index in indices:
        place = f"[{','.join(str(int(i)) for i in index)}]" if index else ""
        values = (float(part[index]) for part in (row.hand, row.autograd, row.difference, row.units))
        yield (row.name + place, *values)  # type: ignore[misc]


def _step(rows: Sequence[Row], dtype: str) -> Iterator[str]:
    shown = [(entry, row.ok) for row in rows for entry in entries(row)]
    width = max((len(entry[0]) for entry, _ in shown), default=0)
    yield f"  {'':{width}}  {'by hand':>24}  {'with autograd':>24}  {'difference':>10}  {'units':>7}"
    for (name, hand, autograd, difference, units), ok in shown:
        mark = "" if ok else "  <- out of parity"
        both = f"{digits(hand, dtype):>24}  {digits(autograd, dtype):>24}"
        yield f"  {name:{width}}  {both}  {difference:>10.1e}  {units:>7.3f}{mark}"


def _worst(comparison: Comparison) -> Iterator[str]:
    found = comparison.lockstep.worst_rows()
    width = max(len(worst.name) for worst in found)
    cells = [f"{worst.name:{width}} {worst.units:7.3f} at step {worst.step:<7}" for worst in found]
    columns = max(1, 110 // (len(cells[0]) + 2))
    for start in range(0, len(cells), columns):
        yield ("  " + "  ".join(cells[start : start + columns])).rstrip()
    yield "  (one unit: eps times the size of what was added and multiplied to make the number)"


def _predictions(comparison: Comparison) -> Iterator[str]:
    data = comparison.data
    if data.classes:
        yield from _classes(comparison)
        return
    names = [*data.rows] or [",".join(f"{x:g}" for x in row) for row in data.inputs[:SAMPLES_SHOWN]]
    blocks = [("Outputs", names, data.inputs)] if len(data.inputs) <= SAMPLES_SHOWN else []
    if data.asked:
        blocks.append(("Asked", [name for name, _ in data.asked], np.array([inputs for _, inputs in data.asked])))
    if data.test_inputs is not None and len(data.test_inputs) <= SAMPLES_SHOWN:
        blocks.append(("Test", [",".join(f"{x:g}" for x in row) for row in data.test_inputs], data.test_inputs))
    for heading, labels, inputs in blocks:
        hand, autograd = comparison.outputs(inputs)
        width = max(map(len, labels), default=0)
        yield f"{heading:{width + 2}}  {'':>6}  {'by hand':>22}  {'with autograd':>22}  {'difference':>10}"
        for name, a, b in zip(labels, hand.ravel(), autograd.ravel(), strict=True):
            label = data.label(float(a))
            both = f"{a!s:>22}  {b!s:>22}  {abs(float(a) - float(b)):>10.1e}"
            yield f"  {name:{width}}  {a:>6.3f}  {both}  {label}".rstrip()
    yield from _accuracies(comparison)


def _classes(comparison: Comparison) -> Iterator[str]:
    yield "Share of right classes, each side with its own weights"
    for part, (inputs, targets) in comparison.data.parts.items():
        hand, autograd = (class_accuracy(outputs, targets) for outputs in comparison.outputs(inputs))
        yield f"  {PARTS[part]} ({len(inputs):,}): by hand {hand:.4f}, with autograd {autograd:.4f}"


def _accuracies(comparison: Comparison) -> Iterator[str]:
    if comparison.data.labels is None or comparison.experiment.kind == "forward":
        return
    for part, (inputs, targets) in comparison.data.parts.items():
        hand, autograd = (accuracy(outputs, targets) for outputs in comparison.outputs(inputs))
        yield f"  accuracy {PARTS[part]} ({len(inputs):,}): by hand {hand:.4f}, with autograd {autograd:.4f}"


def verdict(comparison: Comparison) -> str:
    """Return the one line that says whether both sides are in parity, and how far apart they ended."""
    experiment, lockstep = comparison.experiment, comparison.lockstep
    word = "IN PARITY" if comparison.ok else "OUT OF PARITY"
    if lockstep.failure is not None:
        failure = lockstep.failure
        if failure.reason:
            return f"{word}: step {failure.step}, {failure.name} goes wrong first: {failure.reason}."
        return (
            f"{word}: step {failure.step}, {failure.name} goes wrong first: by hand it is off by "
            f"{failure.hand_error:.2e}, autograd by {failure.autograd_error:.2e}, allowed were {failure.allowed:.2e}."
        )
    for end in comparison.ends:
        if not end.ok:
            units = f"{end.units:.3g} units of rounding"
            return f"{word}: from one and the same state the {end.name} differ by {end.difference:.2e}, {units}."
    if experiment.kind == "forward":
        return f"{word}: the outputs differ by {comparison.ends[0].difference:.1e} at most."
    steps = "at the one step" if lockstep.steps == 1 else f"at all {lockstep.steps:,} steps"
    epoch = comparison.diverged_at
    kinks = (
        ""
        if not lockstep.kinks
        else (f" At {lockstep.kinks:,} of them a maximum or a kink lay within a rounding of falling the other way.")
    )
    lost = kinks if epoch is None else f" The training DIVERGED by epoch {epoch}: lower --lr."
    return (
        f"{word} {steps}: the error by hand is at most {lockstep.largest_ratio:.2f} x max(autograd's, one rounding), "
        f"allowed {lockstep.allowed:g}; free runs end {comparison.apart:.1e} apart "
        f"(a one-ulp twin {comparison.twin_apart:.1e})."
        f"{lost}"
    )
