"""A traced step and its modules alone, as text and as plain values."""

from collections.abc import Iterator, Sequence
from typing import Any

from handgrad.isolate import Isolated
from handgrad.report.text import digits, title
from handgrad.trace import Row, Trace


def full(trace: Trace, isolated: Sequence[Isolated]) -> Iterator[str]:
    """Yield the whole report, line by line."""
    yield from title(trace.experiment)
    yield f"  devices   by hand: NumPy on the CPU; with autograd: PyTorch on {trace.device}"
    yield f"  judged    against {trace.truth.kind}"
    yield from ("", "The first step in order of computation; of each tensor the entry that is furthest apart")
    yield from _table(trace)
    for who, names in (("By hand", trace.hand_lacks), ("With autograd", trace.autograd_lacks)):
        if names:
            yield f"  {who} there is no {', '.join(names)}"
    if trace.stopped:
        yield f"  By hand the step stopped: {trace.stopped}"
    yield from ("", "Each module alone, given autograd's input and a random upstream gradient")
    width = max(len(found.name) for found in isolated)
    kinds = max(len(found.kind) for found in isolated)
    for found in isolated:
        yield f"  {found.name:{width}}  {found.kind:{kinds}}  {'right' if found.ok else f'WRONG: {found.reason}'}"
    yield from ("", verdict(trace, isolated))


def _table(trace: Trace) -> Iterator[str]:
    shapes = [str(row.hand.shape) for row in trace.rows]
    names = [_place(row) for row in trace.rows]
    width, wide = (max(map(len, column), default=0) for column in (names, shapes))
    heads = f"{'by hand':>24}  {'with autograd':>24}  {'difference':>10}  {'relative':>8}  {'units':>7}"
    yield f"  {'':{width}}  {'shape':{wide}}  {heads}"
    for row, name, shape in zip(trace.rows, names, shapes, strict=True):
        values = "  ".join(f"{_digits(value, trace):>24}" for value in _values(row))
        numbers = f"{row.difference:>10.1e}  {row.relative:>8.1e}  {row.units:>7.3f}"
        mark = "" if row.ok else f"  <- {row.reason}"
        yield f"  {name:{width}}  {shape:{wide}}  {values}  {numbers}{mark}"


def _place(row: Row) -> str:
    return row.name + (f"[{','.join(map(str, row.at))}]" if row.at else "")


def _values(row: Row) -> tuple[float | None, float | None]:
    """The entry that is furthest apart on both sides; nothing where their shapes or dtypes differ."""
    if row.at is None or not row.hand.size:
        return None, None
    return float(row.hand[row.at]), float(row.autograd[row.at])


def _digits(value: float | None, trace: Trace) -> str:
    return "" if value is None else digits(value, trace.experiment.dtype)


def verdict(trace: Trace, isolated: Sequence[Isolated]) -> str:
    """Return the one line that says whether the step is in parity, and which modules are wrong."""
    wrong = [found for found in isolated if not found.ok]
    ratio = max((row.ratio for row in trace.rows), default=0.0)
    if in_parity(trace, isolated):
        return (
            f"IN PARITY: all {len(trace.rows)} tensors of the first step, and each of {len(isolated)} modules alone; "
            f"the error by hand is at most {ratio:.2f} x max(autograd's, one rounding), allowed {trace.allowed:g}."
        )
    first = trace.first_wrong
    if first is not None:
        what = f"{first.name} goes wrong first: {first.reason}."
    else:
        what = f"by hand the step stopped: {trace.stopped}." if trace.stopped else "the step itself is right."
    alone = ", ".join(f"{found.name} ({found.kind})" for found in wrong)
    return f"OUT OF PARITY: {what} " + (f"Wrong alone: {alone}." if wrong else "Every module alone is right.")


def in_parity(trace: Trace, isolated: Sequence[Isolated]) -> bool:
    """Return whether every tensor of the step is in parity, and every module alone."""
    return trace.ok and all(found.ok for found in isolated)


def results(trace: Trace, isolated: Sequence[Isolated]) -> dict[str, Any]:
    """Return all that was found, for --json."""
    return {
        "title": trace.experiment.title,
        "source": trace.experiment.source,
        "device": str(trace.device),
        "against": trace.truth.kind,
        "tensors": [_row(row) for row in trace.rows],
        "first_wrong": None if trace.first_wrong is None else trace.first_wrong.name,
        "stopped": trace.stopped or None,
        "hand_lacks": trace.hand_lacks,
        "autograd_lacks": trace.autograd_lacks,
        "alone": [
            {
                "name": found.name,
                "module": found.kind,
                "in_parity": found.ok,
                "reason": found.reason or None,
                "against": found.against,
                "tensors": [_row(row) for row in found.rows],
            }
            for found in isolated
        ],
    }


def _row(row: Row) -> dict[str, Any]:
    hand, autograd = _values(row)
    return {
        "name": row.name,
        "shape": row.hand.shape,
        "entry": row.at,
        "by_hand": hand,
        "with_autograd": autograd,
        "difference": row.difference,
        "relative": row.relative,
        "units": row.units,
        "error_ratio": row.ratio,
        "in_parity": row.ok,
        "reason": row.reason or None,
    }
