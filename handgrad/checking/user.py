"""Calls the hand-written backward on copies, and looks at what comes back before any number is compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from handgrad.checking.record import Array, Arrays, Record
from handgrad.errors import UsageError

Backward = Callable[[Any, Any], Any]

# What code raises that was not written for the numbers it is asked with (longdouble, complex): no error of its own.
# Whatever it is, the verdict on the numbers that it was written for stands.
REFUSALS = (Exception,)


@dataclass(eq=False)
class Answer:
    """What a hand-written backward returned: the loss, forward values by name, gradients by the tensor's name.

    `unknown` are names in `intermediates` that forward does not have; `changed` the arrays handed in that it
    has overwritten; `given` the gradients as they came, before any convention is taken out.
    """

    loss: Array
    values: Arrays
    grads: Arrays
    unknown: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    given: Arrays = field(default_factory=dict)


def call(backward: Backward, params: Mapping[str, Array], inputs: Mapping[str, Array], record: Record) -> Answer:
    """Run `backward` on copies of these arrays and sort what it returns by the names that `record` has."""
    p, x = ({name: np.array(array) for name, array in part.items()} for part in (params, inputs))
    result = backward(p, x)
    if not isinstance(result, tuple) or len(result) not in (2, 3) or not isinstance(result[1], Mapping):
        raise UsageError(
            f"backward returned {type(result).__name__}; return (loss, grads) or (loss, grads, intermediates), "
            "grads a dict by parameter name"
        )
    if len(result) == 3 and not isinstance(result[2], Mapping):
        raise UsageError(f"backward returned {type(result[2]).__name__} as intermediates; return a dict by name")
    loss, grads = _array("the loss", result[0]), dict(result[1])
    if loss.size != 1:
        raise UsageError(f"backward returned a loss of shape {loss.shape}; return one number")
    missing = [name for name in record.parameters if grads.get(name) is None and record.named[name].requires_grad]
    if missing:
        raise UsageError(f"grads has no entry for {', '.join(missing)}; it has {', '.join(map(str, grads)) or 'none'}")
    unknown = [f"grads[{name!r}]" for name in grads if name not in record.named]
    values: Arrays = {}
    gradients = {n: _array(f"grads[{n!r}]", v) for n, v in grads.items() if n in record.named and v is not None}
    for name, value in (result[2] if len(result) == 3 else {}).items():
        if value is None:
            continue
        if name in record.named:
            values[name] = _array(f"intermediates[{name!r}]", value)
        elif isinstance(name, str) and name.startswith("d") and name[1:] in record.named:
            gradients[name[1:]] = _array(f"intermediates[{name!r}]", value)
        else:
            unknown.append(str(name))
    handed = [(name, part[name], copy.get(name)) for part, copy in ((params, p), (inputs, x)) for name in part]
    changed = [name for name, a, b in handed if not _same(a, b)]
    loss = loss.real.reshape(())
    return Answer(
        loss if loss.dtype.kind == "f" else loss.astype(np.float64),
        values,
        gradients,
        unknown,
        changed,
        dict(gradients),
    )


def narrowed(answer: Answer) -> Answer:
    """Return the answer with its numbers in float64 where they were in more digits."""
    narrow = {np.dtype(np.longdouble): np.float64}
    for part in (answer.values, answer.grads, answer.given):
        part.update({name: a.astype(narrow.get(a.dtype, a.dtype), copy=False) for name, a in part.items()})
    answer.loss = answer.loss.astype(narrow.get(answer.loss.dtype, answer.loss.dtype), copy=False)
    return answer


def _same(a: Array, b: Any) -> bool:
    if not isinstance(b, np.ndarray) or b.dtype != a.dtype:
        return False
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _array(what: str, value: Any) -> Array:
    """Return a copy of what backward returned as an array of numbers."""
    try:
        array = np.array(np.asarray(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{what} that backward returned is no array ({error}); return NumPy arrays") from None
    if array.dtype.kind not in "fiuc" or (array.dtype.kind == "c" and what != "the loss"):
        raise UsageError(f"{what} that backward returned is of dtype {array.dtype}; return floats")
    return array.astype(array.dtype.newbyteorder("="), copy=False)
