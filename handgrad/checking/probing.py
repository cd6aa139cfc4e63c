"""Other inputs than the given ones: they find what those hide, and drop causes that fitted them by coincidence."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from handgrad.checking.record import Array, Arrays
from handgrad.checking.report import Report
from handgrad.checking.user import REFUSALS
from handgrad.errors import UsageError

MakeInputs = Callable[[np.random.Generator], tuple[Mapping[str, Array], Mapping[str, Array]]]
CheckOnce = Callable[[Arrays, Arrays], Report]


def probe(report: Report, check_once: CheckOnce, p: Arrays, x: Arrays, make_inputs: MakeInputs | None) -> None:
    """Repeat the check on fresh inputs of `make_inputs`, or on other values and another number of rows."""
    if any(cause.id == "STATE-NOT-ZEROED" for cause in report.causes):
        return  # what is kept from call to call has spoilt all further ones
    if make_inputs is not None:
        for draw in range(2):
            drawn = fresh(make_inputs, np.random.default_rng([draw, 1]))
            _compare(report, check_once(*drawn), "fresh inputs of make_inputs")
        _ambiguous(report)
        return
    for what, fresh_p, fresh_x in _redraws(p, x):
        if report.ok and what != VALUES:
            continue  # code may rely on the number of rows, so that another one proves no mistake
        try:
            other = check_once(fresh_p, fresh_x)
        except REFUSALS:
            continue
        _compare(report, other, what)
    _ambiguous(report)


def fresh(make_inputs: MakeInputs, rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    """Return the params and inputs that `make_inputs` draws.

    Raises UsageError where it is no function that returns two dicts.
    """
    if not callable(make_inputs):
        raise UsageError(f"make_inputs is a {type(make_inputs).__name__}; give a function of a NumPy generator")
    drawn = make_inputs(rng)
    if not isinstance(drawn, tuple) or len(drawn) != 2 or not all(isinstance(part, Mapping) for part in drawn):
        raise UsageError(f"make_inputs returned {type(drawn).__name__}; return (params, inputs), two dicts of arrays")
    return dict(drawn[0]), dict(drawn[1])


VALUES, ROWS = "other values of the parameters", "one more row of the batch"


def _redraws(p: Arrays, x: Arrays) -> Iterator[tuple[str, Arrays, Arrays]]:
    """Yield the parameters moved by a tenth, then also the rows of the batch drawn anew, one more of them.

    Weights that are all 0 or all 1 hide what is multiplied by them.
    """
    rng = np.random.default_rng(0)
    moved = {
        name: a + 0.1 * (np.abs(a) + (np.ptp(a) == 0)) * rng.uniform(-1, 1, a.shape) for name, a in p.items() if a.size
    }
    moved = {name: moved.get(name, a).astype(a.dtype) for name, a in p.items()}
    yield VALUES, moved, x
    sizes = [a.shape[0] for a in x.values() if a.ndim]
    rows = max(set(sizes), key=sizes.count) if sizes else 0
    if rows > 1:
        drawn = np.append(rng.permutation(rows), rng.integers(rows))
        yield ROWS, moved, {name: a[drawn] if a.ndim and a.shape[0] == rows else a for name, a in x.items()}


def _compare(report: Report, other: Report, what: str) -> None:
    if report.ok and not other.ok:
        vars(report).update(vars(other))
        report.probe = f"the given inputs hide the mistake; these numbers are of {what}"
    elif not report.ok and (report.first_wrong, report.stage) == (other.first_wrong, other.stage):
        known = {cause.id for cause in other.causes}
        if what == ROWS and not known & {cause.id for cause in report.causes}:
            return  # the code may rely on the number of rows, and then goes wrong in another way besides
        dropped = [cause.id for cause in report.causes if cause.id not in known]
        report.causes = [cause for cause in report.causes if cause.id in known]
        note = f", which dropped {', '.join(dropped)}" if dropped else ""
        text = f"tried again on {what}{note}"
        if text not in report.probe:
            report.probe += f"{'; ' if report.probe else ''}{text}"


def _ambiguous(report: Report) -> None:
    if len(report.causes) > 1:
        report.probe += (
            f"{'; ' if report.probe else ''}no input that was tried tells the causes apart: look at the line"
        )
