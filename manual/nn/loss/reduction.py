"""What the losses share: their entries are reduced in one way, their gradients spread in reverse, inputs checked."""

from typing import Any

import numpy as np

from manual.module import Array, Module, check_array, unsupported
from manual.nn.gradients import gradient_of_loss

Saved = tuple[Array, Array]
Grads = tuple[Array | None, Array]
OptionalGrads = tuple[Array | None, Array | None]


class _Loss(Module):
    """What the losses share: l is computed entry by entry, then reduced; so is its gradient, in reverse.

    With reduction 'sum', L = sum_k l_k and dL/dl_k = 1; with 'mean', L = (1/K) sum_k l_k and dL/dl_k = 1/K; with
    'none', the l_k themselves are returned. K is the number of all entries (samples times outputs), unless the
    loss counts otherwise: a weighted NLLLoss divides by the sum of the weights of its targets. K is a constant
    to the gradient: it depends on targets and weights, never on the input.
    """

    reductions: tuple[str, ...] = ("none", "mean", "sum")

    def __init__(self, size_average: None = None, reduce: None = None, reduction: str = "mean") -> None:
        unsupported(type(self).__name__, size_average=size_average, reduce=reduce)
        if reduction not in self.reductions:
            accepted = ", ".join(map(repr, self.reductions[:-1]))
            raise ValueError(f"{reduction!r} is not a reduction; use {accepted} or {self.reductions[-1]!r}")
        self.reduction = reduction

    def _check(self, input: Array, target: Array) -> None:
        check_dtypes(type(self).__name__, input=input, target=target)
        check_shapes(type(self).__name__, input=input, target=target)

    def _reduce(self, entries: Array, count: Any = None) -> Array:
        if self.reduction == "none":
            return entries
        total: Array = entries.sum()
        return total if self.reduction == "sum" else total / self._divisor(entries, count)

    def _spread(
        self, grad_output: Any, entries: Array, count: Any = None, shape: tuple[int, ...] | None = None
    ) -> Array:
        """Return dL/dl_k for every k, in the dtype of the entries; `shape` is that of l where it is not theirs.

        Raises TypeError or ValueError for a gradient that is not of the loss.
        """
        own = entries.shape if shape is None else shape
        loss_shape = own if self.reduction == "none" else ()
        spread = gradient_of_loss(grad_output, loss_shape, entries.dtype, type(self).__name__)
        return spread if self.reduction in ("none", "sum") else spread / self._divisor(entries, count)

    def _divisor(self, entries: Array, count: Any) -> Any:
        """Return what a mean divides by: NaN where nothing is counted, and so the mean is, as in torch."""
        return entries.dtype.type((entries.size if count is None else count) or np.nan)


class _WeightedLoss(_Loss):
    """A loss with the buffer `weight`, constant to every gradient: one number a class, or what fits the input."""

    def __init__(
        self,
        weight: Array | None = None,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self._register_weight("weight", weight)
        self.weight: Array | None

    def _register_weight(self, name: str, value: Array | None) -> None:
        if value is not None:
            check_array(value, f"{type(self).__name__}'s {name}")
        self.register_buffer(name, value)

    def _weigh(self, entries: Array) -> Array:
        return entries if self.weight is None else self.weight * entries

    def _check_weight(self, name: str, input: Array) -> None:
        """Raise unless the buffer is absent, or has the input's dtype and fits its shape without enlarging it."""
        who, value = type(self).__name__, getattr(self, name)
        if value is None:
            return
        self._check_weight_dtype(name, input)
        fits = value.ndim <= input.ndim and all(
            a in (1, b) for a, b in zip(value.shape[::-1], input.shape[::-1], strict=False)
        )
        if not fits:
            raise ValueError(f"{who}: {name} {value.shape} does not fit the input {input.shape}: reshape one")

    def _check_weight_dtype(self, name: str, input: Array) -> None:
        who, value = type(self).__name__, getattr(self, name)
        if value is not None and value.dtype != input.dtype:
            raise TypeError(
                f"{who}: {name} is {value.dtype} but input {input.dtype}: write loss.to(np.{input.dtype}), "
                "or convert the input with astype"
            )


def check_dtypes(who: str, **arrays: Array) -> None:
    """Raise TypeError unless all are arrays of floats, of one dtype."""
    (first, reference), *others = arrays.items()
    check_array(reference, who)
    for name, array in others:
        check_array(array, f"{who}'s {name}")
        if array.dtype != reference.dtype:
            raise TypeError(f"{who}: {first} is {reference.dtype} but {name} {array.dtype}: convert one with astype")


def check_shapes(who: str, **arrays: Array) -> None:
    """Raise ValueError unless all have one shape.

    torch's MSELoss only warns and broadcasts: (N, 1) against (N,) silently becomes (N, N).
    """
    (first, reference), *others = arrays.items()
    for name, array in others:
        if array.shape != reference.shape:
            raise ValueError(
                f"{who}: {first} {reference.shape} and {name} {array.shape} must have one shape: reshape one"
            )


def as_floats(who: str, target: Array, input: Array) -> Array:
    """Return targets that may be integers, such as labels or counts, in the input's dtype.

    Raises TypeError for bools and for floats of another dtype.
    """
    if not isinstance(target, np.ndarray | np.generic) or target.dtype.kind not in "iu":
        check_dtypes(who, input=input, target=target)
    return target.astype(input.dtype)


def check_signs(who: str, target: Array) -> None:
    """Raise ValueError for labels that are neither 1 nor -1: torch computes something of them without a word."""
    wrong = target[(target != 1) & (target != -1)]
    if wrong.size:
        raise ValueError(f"{who}: targets are 1 or -1, not {wrong[0]}: of labels 0 and 1, take 2 * target - 1")


def at_least(x: Array, floor: float) -> Array:
    """Return x, or `floor` where x is below it; NaN stays. With floor 0 that is the hinge max(0, x).

    It is decided on the real part, so that a complex step passes. At the floor itself x stays: the slope is 1 there, as
    that of torch's clamp, where `relu` has 0.
    """
    return np.where(x.real < floor, x.dtype.type(floor), x)


def differentiable(target: Array) -> bool:
    """Return whether a target has a gradient: floats have one, labels and counts that are integers none."""
    return target.dtype.kind in "fc"
