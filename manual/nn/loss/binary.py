"""Losses of yes or no: cross-entropy of probabilities and of logits, entry by entry, with targets 0 to 1 or +-1."""

import math
from typing import Any

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array
from manual.nn.activation.sigmoid import sigmoid, softplus, softplus_parts
from manual.nn.loss.reduction import (
    Grads,
    OptionalGrads,
    Saved,
    _Loss,
    _WeightedLoss,
    as_floats,
    at_least,
    check_shapes,
    differentiable,
)


class BCELoss(_WeightedLoss):
    """l = -w (t log p + (1 - t) log(1 - p)), with p = `input` in [0, 1] and t = `target`.

    dl/dp = w (-t/p + (1 - t)/(1 - p)) = w (p - t) / (p (1 - p)), and dl/dt = w (log(1 - p) - log p).

    At p = 0 or 1 both leave the finite numbers. As torch does, each logarithm is kept at -100 or above, so
    that the loss stays finite, and p (1 - p) at 1e-12 or above (rounded to float32, 0.99999999600e-12, in every
    dtype: torch's constant), so that the gradient does. The logarithms of dl/dt have no floor, as torch's. Where p
    comes from a sigmoid, BCEWithLogitsLoss needs neither.

    `input` and `target` have one shape, any. `weight` w, 1 by default, has that shape too, or one that
    broadcasts to it. It is constant, and no part of the denominator: the 'mean' is over all entries.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
    """

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, Saved]:
        """Return the loss and `saved` = (input, target). Raises ValueError for an input outside [0, 1]."""
        self._check(input, target)
        self._check_weight("weight", input)
        outside = input[(input.real < 0) | (input.real > 1)]
        if outside.size:
            raise ValueError(
                f"BCELoss takes probabilities in [0, 1], not {outside[0]}; for logits use BCEWithLogitsLoss"
            )
        # log 0 = -inf is what the floor of -100 is for
        log_p, log_q = at_least(np.log(input), -100), at_least(np.log1p(-input), -100)
        return self._reduce(self._weigh((target - 1) * log_q - target * log_p)), (input, target)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> Grads:
        """Return (grad_input, grad_target)."""
        p, t = saved
        spread = self._weigh(self._spread(grad_output, p))
        grad_target = spread * (np.log1p(-p) - np.log(p))
        if not input_grad:
            return None, grad_target
        return spread * (p - t) / at_least((1 - p) * p, float(np.float32(1e-12))), grad_target


class BCEWithLogitsLoss(_WeightedLoss):
    """l = -w (v t log p + (1 - t) log(1 - p)) with p = sigmoid(x), from the logit x = `input` itself.

    log(1 - p) = -softplus(x) and log p = -softplus(-x), where softplus(x) = log(1 + e^x). e^x overflows for a
    large x; log(1 + e^x) = x + log(1 + e^-x) there, which for both signs together gives

        softplus(x) = max(x, 0) + log(1 + e^-|x|),        l = w (v t softplus(-x) + (1 - t) softplus(x)).

    Both terms are positive, so that nothing cancels. For v = 1 they are one, since softplus(-x) = softplus(x) - x:

        l = w (max(x, 0) - t x + log(1 + e^-|x|)).

    d softplus(x)/dx = e^x / (1 + e^x) = sigmoid(x): the sigmoid's derivative p (1 - p) has cancelled against the
    1 / (p (1 - p)) of the cross-entropy. Hence

        dl/dx = w ((1 - t) sigmoid(x) - v t sigmoid(-x)),    for v = 1:  w (sigmoid(x) - t)
        dl/dt = w (v softplus(-x) - softplus(x)),            for v = 1:  -w x.

    `input` and `target` have one shape, any. `weight` w and `pos_weight` v, both 1 by default, broadcast to it; they
    are constant, and no part of the denominator. v > 1 makes a missed yes dearer: it raises recall at precision's cost.

    max(x, 0) - t x is computed as (1 - t) x for x >= 0 and -t x below: nothing cancels in a product, and where the loss
    goes to infinity with x, it is infinite at x = +-inf (torch's is NaN at -inf). Where the limit is 0, we have NaN for
    0 * inf, as torch has. Far out torch subtracts two logarithms where we add: at x = -40, t = 0, float64, it gives 0
    and this form e^-40.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
    """

    def __init__(
        self,
        weight: Array | None = None,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
        pos_weight: Array | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self._register_weight("pos_weight", pos_weight)
        self.pos_weight: Array | None

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, Saved]:
        """Return the loss and `saved` = (input, target)."""
        self._check(input, target)
        self._check_weight("weight", input)
        self._check_weight("pos_weight", input)
        return self._reduce(self._weigh(cross_entropy(input, target, self.pos_weight))), (input, target)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> Grads:
        """Return (grad_input, grad_target)."""
        x, t = saved
        spread = self._weigh(self._spread(grad_output, x))
        grad_x, grad_t = cross_entropy_slopes(x, t, self.pos_weight)
        return (spread * grad_x if input_grad else None), spread * grad_t


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """l[n] = (1/C) sum_c of BCEWithLogitsLoss's w[c] (softplus(x) - t x) at x[n,c], t[n,c]: C yes-or-no questions.

    The last axis is that of the C classes, so that l is an entry shorter than the input: (..., C) gives (...). Only the
    sum over c is new, so that every partial is that of BCEWithLogitsLoss, divided by C:

        dl[n]/dx[n,c] = w[c] (sigmoid(x[n,c]) - t[n,c]) / C        dl[n]/dt[n,c] = -w[c] x[n,c] / C

    `input` has shape (..., C); `target` has that shape, with integers (which have no gradient) or floats; `weight` w,
    1 by default, broadcasts to it. 'mean' is over the entries l, whatever the weights. A mean over C = 0 is NaN.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelSoftMarginLoss.html
    """

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, Saved]:
        """Return the loss and `saved` = (input, target)."""
        t = as_floats("MultiLabelSoftMarginLoss", target, input)
        check_shapes("MultiLabelSoftMarginLoss", input=input, target=target)
        self._check_weight("weight", input)
        if input.ndim == 0:
            raise ValueError("MultiLabelSoftMarginLoss takes (..., classes), not a single number: give it an axis")
        costs = self._weigh(cross_entropy(input, t))  # (..., C)
        return self._reduce(costs.sum(-1) / input.shape[-1]), (input, target)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> OptionalGrads:
        """Return (grad_input, grad_target), the second None for targets of integers."""
        x, target = saved
        samples, n_classes = x.shape[:-1], x.shape[-1]
        spread = self._spread(grad_output, x, math.prod(samples), samples)
        spread = self._weigh(spread[..., None])  # what broadcasts to (..., C)
        grad_x, grad_t = cross_entropy_slopes(x, target.astype(x.dtype))
        grad_x, grad_t = (spread * grad / n_classes for grad in (grad_x, grad_t))
        return (grad_x if input_grad else None), (grad_t if differentiable(target) else None)


class SoftMarginLoss(_Loss):
    """l = log(1 + e^(-t x)), with x = `input` and labels t = 1 or -1: BCEWithLogitsLoss's loss, labelled +-1.

    For t = 1 that is softplus(-x) = -log p, for t = -1 it is softplus(x) = -log(1 - p), with p = sigmoid(x). So

        l = softplus(-t x),        dl/dx = -t sigmoid(-t x),

    computed as there: where e^(-t x) overflows (in float32 from -t x = 89 on) torch's loss is inf and its gradient
    NaN; here they are -t x and -t.

    `input` and `target` have one shape, any. The target may be of integers or floats. It is a label, and has no
    gradient; torch refuses one that requires it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SoftMarginLoss.html
    """

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, Saved]:
        """Return the loss and `saved` = (input, target)."""
        t = as_floats("SoftMarginLoss", target, input)
        check_shapes("SoftMarginLoss", input=input, target=target)
        return self._reduce(softplus(-t * input)), (input, t)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> tuple[Array | None, None]:
        """Return (grad_input, None)."""
        x, t = saved
        spread = self._spread(grad_output, x)
        return (spread * -t * sigmoid(-t * x) if input_grad else None), None


def cross_entropy(x: Array, t: Array, pos_weight: Array | None = None) -> Array:
    """Return pos_weight t softplus(-x) + (1 - t) softplus(x), element by element."""
    if pos_weight is None:
        _, rest = softplus_parts(x)
        entries: Array = np.where(x.real >= 0, 1 - t, -t) * x + rest
    else:
        entries = pos_weight * t * softplus(-x) + (1 - t) * softplus(x)
    return entries


def cross_entropy_slopes(x: Array, t: Array, pos_weight: Array | None = None) -> tuple[Array, Array]:
    """Return the derivatives of `cross_entropy` in x and in t."""
    if pos_weight is None:
        return sigmoid(x) - t, -x
    return (1 - t) * sigmoid(x) - pos_weight * t * sigmoid(-x), pos_weight * softplus(-x) - softplus(x)
