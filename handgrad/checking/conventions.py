"""Differences that are no mistake: another layout, a factor applied later, another form's or precision's rounding."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np

from handgrad.checking.record import Array, Record
from handgrad.checking.user import REFUSALS, Answer

SAME = 1e-9  # relative to the tensor's largest entry: far above rounding, far below another convention
EPS_RATIO = float(np.finfo(np.float32).eps / np.finfo(np.float64).eps)


def near(a: Array, b: Array) -> bool:
    """Return whether two arrays agree but for rounding."""
    if a.shape != b.shape:
        return False
    with np.errstate(invalid="ignore"):
        size = np.abs(b[np.isfinite(b)]).max(initial=0.0)
        return bool(((np.abs(a - b) <= SAME * size) | (a == b) | (np.isnan(a) & np.isnan(b))).all())


def adopt(record: Record, answer: Answer) -> list[str]:
    """Bring `answer` to the layout and the factor of torch's side where those are conventions; return what was done."""
    return [*_transposed(record, answer), *_deferred(record, answer)]


def _transposed(record: Record, answer: Answer) -> list[str]:
    """Turn intermediates that are kept feature-major, as (features, batch)."""
    turned = []
    for name in record.intermediates:
        true = record.named[name].detach().numpy()
        value, grad = answer.values.get(name), answer.grads.get(name)
        if true.ndim != 2 or (value is not None and value.ndim != 2):
            continue
        kept = near(value.T, true) and not near(value, true) if value is not None else false_shape(grad, true)
        if kept:
            turned.append(name)
            if value is not None:
                answer.values[name] = value.T
            if grad is not None and grad.shape == true.T.shape:
                answer.grads[name] = grad.T
    return [f"kept feature-major, as torch's transposed: {', '.join(turned)}"] if turned else []


def false_shape(grad: Array | None, true: Array) -> bool:
    """Return whether a gradient has the transposed shape, and not the right one as well."""
    return grad is not None and grad.shape == true.T.shape and true.shape != true.T.shape


def _deferred(record: Record, answer: Answer) -> list[str]:
    """Divide out a factor that all deltas share, if gradients of parameters that follow from them are right.

    Many leave 1/m out of the deltas and divide by m where dW and db are formed: the same numbers in the end.
    """
    largest = max((float(np.abs(_grad(record, n)).max(initial=0.0)) for n in record.parameters), default=0.0)
    right = [n for n in record.parameters if n in answer.grads and near(answer.grads[n], _grad(record, n))]
    # One that is 0, as the bias before a softmax has, is right with any factor.
    right = [n for n in right if np.abs(_grad(record, n)).max(initial=0.0) > SAME * largest]
    for name in record.intermediates[::-1]:
        given, true = answer.grads.get(name), _grad(record, name)
        if given is None or given.shape != true.shape or true.size < 2 or not np.abs(true).max() > 0:
            continue
        factor = float((given * true).sum() / (true * true).sum())
        if factor == 0 or abs(factor - 1) < SAME or not near(given, factor * true):
            continue
        tensor = record.named[name]
        through = record.after([(tensor, record.grad(tensor))], [record.named[n] for n in right])
        if any(bool(t.abs().max() > 0) for t in through):
            named = [n for n in record.intermediates if n in answer.grads]
            scaled = [n for n in named if near(answer.grads[n], factor * _grad(record, n))]
            for other in scaled:
                answer.grads[other] = answer.grads[other] / factor
            listed = ", ".join(f"d{n}" for n in scaled)
            return [f"a factor {factor:.6g} stands in {listed} and is taken out where parameters' gradients are formed"]
    return []


def _grad(record: Record, name: str) -> Array:
    grad: Array = record.grad(record.named[name]).numpy()
    return grad


def in_single(array: Array) -> bool:
    """Return whether an array's numbers are those of float32: no float64, and no whole numbers or halves alone."""
    if array.dtype.kind != "f":
        return False
    with np.errstate(all="ignore"):
        return bool((array == array.astype(np.float32)).all() and (array != array.astype(np.float16)).any())


def only_precision(given: Array, true: Array, unit: Array, allowed: float) -> str:
    """Return why the difference is that of float32, or "" where it is more."""
    with np.errstate(all="ignore"):
        if (given == given.astype(np.float16)).all() and (given != given.round()).any():
            return ""  # a half is no float32, however badly the tensor is conditioned
        if (np.abs(given - true) <= allowed * EPS_RATIO * unit).all() and (given == given.astype(np.float32)).all():
            return "computed in float32: right to that precision"
    return ""


class WideRun:
    """The same backward in longdouble, run when it is first asked for: a wrong formula stays wrong, rounding goes."""

    def __init__(self, call: Callable[[], Answer]) -> None:
        self._call = call
        self._found: Answer | None = None
        self._tried = False

    def excuses(self, name: str, part: str, true: Array, unit: Array, allowed: float) -> bool:
        """Return whether a tensor of "values" or "grads", computed in more digits by the same code, is right."""
        if np.longdouble is np.float64:
            return False
        if not self._tried:
            self._tried = True
            with suppress(*REFUSALS):
                self._found = self._call()
        if self._found is None:
            return False
        wide = self._found.loss if name == "loss" else vars(self._found)[part].get(name)
        if wide is None or wide.dtype != np.longdouble or wide.shape != true.shape:
            return False
        return bool((np.abs(wide - true) <= allowed * unit).all())
