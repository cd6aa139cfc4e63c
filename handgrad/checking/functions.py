"""check.function: a function of tensors whose backward somebody wrote, beside the plain formula in torch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from handgrad.checking import upstream
from handgrad.checking.arrays import cast, wide
from handgrad.checking.calls import Call
from handgrad.checking.checker import check
from handgrad.checking.kernels import Runs
from handgrad.checking.precision import precision_rows
from handgrad.checking.record import Arrays, Tensor
from handgrad.checking.report import Cause, Report
from handgrad.checking.running import Problem
from handgrad.errors import UsageError

# 64 roundings of half precision: a larger error is no loss of digits, but another formula.
FEW_DIGITS = 0.0625

MakeFunctionInputs = Callable[[np.random.Generator], tuple[Any, ...]]


def check_function(
    fn: Callable[..., Any],
    reference: Callable[..., Any],
    *inputs: Any,
    dtypes: Sequence[torch.dtype] = (torch.float64, torch.float32),
    make_inputs: MakeFunctionInputs | None = None,
    runs: int = 3,
    seed: int = 0,
) -> Report:
    """Check a function whose backward is written by hand against autograd of the plain formula `reference`.

    `fn` is anything that torch can differentiate: MyFunction.apply, a custom operator of torch.library, a Triton
    kernel's wrapper, check.jax(f). Both take the same `inputs`, tensors or arrays; other values are handed on as
    they are. If some of the tensors given require a gradient, those are judged, else all of floats are. Upstream
    gradients are drawn at random, three times; `make_inputs(rng)` may return other inputs for the later draws.

    In float64 outputs and gradients are judged by the rule of `check`, with causes. There too: gradients handed in
    and inputs that are not contiguous, each output used alone, each input differentiated alone, backward twice,
    `runs` equal runs, memory that is read before it is written. In every other of `dtypes`, the largest error of
    each tensor against the formula in float64 may be twice that of the formula in that dtype, and one rounding,
    eps times the tensor's largest entry. Leave float64 out of `dtypes` where `fn` cannot compute in it: float32 then
    takes its place; half precision cannot, and has no causes.

    Raises UsageError where something handed in is not of this form. Errors in `fn` propagate as they are.
    """
    if not dtypes:
        raise UsageError("dtypes is empty; give torch.float64 and those in which fn is used")
    widest = max(dtypes, key=lambda dtype: -torch.finfo(dtype).eps)
    call = Call.of(fn, reference, inputs)
    call.same_outputs(widest)
    rng = np.random.default_rng([seed, 0])
    report = _formula(call, widest, rng, make_inputs) if widest == torch.float64 else Report()
    if report.ok:
        kernel = Runs(call, widest, np.random.default_rng([seed, 1]))
        _add(report, kernel.unreliable(runs))
        for dtype in dtypes:
            if dtype != torch.float64:
                _precision(report, call, dtype, dtypes, np.random.default_rng([seed, 2]))
        if report.ok:
            _add(report, kernel.problems())
        elif widest == torch.float32 and not report.causes:
            formula = _formula(call, widest, rng, make_inputs)
            return report if formula.ok else formula
    return report


def _add(report: Report, problems: Iterator[Problem]) -> None:
    for problem in problems:
        if not problem.name:
            report.fine.append(problem.fact)
        elif report.ok:
            report.first_wrong, report.stage = problem.name, problem.stage
            report.causes = [problem.cause] if problem.cause else []
            report.facts += [problem.fact] * bool(problem.fact)
        elif problem.cause:
            report.also_wrong.setdefault(problem.name, [problem.cause])


def _formula(
    call: Call, dtype: torch.dtype, rng: np.random.Generator, make_inputs: MakeFunctionInputs | None
) -> Report:
    """Judge in float64 or float32 against float64, by replaying known wrong formulas where it is wrong."""
    notes: list[str] = []

    def held(arrays: Arrays) -> Arrays:
        """What float32 holds is where both sides start from: float64 has it without error."""
        return arrays if dtype == torch.float64 else wide(cast(arrays, np.float32))

    def drawn(inputs: Arrays, random: np.random.Generator) -> tuple[Arrays, Arrays]:
        inputs = held(inputs)
        outputs = call.outputs(call.reference, call.tensors(inputs, torch.float64))
        wanted = {name: inputs[name] for name in call.wanted}
        drawn_upstream = held(upstream.drawn(outputs, random))
        return wanted, {**{n: x for n, x in inputs.items() if n not in wanted}, **drawn_upstream}

    def forward(p: dict[str, Tensor], i: dict[str, Tensor]) -> Any:
        given = {**p, **{name: t.detach() for name, t in upstream.without(i).items()}}
        return upstream.loss(call.outputs(call.reference, given), i)

    def backward(p: Arrays, i: Arrays) -> Any:
        tensors = call.tensors({**p, **upstream.without(i)}, dtype)
        outputs = call.outputs(call.fn, tensors)
        loss, values = upstream.answer([o.detach().cpu().numpy() for o in outputs], i)
        grads = call.grads(outputs, tensors, upstream.of(i), notes)
        return loss, {name: g.cpu().numpy() for name, g in grads.items()}, values

    def make(random: np.random.Generator) -> tuple[Arrays, Arrays]:
        return drawn(call.inputs if make_inputs is None else call.flat(make_inputs(random)), random)

    report = check(forward, backward, *drawn(call.inputs, rng), make)
    upstream.tidy(report, "" if make_inputs else "upstream gradients")
    report.causes = [_in_reference(cause) for cause in report.causes]
    report.also_wrong = {name: [_in_reference(c) for c in causes] for name, causes in report.also_wrong.items()}
    report.facts += list(dict.fromkeys(notes))
    return report


def _in_reference(cause: Cause) -> Cause:
    return replace(cause, place=cause.place.replace(" in forward, ", " in reference, "))


def _precision(
    report: Report, call: Call, dtype: torch.dtype, dtypes: Sequence[torch.dtype], rng: np.random.Generator
) -> None:
    """Hold one lower precision against the formula's own error there."""
    name = str(dtype).removeprefix("torch.")
    for row, error, plain in precision_rows(call, dtype, rng):
        report.table.append(row)
        if not row.verdict or not report.ok:
            continue
        report.first_wrong = row.name
        report.stage = "backward" if row.name.startswith("d") else "forward"
        evidence = f"its error is {error:.3g}, the plain formula's in {name} is {plain:.3g}"
        if row.relative < FEW_DIGITS:
            said = f"digits are lost that the plain formula keeps in {name}: accumulate in a wider dtype"
            report.causes = [Cause("NUM-HALF", said, evidence)]
        else:
            report.facts.append(evidence)
            if not any(t in (torch.float64, torch.float32) for t in dtypes):
                report.facts.append("causes are looked for in float64 and float32: add one of them to dtypes")
