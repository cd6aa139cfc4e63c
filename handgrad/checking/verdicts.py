"""The verdict on one tensor: wrong, or rounding; and what can be said of a wrong one without a cause."""

import numpy as np

from handgrad.checking import conventions
from handgrad.checking.record import Array
from handgrad.checking.report import Row

# A right backward written in another order than autograd's was at most 12 of these roundings off in 200 random
# networks; a formula that is wrong by 1e-9 is off by 4,500,000.
ALLOWED = 64.0
ROWS = 8  # wrong rows that are listed


def judge(name: str, given: Array, true: Array, unit: Array) -> Row:
    """Compare shape and dtype, then NaN, then numbers, in units of rounding, entry by entry."""
    if given.shape != true.shape:
        return Row(name, np.inf, np.inf, np.inf, f"shape {given.shape}, not {true.shape}")
    if given.dtype.kind not in "f":
        return Row(name, np.inf, np.inf, np.inf, f"dtype {given.dtype}, not a float")
    with np.errstate(all="ignore"):
        error = np.where(given == true, 0.0, np.abs(given - true))
        error = np.where(np.isnan(given) & np.isnan(true), 0.0, np.where(np.isnan(error), np.inf, error))
        worst = float(error.max(initial=0.0))
        units_off = float(np.where(error == 0, 0.0, error / unit).max(initial=0.0))
        size = float(np.abs(true[np.isfinite(true)]).max(initial=0.0))
    return Row(
        name, worst, worst / size if size else float(worst > 0), units_off, "wrong" if units_off > ALLOWED else ""
    )


def facts(given: Array, true: Array) -> list[str]:
    """Return what can be said without a cause: the shape, the zeros, the ratio, the rows."""
    if given.shape != true.shape:
        return [f"its shape is {given.shape}, the right one {true.shape}"]
    with np.errstate(all="ignore"):
        ratio = given / true
        known = ratio[np.isfinite(ratio)]
    worst = np.unravel_index(int(np.nan_to_num(np.abs(given - true), nan=np.inf).argmax()), true.shape)
    where = f"the largest error is in its entry [{', '.join(map(str, worst))}]" if worst else "its one number"
    found = [f"{where}: {given[worst]:.9g}, right is {true[worst]:.9g}"]
    elsewhere = bool(((true == 0) & (given != 0)).any())  # no multiple of it has anything there
    close = 3e-6 if conventions.in_single(given) else 1e-9
    if known.size > 1 and not elsewhere and np.ptp(known) < close * abs(known).max():
        found.append(f"it is the right one times {float(np.median(known)):.6g}")
    elif known.size == 1:
        found.append(f"wrong / right is {known.flat[0]:.6g}")
    elif known.size:
        found.append(
            f"wrong / right lies between {known.min():.4g} and {known.max():.4g}, median {np.median(known):.4g}"
        )
    if not given.any():
        return ["it is 0 everywhere"]
    if (zeros := int(((given == 0) & (true != 0)).sum())) > 0:
        found.append(f"{zeros} of {given.size} entries are 0 that should not be")
    if given.dtype.kind != "f":
        found.append(f"its dtype is {given.dtype}, not a float")
    if given.ndim > 1:
        size = float(np.abs(true[np.isfinite(true)]).max(initial=0.0))
        rows = [i for i in range(len(given)) if not np.allclose(given[i], true[i], rtol=1e-9, atol=1e-12 * size)]
        if 0 < len(rows) < len(given):
            shown = ", ".join(map(str, rows[:ROWS])) + (f" and {len(rows) - ROWS} more" if len(rows) > ROWS else "")
            found.append(f"only rows {shown} are wrong")
    return found


def excuse(given: Array, true: Array, unit: Array, in_more_digits: conventions.WideRun, name: str, part: str) -> str:
    """Return why a difference is rounding after all, or "" where it is none."""
    if given.dtype.kind != "f":
        return ""
    unit = np.asarray(unit).reshape(true.shape)
    excuse = conventions.only_precision(given, true, unit, ALLOWED)
    if not excuse and in_more_digits.excuses(name, part, true, unit, ALLOWED):
        excuse = "rounding of this way to compute it: in longdouble the same code agrees"
    return excuse
