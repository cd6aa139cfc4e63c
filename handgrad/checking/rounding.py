"""How large one rounding is, for every entry of every tensor of any forward in torch.

The forward and its backward are run several times with every operation's operands and results changed by about a
relative DELTA, up or down at random. By how much a tensor then moves, times eps / DELTA, is what rounding
does to it: cancellation and ill conditioning are in it, however they came about.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from handgrad.checking.forms import FORMS
from handgrad.checking.record import Array, Arrays, Forward, Record

# Small enough that no mask or maximum flips by it, large enough that the runs' own rounding is lost beside it.
DELTA, DRAWS = 2.0**-38, 6


class _Noise(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.random = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if any(argument.alias_info is not None for argument in func._schema.arguments):
            return func(*args, **kwargs)  # a view, or in place: what it shares has to stay shared
        name = func._schema.name.removeprefix("aten::")
        if torch.Tag.pointwise not in func.tags or name in _ARITHMETIC:
            args = tree_map(self._moved_whatever if name in NORMS else self._moved, args)
        result = func(*args, **kwargs)
        moved = self._moved_whatever if name in SATURATING else self._moved
        form = FORMS.get(name)
        if form is None:
            return tree_map(moved, result)
        with torch.no_grad():
            size = form(result[0] if isinstance(result, tuple) else result, *args)
        result = tree_map(moved, result)
        if isinstance(result, tuple):
            return (self._moved(result[0], size), *result[1:])
        return self._moved(result, size)

    def _moved(self, leaf: Any, size: Any = None) -> Any:
        """Move by half to three halves of DELTA x `size`, the leaf's own by default.

        Integers stay: arithmetic on them is exact, and their ties and zeros are real ones.
        """
        moved = self._moved_whatever(leaf, size)
        return leaf if moved is leaf else torch.where(leaf == leaf.round(), leaf, moved)

    def _moved_whatever(self, leaf: Any, size: Any = None) -> Any:
        if not isinstance(leaf, torch.Tensor) or not leaf.is_floating_point() or leaf.numel() == 0:
            return leaf
        # Not by DELTA itself: of two equal changes, as of a result and then of the operand that it is, one in two takes
        # the other back, and 1 - sigmoid(z) would now and then look exact in all draws.
        with torch.no_grad():
            sign = torch.randint(0, 2, leaf.shape, generator=self.random).to(leaf.dtype) * 2 - 1
            by = torch.rand(leaf.shape, generator=self.random, dtype=leaf.dtype) + 0.5
            moved = leaf + DELTA * sign * by * (leaf if size is None else size)
            return torch.where(leaf.isinf(), leaf, moved)  # inf less a share of inf would be NaN


# A whole number of theirs is none: a saturated sigmoid is 1 by rounding alone.
SATURATING = (
    "sigmoid",
    "tanh",
    "exp",
    "expm1",
    "erf",
    "_softmax",
    "_log_softmax",
    "logaddexp",
    "log1p",
    "silu",
    "gelu",
)

# What is whole has a mean that is not: less it, the numbers are rounded, and that nearest to it has few digits left.
NORMS = {f"native_{kind}_norm{way}" for kind in ("layer", "batch", "group") for way in ("", "_backward")}

# Of the element-wise operations these cancel, so that their operands' roundings matter. The operands of all
# others stay as they are: where a comparison decides, it has to decide as before.
_ARITHMETIC = {"add", "sub", "rsub", "mul", "div", "addcmul", "pow", "exp", "log", "lerp"}


def units(
    forward: Forward,
    params: Mapping[str, Array],
    inputs: Mapping[str, Array],
    record: Record,
    fixed: Collection[str] = (),
) -> tuple[Arrays, Arrays]:
    """Return one rounding of every named value (and "loss") and of every named gradient, in float64."""
    eps = float(np.finfo(np.float64).eps)
    values, grads = _numbers(record)
    found = tuple({name: np.zeros(array.shape) for name, array in part.items()} for part in (values, grads))
    for draw in range(DRAWS):
        moved = _numbers(Record.run(forward, params, inputs, _Noise(draw), fixed))
        for unit, true, other in zip(found, (values, grads), moved, strict=True):
            for name in unit:
                with np.errstate(invalid="ignore", over="ignore"):
                    change = np.abs(other[name] - true[name]) * (eps / DELTA)
                unit[name] = np.maximum(unit[name], np.where(np.isfinite(change), change, 0.0))
    for unit, true in zip(found, (values, grads), strict=True):
        for name in unit:
            finite = np.abs(true[name][np.isfinite(true[name])])
            # By chance all draws may cancel in one entry; a rounding of the entry itself is always there.
            unit[name] = unit[name] + eps * (np.abs(np.nan_to_num(true[name])) + 2.0**-10 * finite.max(initial=0.0))
    return found[0], found[1]


def _numbers(record: Record) -> tuple[Arrays, Arrays]:
    values = {name: tensor.detach().numpy() for name, tensor in record.named.items() if tensor.is_floating_point()}
    grads = {name: record.grad(record.named[name]).numpy() for name in values}
    return {**values, "loss": record.loss.detach().numpy()}, grads
