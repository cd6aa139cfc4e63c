"""check.optimizer: an update rule by hand beside one of torch.optim, step by step."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from handgrad.checking.optimizer_runs import Factory, Run, by_formula, by_hand, by_torch
from handgrad.checking.optimizer_state import state_notes
from handgrad.checking.record import Array, Arrays
from handgrad.checking.report import Cause, Report, Row
from handgrad.checking.rules.update import GRADIENT_RULES, RIGHT, UPDATE_RULES
from handgrad.checking.verdicts import ALLOWED
from handgrad.errors import UsageError

UpdateStep = Callable[[Arrays, Arrays, dict[str, Any]], Mapping[str, Array] | None]

SHAPES = {"W": (4, 3), "b": (5,), "E": (2, 3, 2)}


def check_optimizer(
    step: UpdateStep,
    torch_optimizer: Factory,
    params: Mapping[str, Any] | None = None,
    *,
    steps: int = 20,
    seed: int = 0,
    clip_norm: float | None = None,
) -> Report:
    """Check an update rule by hand against one of torch.optim: at which step which parameter leaves it, and why.

    `step(params, grads, state)` returns the new parameters, a dict of arrays, or changes `params` in place and
    returns None; `state` is an empty dict at first and is kept. `torch_optimizer(tensors)` builds the optimizer.
    Without `params`, three tensors are drawn. With `clip_norm`, torch's gradients go through clip_grad_norm_ first.

    Both sides run free from the same parameters, in float64, and get the same gradients at every step: an update
    rule has a state that only its own steps can make. The gradients do not depend on the parameters, so rounding
    does not grow: parameters may be 64 roundings of the tensor's size, or of its way so far, apart. What `state`
    holds is compared where its names and shapes tell what it is.

    Raises UsageError where something handed in or returned is not of this form.
    """
    if steps < 1:
        raise UsageError(f"steps is {steps}; give 1 or more")
    start = _start(params, seed)
    gradients = _gradients(start, steps, seed, clip_norm)
    limit = np.inf if clip_norm is None else float(clip_norm)
    truth = by_torch(torch_optimizer, start, gradients, clip_norm)
    given = by_hand(step, start, gradients)
    report = Report(table=[_row(name, given, truth) for name in start])
    if given.overwritten:
        report.facts.append(f"step overwrites the gradients it is given: {', '.join(given.overwritten)}")
    first = _first_wrong(given, truth)
    notes = state_notes(given, truth, list(start))
    if first is None:
        report.fine += notes
        return report
    number, name = first
    report.first_wrong, report.stage = f"{name} at step {number + 1}", "update"
    causes = _causes(torch_optimizer, start, gradients, limit, given, truth)
    if causes and causes[0][0]:
        report.first_wrong = report.stage = None
        report.fine.append(causes[0][1].sentence)
        report.table = [Row(r.name, r.error, r.relative, r.units, r.verdict and "fine") for r in report.table]
        return report
    report.causes = [cause for fine, cause in causes if not fine]
    report.facts += [*_facts(given, truth, number, name, start), *notes]
    return report


def _start(params: Mapping[str, Any] | None, seed: int) -> Arrays:
    if params is None:
        rng = np.random.default_rng([seed, 0])
        return {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}
    if not isinstance(params, Mapping) or not params:
        raise UsageError(f"params is a {type(params).__name__}; give a dict of arrays by name, or leave it out")
    found = {name: np.array(value) for name, value in params.items()}
    for name, value in found.items():
        if value.dtype.kind != "f" or not np.isfinite(value).all():
            raise UsageError(f"params[{name!r}] is of {value.dtype}; give finite floats")
    return {name: value.astype(np.float64) for name, value in found.items()}


def _gradients(start: Arrays, steps: int, seed: int, clip_norm: float | None) -> list[Arrays]:
    """Draw gradients of several sizes, one entry always 0; of three steps, one lies below the norm to clip to.

    Tensors differ in size by tens: one eps, one limit cannot hide in all of them.
    """
    rng = np.random.default_rng([seed, 1])
    found: list[Arrays] = []
    for number in range(steps):
        grads: Arrays = {
            name: rng.normal(0.0, 10.0 ** -(place % 3), tuple(value.shape))
            for place, (name, value) in enumerate(start.items())
        }
        first = next(iter(grads))
        if grads[first].size > 2:
            grads[first].flat[0] = 0.0
        size = 1.0 if number % 3 else 0.02
        if clip_norm is not None:
            norm = np.sqrt(sum(float((g**2).sum()) for g in grads.values()))
            size = clip_norm / norm * (3.0 if number % 3 else 0.3)
        found.append({name: size * g for name, g in grads.items()})
    return found


def _unit(truth: Run, name: str) -> Array:
    """One rounding of a tensor after each step: of its size, or of the way that it has gone."""
    path = np.array([truth.start[name], *(p[name] for p in truth.params)]).reshape(len(truth.params) + 1, -1)
    size = np.abs(path).max(axis=1, initial=0.0)[1:]
    way = np.cumsum(np.abs(np.diff(path, axis=0)).max(axis=1, initial=0.0))
    unit: Array = float(np.finfo(np.float64).eps) * np.maximum(size + way, float(np.finfo(np.float64).tiny))
    return unit


def _errors(given: Run, truth: Run, name: str) -> Array:
    """The largest error of a tensor after each step; a NaN is infinitely wrong."""
    with np.errstate(all="ignore"):
        errors = [np.abs(g[name] - t[name]).max(initial=0.0) for g, t in zip(given.params, truth.params, strict=True)]
    return np.where(np.isnan(errors), np.inf, errors)


def _units_off(given: Run, truth: Run, name: str) -> Array:
    off: Array = _errors(given, truth, name) / _unit(truth, name)
    return off


def _first_wrong(given: Run, truth: Run) -> tuple[int, str] | None:
    for number in range(len(truth.params)):
        for name in truth.params[0]:
            if _units_off(given, truth, name)[number] > ALLOWED:
                return number, name
    return None


def _row(name: str, given: Run, truth: Run) -> Row:
    errors, off = _errors(given, truth, name), _units_off(given, truth, name)
    size = max(float(np.abs(p[name]).max(initial=0.0)) for p in truth.params)
    worst = float(errors.max())
    wrong = np.flatnonzero(off > ALLOWED)
    verdict = f"wrong from step {wrong[0] + 1}" if len(wrong) else ""
    return Row(name, worst, worst / size if size else float(worst > 0), float(off.max()), verdict)


def _causes(
    factory: Factory, start: Arrays, gradients: Sequence[Arrays], limit: float, given: Run, truth: Run
) -> list[tuple[bool, Cause]]:
    """Return (fine, cause) of all rules whose own free run gives these numbers to the end, each id once."""
    fitting: list[tuple[bool, Cause]] = []

    def hold(identity: str, sentence: str, fine: bool, replayed: Run) -> None:
        if _first_wrong(given, replayed) is None and identity not in (cause.id for _, cause in fitting):
            evidence = f"with it all {len(gradients)} steps come out, to {ALLOWED:g} roundings"
            fitting.append((fine, Cause(identity, sentence, evidence)))

    clip = None if np.isinf(limit) else limit
    right = RIGHT.get(truth.optimizer)
    if right is not None and _first_wrong(by_formula(right, start, gradients, limit, truth), truth) is None:
        for rule in UPDATE_RULES:
            if truth.optimizer in rule.optimizers:
                replayed = by_formula(rule.formula, start, gradients, limit, truth)
                hold(rule.id, rule.sentence, False, replayed)
    for other in GRADIENT_RULES:
        if clip is not None or other.id == "LOSS-SIGN":
            changed = [other.change(grads, limit) for grads in gradients]
            hold(other.id, other.sentence, other.fine, by_torch(factory, start, changed, None, other.mirrored))
    return fitting


def _facts(given: Run, truth: Run, number: int, name: str, start: Arrays) -> Iterable[str]:
    """Yield what can be said without a cause: the ratio of the first wrong step to the right one, what is untouched."""
    before = [run.params[number - 1][name] if number else start[name] for run in (given, truth)]
    with np.errstate(all="ignore"):
        mine, right = (run.params[number][name] - old for run, old in zip((given, truth), before, strict=True))
        ratio = (mine / right)[np.isfinite(mine / right) & (np.abs(right) > 0)]
    if not ratio.size:
        return
    if not mine.any():
        yield f"step {number + 1} leaves {name} where it is"
    elif np.ptp(ratio) <= 1e-6 * np.abs(ratio).max():
        times = float(np.median(ratio))
        yield f"step {number + 1} of {name} is {times:.6g} times the right one{_named(truth, number, name, times)}"
    else:
        yield (
            f"step {number + 1} of {name} is between {ratio.min():.4g} and {ratio.max():.4g} times the right one, "
            f"median {np.median(ratio):.4g}"
        )
    if not np.isfinite(given.params[number][name]).all():
        yield f"{name} has entries that are not finite"


def _named(truth: Run, number: int, name: str, ratio: float) -> str:
    """Return which of torch's settings has this value, as " (the momentum)"."""
    numbers = {key: value for key, value in truth.settings[number][name].items() if type(value) in (int, float)}
    numbers |= {f"1 - {key}": 1 - value for key, value in numbers.items()}
    names = [key for key, value in numbers.items() if value and abs(ratio - value) <= 1e-6 * abs(value)]
    return f", and {' or '.join(names)} is that" if names else ""
