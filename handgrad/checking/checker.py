"""check(forward, backward, params, inputs): where a hand-written backward first goes wrong, and why."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from handgrad.checking import conventions, user
from handgrad.checking.arrays import arrays_of, cast, loses_digits, wide
from handgrad.checking.consistency import consistent
from handgrad.checking.diagnosis import SECONDS, Diagnosis
from handgrad.checking.forward import causes as forward_causes
from handgrad.checking.place import chain, source
from handgrad.checking.probing import MakeInputs, probe
from handgrad.checking.record import Arrays, Forward, Record, Tensor, without_gradient
from handgrad.checking.report import Cause, Report
from handgrad.checking.rounding import units
from handgrad.checking.verdicts import excuse, facts, judge
from handgrad.errors import UsageError

LATE = f"causes were looked for no longer than {SECONDS:g} seconds: name intermediates, and there is less to look at"
DIAGNOSED = 3  # wrong tensors that are explained; more follow from the same mistake in most codes


def check(
    forward: Forward,
    backward: user.Backward,
    params: Mapping[str, Any],
    inputs: Mapping[str, Any],
    make_inputs: MakeInputs | None = None,
) -> Report:
    """Check a hand-written backward against autograd of the same forward, and say where it goes wrong and why.

    `forward(params, inputs)` is written with torch operations and returns the loss, or (loss, {name: tensor}).
    `backward(params, inputs)` is the NumPy code under test and returns (loss, grads) or (loss, grads,
    intermediates); in `intermediates`, "z1" is a forward value and "dz1" the gradient with respect to it.
    `params` and `inputs` are dicts of arrays; both functions get copies. `make_inputs(rng)` may give fresh
    ones of other sizes, on which the causes that fit are tried again; without it the parameters are moved a
    little and the rows of the batch drawn anew.

    Raises UsageError where something handed in or returned is not of this form.
    """
    p, x = (arrays_of(part, name) for part, name in ((params, "params"), (inputs, "inputs")))
    both = sorted(set(p) & set(x))
    if both:
        raise UsageError(f"{', '.join(map(repr, both))} is in params and in inputs; each name may stand for one array")
    with _one_thread():
        report = _check_once(forward, backward, p, x, DIAGNOSED)

        def once(p: Mapping[str, Any], x: Mapping[str, Any]) -> Report:
            return _check_once(forward, backward, arrays_of(p, "params"), arrays_of(x, "inputs"), 1)

        probe(report, once, p, x, make_inputs)
    return report


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread: on small tensors it takes longer to wake the others, ten times on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_once(forward: Forward, backward: user.Backward, p: Arrays, x: Arrays, diagnosed: int) -> Report:
    wide_p, wide_x = wide(p), wide(x)
    fixed = without_gradient(forward, wide_p, wide_x)
    record = Record.run(forward, wide_p, wide_x, fixed=fixed)
    if not _same(record, Record.run(forward, wide_p, wide_x, fixed=fixed)):
        raise UsageError(
            "forward gives other numbers when it is called again; draw masks and noise outside of it, into inputs"
        )
    for node in record.nodes:
        narrow = next((t.dtype for t in node.outputs if loses_digits(t)), None)
        if narrow is not None:
            place = source([node])
            raise UsageError(
                f"forward computes in {narrow} ({place}); a formula is judged in float64: give it dtype=torch.float64"
            )
    value_units, grad_units = units(forward, wide_p, wide_x, record, fixed)
    answer = user.narrowed(user.call(backward, wide_p, wide_x, record))
    report = Report(params=p, inputs=x)
    if answer.changed:
        report.facts.append(f"backward overwrites what it is given: {', '.join(answer.changed)}")
    report.not_judged += [f"{name}: forward names no such tensor" for name in answer.unknown]
    report.fine += conventions.adopt(record, answer)
    in_more_digits = conventions.WideRun(
        lambda: user.call(backward, cast(p, np.longdouble), cast(x, np.longdouble), record)
    )
    _forward(report, record, answer, value_units, in_more_digits)
    if not report.ok:
        _own_loss(report, answer, wide_p, wide_x, backward)
    if report.ok:
        _backward(report, record, answer, grad_units, in_more_digits, diagnosed)
    second = user.narrowed(user.call(backward, wide_p, wide_x, record))
    if report.ok:
        _twice(report, record, answer, second)
    elif any(not np.array_equal(answer.given[n], a, equal_nan=True) for n, a in second.given.items()):
        report.facts.append(
            "two calls of backward with the same arguments give different numbers: is a mask drawn in it?"
        )
    if np.isnan(answer.loss) and np.isnan(record.loss.item()):
        report.not_judged.append("the loss: it is NaN on both sides")
    return report


def _own_loss(report: Report, answer: user.Answer, p: Arrays, x: Arrays, backward: user.Backward) -> None:
    """Say whether the backward is at least that of the user's own loss."""

    def loss(params: Arrays, inputs: Arrays) -> complex:
        return complex(np.asarray(backward(params, {k: a.copy() for k, a in inputs.items()})[0]).reshape(()))

    follows = consistent(loss, answer, p, x)
    if follows is not None:
        report.facts.append(
            "the gradients are right for this loss: only the forward is to be mended"
            if follows
            else "the gradients are not those of this loss either: the backward is to be checked once it is right"
        )


def _same(first: Record, second: Record) -> bool:
    """Return whether two runs of the forward give the same values."""
    pairs = [(first.loss, second.loss), *((first.named[n], second.named[n]) for n in first.intermediates)]
    return all(np.array_equal(a.detach().numpy(), b.detach().numpy(), equal_nan=True) for a, b in pairs)


def _twice(report: Report, record: Record, first: user.Answer, second: user.Answer) -> None:
    """Hold a second call with the same arguments against the first."""
    conventions.adopt(record, second)
    for name in computed(record):
        a, b = first.grads.get(name), second.grads.get(name)
        if a is None or b is None or a.shape != b.shape or conventions.near(b, a):
            continue
        report.first_wrong, report.stage = f"d{name}", "backward"
        report.facts.append("the first call is right; a second one with the same arguments gives other numbers")
        if conventions.near(b, 2 * a):
            sentence = "gradients are kept from one call to the next: set them to zero first"
            report.causes = [Cause("STATE-NOT-ZEROED", sentence, "the second call returns twice the first")]
        return


def _forward(
    report: Report, record: Record, answer: user.Answer, unit: Arrays, in_more_digits: conventions.WideRun
) -> None:
    floats = [name for name in record.intermediates if record.named[name].is_floating_point()]
    values: Arrays = {name: record.named[name].detach().numpy() for name in floats}
    values["loss"] = record.loss.detach().numpy().reshape(())
    given = {**answer.values, "loss": answer.loss}
    for name in [*floats, "loss"]:
        if name in given:
            row = judge(name, given[name], values[name], np.asarray(unit[name]).reshape(values[name].shape))
            report.table.append(row)
            reason = ""
            if row.verdict and given[name].shape == values[name].shape:
                reason = excuse(given[name], values[name], unit[name], in_more_digits, name, "values")
            if reason:
                report.fine.append(f"{name}: {reason}")
                report.table[-1] = replace(row, verdict="fine")
            elif row.verdict and report.ok:
                report.first_wrong, report.stage = name, "forward"
                report.causes = forward_causes(record, name, given, unit)


def _backward(
    report: Report,
    record: Record,
    answer: user.Answer,
    unit: Arrays,
    in_more_digits: conventions.WideRun,
    diagnosed: int,
) -> None:
    order = [name for name in computed(record) if name in answer.grads]
    current: dict[int, Tensor] = dict(record.grads)
    diagnosis: Diagnosis | None = None
    fine_with = {}
    for name in order:
        tensor, given = record.named[name], answer.grads[name]
        true = record.grad(tensor).numpy()
        row = judge(f"d{name}", given, true, unit[name])
        report.table.append(row)
        if given.shape == true.shape and given.size and not (given.any() or true.any()):
            report.not_judged.append(f"d{name}: it is 0 on both sides at these numbers, as many formulas have it")
        expected = current[id(tensor)].numpy() if id(tensor) in current else np.zeros(tuple(tensor.shape))
        if not judge(name, given, expected, unit[name]).verdict:
            continue
        if np.isnan(true).any() and np.isfinite(given).all():
            report.not_judged.append(f"d{name}: autograd itself gives NaN there")
            report.table[-1] = replace(row, verdict="not judged")
            continue
        if given.shape == true.shape:
            reason = excuse(given, true, unit[name], in_more_digits, name, "grads")
            if reason:
                report.fine.append(f"d{name}: {reason}")
                report.table[-1] = replace(row, verdict="fine")
                continue
        causes: list[Cause] = []
        explain = len(report.also_wrong) + (not report.ok) < diagnosed and bool(np.isfinite(given).all())
        diagnosis = diagnosis or Diagnosis(record, answer.grads, order, unit)
        if given.shape != true.shape and explain:
            causes = diagnosis.of_shape(name, current)
        elif given.shape == true.shape and np.isfinite(given).all():
            fitting = diagnosis.causes(name, current) if explain else []
            if fitting and fitting[0].fine:
                fine_with[name] = fitting[0].cause
            causes = [h.cause for h in fitting if not h.fine]
            change = torch.from_numpy(np.array(given - expected, dtype=np.float64))
            for t, moved in zip(record.tensors, record.after([(tensor, change)], record.tensors), strict=True):
                current[id(t)] = current[id(t)] + moved if id(t) in current else moved
        if diagnosis is not None and diagnosis.late and LATE not in report.facts:
            report.facts.append(LATE)
        if name in fine_with:
            report.fine.append(f"d{name}: {fine_with[name].sentence}")
            report.table[-1] = replace(row, verdict="fine")
        elif report.ok:
            report.first_wrong, report.stage, report.causes = f"d{name}", "backward", causes
            report.chain = chain(record, name, answer.grads)
            report.facts += facts(given, true)
        else:
            report.also_wrong[f"d{name}"] = causes


def computed(record: Record) -> list[str]:
    """Return all named tensors in the order in which a backward pass completes their gradients."""
    first: dict[int, int] = {}
    for node in record.nodes:
        for tensor in node.inputs:
            first.setdefault(id(tensor), node.index)
    last = len(record.nodes)
    names = [*record.parameters, *record.intermediates, *record.inputs]
    names = [name for name in names if record.named[name].requires_grad]
    return sorted(names, key=lambda name: -first.get(id(record.named[name]), last))
