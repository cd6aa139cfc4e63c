"""cmp(name, mine, tensor): one line for one gradient, as in a lecture's notebook, with a verdict and a likely cause.

It knows two arrays and nothing of the network, so a cause is a relation between the two; `check` replays the network.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch

from handgrad.checking.record import Array
from handgrad.checking.report import Cause
from handgrad.checking.verdicts import ALLOWED
from handgrad.errors import UsageError


@dataclass(frozen=True)
class Comparison:
    """The verdict on one gradient, as its truth value; `why` are relations that hold to rounding, best first."""

    name: str
    ok: bool
    exact: bool
    maxdiff: float
    why: tuple[Cause, ...] = ()
    note: str = ""

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        line = f"{self.name:15s} | exact: {self.exact!s:5s} | approximate: {self.ok!s:5s} | maxdiff: {self.maxdiff:.3g}"
        said = self.why[0].sentence if self.why else self.note
        return f"{line} | {'right' if self.ok else 'WRONG'}{': ' if said else ''}{said}"


def cmp(name: str, mine: Any, tensor: torch.Tensor) -> Comparison:
    """Print and return whether `mine`, the gradient by hand, is `tensor.grad`, and if not, what it looks like.

    `mine` is a tensor or an array. Right is: the same shape, and nowhere further off than 64 roundings of the
    largest entry, in the coarser dtype of the two. Less than eps / 2, half a rounding of a loss of 1, never counts.

    Raises UsageError where the tensor has no gradient to compare with.
    """
    grad = _grad(name, tensor)
    given = mine.detach().cpu() if isinstance(mine, torch.Tensor) else _tensor(name, mine)
    eps = max(torch.finfo(t.dtype).eps for t in (given, grad) if t.is_floating_point())
    found = _compare(name, given.double().numpy(), grad.double().numpy(), eps, given.is_floating_point())
    print(found)
    return found


def _grad(name: str, tensor: Any) -> torch.Tensor:
    if not isinstance(tensor, torch.Tensor):
        raise UsageError(
            f"{name}: the third argument is a {type(tensor).__name__}; give the tensor that autograd knows"
        )
    if not tensor.requires_grad:
        raise UsageError(f"{name}: the tensor has no gradient; call requires_grad_() on the parameters before forward")
    if not tensor.is_leaf and not tensor.retains_grad:
        raise UsageError(f"{name}: autograd has not kept this gradient; call retain_grad() before loss.backward()")
    if tensor.grad is None:
        raise UsageError(f"{name}: the tensor's grad is None; call loss.backward() first, and check that loss uses it")
    return tensor.grad.detach().cpu()


def _tensor(name: str, mine: Any) -> torch.Tensor:
    """Return anything that NumPy takes for real numbers, whatever its strides and byte order, as a tensor."""
    try:
        array = np.array(np.asarray(mine))
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name}: mine is no array ({error}); give a tensor or an array") from None
    if array.dtype.kind not in "fiub":
        raise UsageError(f"{name}: mine is of dtype {array.dtype}; give real numbers")
    wide = np.float64 if array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
    return torch.from_numpy(array.astype(wide))


def _compare(name: str, given: Array, true: Array, eps: float, is_float: bool) -> Comparison:
    scale = float(np.abs(true[np.isfinite(true)]).max(initial=0.0))
    allowed = ALLOWED * eps * scale + eps / 2

    def same(a: Array, b: Array) -> bool:
        if a.shape != b.shape:
            return False
        with np.errstate(invalid="ignore"):
            return bool(((np.abs(a - b) <= allowed) | (a == b) | (np.isnan(a) & np.isnan(b))).all())

    if given.shape != true.shape:
        why = tuple(_of_shape(given, true, same))
        note = f"its shape is {given.shape}, the right one {true.shape}"
        return Comparison(name, False, False, float("inf"), why, note)
    with np.errstate(invalid="ignore"):
        off = np.where(given == true, 0.0, np.abs(given - true))
        off = np.where(np.isnan(given) & np.isnan(true), 0.0, np.where(np.isnan(off), np.inf, off))
    exact, maxdiff = bool((off == 0).all()), float(off.max(initial=0.0))
    if same(given, true):
        small = 0 < scale < 4 * eps and not exact
        return Comparison(name, True, exact, maxdiff, (), "both are 0 but for rounding" if small else "")
    why = tuple(_of_numbers(given, true, eps, is_float, same))
    return Comparison(name, False, exact, maxdiff, why, _pattern(given, true, same))


def _of_shape(given: Array, true: Array, same: Any) -> Iterator[Cause]:
    evidence = f"shape {given.shape} for {true.shape}"
    if given.ndim > 1 and same(given.T, true):
        yield Cause("LIN-DW-T", "it is transposed", evidence)
    for count in range(1, given.ndim + 1):
        for axes in combinations(range(given.ndim), count):
            summed = given.sum(axis=axes)
            if summed.size == true.size and summed.size < given.size and same(summed.reshape(true.shape), true):
                over = " and ".join(map(str, axes))
                yield Cause(
                    "BIAS-UNSUMMED", f"it is not summed over axis {over}, along which the value was broadcast", evidence
                )
                return
    if given.size == true.size and same(given.reshape(true.shape), true):
        yield Cause("SHAPE-RESHAPE", f"the numbers are right, of shape {given.shape} for {true.shape}", evidence)
    elif given.size == true.size and same(np.sort(given, axis=None), np.sort(true, axis=None)):
        yield Cause("SHAPE-FLATTEN-ORDER", "the right numbers in another shape and order", evidence)


def _of_numbers(given: Array, true: Array, eps: float, is_float: bool, same: Any) -> Iterator[Cause]:
    if not is_float and same(given, np.trunc(true)):
        yield Cause("NUM-INT-TRUNC", "it was kept as integers", "integers, the right ones cut off")
    if given.ndim > 1 and same(np.swapaxes(given, -1, -2), true):
        yield Cause("LIN-DW-T", "it is transposed", "its transpose is right")
    square = float((true * true).sum())
    ratio = float((given * true).sum()) / square if square and np.isfinite(given).all() else float("nan")
    # One number is always some multiple of another: that says nothing, but for the few that people slip into.
    if np.isfinite(ratio) and ratio and same(given / ratio, true):
        yield from _ratios(ratio, true, eps)
    elif true.size > 1 and same(np.sort(given, axis=None), np.sort(true, axis=None)):
        yield Cause("SHAPE-FLATTEN-ORDER", "the right numbers in another order", "sorted, both are the same")


def _ratios(ratio: float, true: Array, eps: float) -> Iterator[Cause]:
    evidence = f"every entry is {ratio:.6g} times the right one"

    def near(value: float) -> bool:
        return abs(ratio - value) <= min(ALLOWED * eps, 1e-3) * abs(value)

    sizes = {int(size) for size in (*true.shape, true.size) if size > 2} if true.size > 1 else set()
    if near(-1):
        yield Cause("LOSS-SIGN", "the sign is wrong", evidence)
    elif near(2) or near(0.5):
        yield Cause("LOSS-FACTOR-2", "a factor 2 too much" if ratio > 1 else "a factor 2 is missing", evidence)
    elif true.size > 1:
        for size in sorted(sizes):
            if near(size) or near(1 / size):
                identity = "LOSS-NO-MEAN" if ratio > 1 else "LOSS-DOUBLE-MEAN"
                said = (
                    f"1/{size} of a mean is missing" if ratio > 1 else f"1/{size} of a mean is applied once too often"
                )
                yield Cause(identity, said, evidence)
        if not any(near(size) or near(1 / size) for size in sizes):
            yield Cause("LOSS-WRONG-COUNT", evidence, evidence)


def _pattern(given: Array, true: Array, same: Any) -> str:
    """Say where it is wrong: not finite, zero, or in some rows alone."""
    if not np.isfinite(given).all():
        return f"{int((~np.isfinite(given)).sum())} of {given.size} entries are not finite"
    if not given.any():
        return "it is 0 everywhere"
    if given.ndim > 1:
        rows = [index for index in range(len(given)) if not same(given[index], true[index])]
        if len(rows) < len(given):
            return f"only rows {', '.join(map(str, rows[:8]))}{', ...' if len(rows) > 8 else ''} are wrong"
    zeros = int(((given == 0) & (true != 0)).sum())
    return f"{zeros} of {given.size} entries are 0 that should not be" if zeros else ""
