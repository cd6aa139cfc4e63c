"""Losses: modules of two inputs, `loss, saved = mse.forward(input, target)`."""

from typing import Any

import numpy as np

from manual.module import Array, Module, check_array, unsupported
from manual.nn.activation import sigmoid

Saved = tuple[Array, Array]
Grads = tuple[Array | None, Array]


class _Loss(Module):
    """What the losses share: l is computed entry by entry, then reduced; so is its gradient, in reverse.

    With reduction 'sum', L = sum_k l_k and dL/dl_k = 1; with 'mean', L = (1/K) sum_k l_k over all K entries
    (samples times outputs) and dL/dl_k = 1/K; with 'none', the l_k themselves are returned.
    """

    def __init__(self, size_average: None = None, reduce: None = None, reduction: str = "mean") -> None:
        unsupported(type(self).__name__, size_average=size_average, reduce=reduce)
        if reduction not in ("none", "mean", "sum"):
            raise ValueError(f"{reduction!r} is not a reduction; use 'none', 'mean' or 'sum'")
        self.reduction = reduction

    def _check(self, input: Array, target: Array) -> None:
        who = type(self).__name__
        check_array(input, who)
        check_array(target, f"{who}'s target")
        if input.dtype != target.dtype:
            raise TypeError(f"{who}: input is {input.dtype} but target {target.dtype}: convert one with astype")
        if input.shape != target.shape:
            # torch's MSELoss only warns and broadcasts: (N, 1) against (N,) silently becomes (N, N).
            raise ValueError(f"{who}: input {input.shape} and target {target.shape} must have one shape: reshape one")

    def _reduce(self, entries: Array) -> Array:
        if self.reduction == "none":
            return entries
        total: Array = entries.sum()
        # A mean over no entries is 0/0: NaN without a warning, as in torch.
        return total if self.reduction == "sum" else total / entries.dtype.type(entries.size or np.nan)

    def _spread(self, grad_output: Any, entries: Array) -> Array:
        """Return dL/dl_k for every entry, in the dtype of the entries."""
        share = entries.size if self.reduction == "mean" and entries.size else 1
        spread: Array = np.asarray(grad_output, dtype=entries.dtype) / entries.dtype.type(share)
        return spread


class MSELoss(_Loss):
    """l = (input - target)^2.

    dl/dinput = 2 (input - target) and dl/dtarget = -2 (input - target): the inner derivative is +1 or -1.

    `input` and `target` have one shape, any. The 'mean' is over all entries, not over samples alone.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
    """

    def forward(self, input: Array, target: Array) -> tuple[Array, Saved]:
        """Return the loss and `saved` = (input, target)."""
        self._check(input, target)
        difference = input - target
        return self._reduce(difference * difference), (input, target)

    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> Grads:
        """Return (grad_input, grad_target)."""
        input, target = saved
        grad = self._spread(grad_output, input) * 2 * (input - target)
        return (grad if input_grad else None), -grad


class BCELoss(_Loss):
    """l = -(t log p + (1 - t) log(1 - p)), with p = `input` in [0, 1] and t = `target`.

    dl/dp = -t/p + (1 - t)/(1 - p) = (p - t) / (p (1 - p)), and dl/dt = log(1 - p) - log p.

    At p = 0 or 1 both leave the finite numbers. As torch does, each logarithm is kept at -100 or above, so
    that the loss stays finite, and p (1 - p) at 1e-12 or above (in float32: 0.99999999600e-12, a constant of
    torch's), so that the gradient does. Where p comes from a sigmoid, BCEWithLogitsLoss needs neither.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
    """

    def __init__(
        self, weight: None = None, size_average: None = None, reduce: None = None, reduction: str = "mean"
    ) -> None:
        unsupported("BCELoss", weight=weight)
        super().__init__(size_average, reduce, reduction)

    def forward(self, input: Array, target: Array) -> tuple[Array, Saved]:
        """Return the loss and `saved` = (input, target). Raises ValueError for an input outside [0, 1]."""
        self._check(input, target)
        if ((input.real < 0) | (input.real > 1)).any():
            raise ValueError("BCELoss takes probabilities in [0, 1]; for logits use BCEWithLogitsLoss")
        with np.errstate(divide="ignore"):  # log 0 = -inf is what the floor of -100 is for
            log_p, log_q = _at_least(np.log(input), -100), _at_least(np.log1p(-input), -100)
        return self._reduce((target - 1) * log_q - target * log_p), (input, target)

    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> Grads:
        """Return (grad_input, grad_target)."""
        p, t = saved
        spread = self._spread(grad_output, p)
        with np.errstate(divide="ignore"):
            grad_target = spread * (np.log1p(-p) - np.log(p))
        if not input_grad:
            return None, grad_target
        return spread * (p - t) / _at_least((1 - p) * p, float(np.float32(1e-12))), grad_target


class BCEWithLogitsLoss(_Loss):
    """l = -(t log p + (1 - t) log(1 - p)) with p = sigmoid(x), from the logit x = `input` itself.

    log p = -log(1 + e^-x) and log(1 - p) = -x - log(1 + e^-x), so that l = (1 - t) x + log(1 + e^-x). For
    x < 0, e^-x overflows; log(1 + e^-x) = -x + log(1 + e^x) there, which for both signs together gives

        l = max(x, 0) - t x + log(1 + e^-|x|).

    dl/dx = -t + 1 - e^-x / (1 + e^-x) = sigmoid(x) - t: the sigmoid's derivative p (1 - p) has cancelled
    against the 1 / (p (1 - p)) of the cross-entropy. dl/dt = -x.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
    """

    def __init__(
        self,
        weight: None = None,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
        pos_weight: None = None,
    ) -> None:
        unsupported("BCEWithLogitsLoss", weight=weight, pos_weight=pos_weight)
        super().__init__(size_average, reduce, reduction)

    def forward(self, input: Array, target: Array) -> tuple[Array, Saved]:
        """Return the loss and `saved` = (input, target)."""
        self._check(input, target)
        positive = input.real >= 0
        zero = input.dtype.type(0)
        larger = np.where(positive, input, zero)
        minus_abs = np.where(positive, -input, input)
        return self._reduce(larger - input * target + np.log1p(np.exp(minus_abs))), (input, target)

    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> Grads:
        """Return (grad_input, grad_target)."""
        x, t = saved
        spread = self._spread(grad_output, x)
        return (spread * (sigmoid(x) - t) if input_grad else None), -spread * x


def _at_least(x: Array, floor: float) -> Array:
    """Return x, or `floor` where x is below it; decided on the real part, so that a complex step passes."""
    return np.where(x.real < floor, x.dtype.type(floor), x)
