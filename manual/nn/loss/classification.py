"""Losses over classes: cross-entropy of logits, and the negative log-likelihood of log-probabilities."""

import math
from typing import Any

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array, check_array
from manual.nn.activation import log_softmax
from manual.nn.loss.reduction import _WeightedLoss, check_dtypes


class _ClassLoss(_WeightedLoss):
    """What losses over C classes share: the shapes, the indices of classes, and one weight a class.

    The input has shape (C,), (N, C) or (N, C, d1, ...): the classes are axis 1, or 0 where there is no batch. Inside,
    they are the last axis, so that every formula is that of one sample, (..., C).
    """

    def _check_input(self, input: Array) -> None:
        who = type(self).__name__
        check_array(input, who)
        if input.ndim == 0 or input.shape[class_axis(input)] == 0:
            raise ValueError(f"{who} takes (N, C, ...) or (C,) with C >= 1 classes, not an input {input.shape}")
        n_classes = input.shape[class_axis(input)]
        self._check_weight_dtype("weight", input)
        if self.weight is not None and self.weight.shape != (n_classes,):
            raise ValueError(f"{who}: weight {self.weight.shape} must be ({n_classes},), one for each of the classes")

    def _classes(self, input: Array, target: Array, ignore_index: int | None) -> tuple[Array, Array]:
        """Return each sample's class, 0 where it is ignored, and whether it counts; both of the target's shape.

        Raises TypeError, ValueError or IndexError unless the target holds indices of the input's classes.
        """
        who, axis = type(self).__name__, class_axis(input)
        n_classes, expected = input.shape[axis], input.shape[:axis] + input.shape[axis + 1 :]
        if not isinstance(target, np.ndarray | np.generic) or target.dtype not in (np.int64, np.uint8):
            kind = getattr(target, "dtype", type(target).__name__)
            raise TypeError(f"{who} takes classes {expected} as int64 or uint8, not {kind}: use astype(np.int64)")
        if target.shape != expected:
            raise ValueError(f"{who}: input {input.shape} takes a target {expected}, not {target.shape}: reshape it")
        counted = target != ignore_index
        wrong = np.argwhere(counted & ((target < 0) | (target >= n_classes)))
        if len(wrong):
            where = tuple(wrong[0].tolist())
            raise IndexError(f"{who}: target {target[where]} at {where} is no class: they are 0 to {n_classes - 1}")
        return np.where(counted, target, 0), counted

    def _class_weights(self, logits: Array) -> Array:
        """Return the weights (C,), 1 where none were given; the classes are the last axis."""
        return np.ones(logits.shape[-1], logits.dtype) if self.weight is None else self.weight


class NLLLoss(_ClassLoss):
    """l[n] = -w[t[n]] x[n, t[n]], with log-probabilities x = `input`, classes t = `target`, weights w.

    Only the entry at the target is read, so dl[n]/dx[n,c] is -w[c] at c = t[n], and 0 elsewhere. Given log-softmax's
    output, this is CrossEntropyLoss; alone, it is a choice of entries, and any x will do.

    A target equal to `ignore_index` has l[n] = 0 and no gradient. 'mean' divides by W = sum_n w[t[n]], over the targets
    that count: a weighted mean. If none counts, W = 0: the loss is 0/0 = NaN, the gradient 0, as in torch.

    `input` has shape (C,), (N, C) or (N, C, d1, ...), `target` the same without C, int64 or uint8. `weight` has shape
    (C,). t, w and W are constants: only the input has a gradient.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
    """

    def __init__(
        self,
        weight: Array | None = None,
        size_average: None = None,
        ignore_index: int = -100,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
        """Return the loss and `saved` = (whether an entry is one that is read, the targets' weights)."""
        self._check_input(input)
        t, counted = self._classes(input, target, self.ignore_index)  # (N, ...)
        x = classes_last(input)  # (N, ..., C)
        w = np.where(counted, self._class_weights(x)[t], 0)  # (N, ...)
        read = one_hot(t, x.shape[-1]) & counted[..., None]  # (N, ..., C)
        # What is not read is left out, not multiplied by 0: it may be infinite.
        x_t = np.where(read, x, 0).sum(-1)  # (N, ...)
        return self._reduce(-w * x_t, w.sum()), (read, w)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Any, *, input_grad: bool = True) -> tuple[Array | None, None]:
        """Return (grad_input, None)."""
        read, w = saved
        grad_x_t = -w * self._spread(grad_output, w, w.sum())  # (N, ...)
        if not input_grad:
            return None, None
        return classes_back(np.where(read, grad_x_t[..., None], 0)), None


class CrossEntropyLoss(_ClassLoss):
    """l[n] = -sum_c q[n,c] log p[n,c], with p = softmax(x) of the logits x = `input`.

    The targets. Class probabilities t[n,c] are given as they are; a class index stands for the row that is 1 at this
    class. Smoothing with s = `label_smoothing` mixes in the uniform distribution, and each class has its weight w[c]:

        q[n,c] = w[c] ((1 - s) t[n,c] + s / C).

    The logarithm of a softmax, with the log-sum-exp z[n] = log sum_k e^x[n,k]:

        log p[n,c] = x[n,c] - z[n].

    Adding a number to all x[n,:] changes nothing, so the largest, m[n], is subtracted first: no exponential is above 1,
    none of the sum's terms overflows, and one of them is 1, so that log never sees 0. No p is formed and then divided
    by: where p[n,c] would be 0 in float32, from x[n,c] - z[n] = -104 on, log p[n,c] keeps all its digits.

    The gradient. dz[n]/dx[n,c] = e^x[n,c] / sum_k e^x[n,k] = p[n,c]: the log-sum-exp's gradient is the softmax. Thus
    dlog p[n,k]/dx[n,c] = [k = c] - p[n,c], with [k = c] = 1 for k = c and 0 otherwise, and

        dl[n]/dx[n,c] = -sum_k q[n,k] ([k = c] - p[n,c]) = p[n,c] sum_k q[n,k] - q[n,c].

    For one class, without weights and smoothing, q sums to 1 and that is softmax(x) - onehot; with a weight it is
    w[t] (p - onehot); with smoothing alone it is p - (1 - s) onehot - s/C. For class probabilities also

        dl[n]/dt[n,c] = -w[c] (1 - s) log p[n,c].

    Nothing here assumes that they sum to 1.

    'mean' divides by K. For class probabilities K = N (times d1 ...), whatever the weights. For class indices it is
    K = sum_n w[t[n]] over the targets that are not `ignore_index`, and smoothing does not change that, although its
    part of the loss has the weights of all classes. An ignored target has l[n] = 0 and no gradient. If all are ignored,
    the loss is 0/0 = NaN and the gradient 0, as in torch.

    t (as an index), w, s, K and m are constants to the gradient.

    A logit of -inf is a class that is ruled out: p = 0. An index leaves the other classes out of the sum; a probability
    t = 0 multiplies log p = -inf to NaN, as in torch (the gradient is right even so).

    `input` has shape (C,), (N, C) or (N, C, d1, ...). Class indices have the same without C, int64 or uint8; class
    probabilities have the input's shape and dtype (then `ignore_index` is below 0). `weight` has shape (C,).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html; smoothing: Szegedy et al.,
    Rethinking the Inception Architecture (2016), section 7
    """

    def __init__(
        self,
        weight: Array | None = None,
        size_average: None = None,
        ignore_index: int = -100,
        reduce: None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"CrossEntropyLoss(label_smoothing={label_smoothing}): it is between 0 and 1")
        self.ignore_index, self.label_smoothing = ignore_index, float(label_smoothing)

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, Any]:
        """Return the loss and `saved` = (log p, q, which samples count, K, whether the target has a gradient)."""
        self._check_input(input)
        given_probabilities = self._is_probabilities(input, target)
        log_p = log_softmax(classes_last(input), -1)  # (N, ..., C)
        w, s, n_classes = self._class_weights(log_p), self.label_smoothing, log_p.shape[-1]
        counted: Any
        if given_probabilities:
            t, counted, count = classes_last(target), True, math.prod(log_p.shape[:-1])
        else:
            index, counted = self._classes(input, target, self.ignore_index)  # (N, ...)
            t, count = one_hot(index, n_classes).astype(log_p.dtype), np.where(counted, w[index], 0).sum()
        q = w * ((1 - s) * t + s / n_classes)  # (N, ..., C)
        costs = -q * log_p
        if not given_probabilities and not s:
            costs = np.where(t == 0, 0, costs)
        entries = np.where(counted, costs.sum(-1), 0)
        return self._reduce(entries, count), (log_p, q, counted, count, given_probabilities)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Any, *, input_grad: bool = True) -> tuple[Array | None, Array | None]:
        """Return (grad_input, grad_target), the second None for class indices."""
        log_p, q, counted, count, given_probabilities = saved
        spread = self._spread(grad_output, log_p, count, log_p.shape[:-1])
        spread = np.where(counted, spread, 0)[..., None]  # (N, ..., 1)
        grad_t = None
        if given_probabilities:
            grad_t = classes_back(-spread * self._class_weights(log_p) * (1 - self.label_smoothing) * log_p)
        if not input_grad:
            return None, grad_t
        return classes_back(spread * (np.exp(log_p) * q.sum(-1, keepdims=True) - q)), grad_t

    def _is_probabilities(self, input: Array, target: Array) -> bool:
        """Return whether the target has the input's shape; raise TypeError or ValueError unless it may have."""
        alike: bool = getattr(target, "shape", None) == input.shape
        if alike:
            check_dtypes("CrossEntropyLoss", input=input, target=target)
            if self.ignore_index >= 0:
                raise ValueError(
                    f"CrossEntropyLoss(ignore_index={self.ignore_index}) takes class indices, and was given class "
                    "probabilities: leave ignore_index out"
                )
        return alike


def one_hot(index: Array, n_classes: int) -> Array:
    """Return bools of shape (..., n_classes): whether each class is the sample's."""
    hot: Array = index[..., None] == np.arange(n_classes)
    return hot


def class_axis(input: Array) -> int:
    """Return the axis of the classes: 1, or 0 without a batch."""
    return min(1, input.ndim - 1)


def classes_last(input: Array) -> Array:
    """Return (N, C, ...) as (N, ..., C)."""
    return np.moveaxis(input, class_axis(input), -1)


def classes_back(x: Array) -> Array:
    """Return (N, ..., C) as (N, C, ...)."""
    return np.moveaxis(x, -1, class_axis(x))
