"""Losses of a margin: what is right must score higher than what is wrong, by `margin`; beyond that nothing is paid.

All are made of hinges max(0, z), z the part of the margin that is missing. The slope is 1 for z > 0 and 0 for z < 0; at
the kink z = 0 torch takes 1 where it clamps (MarginRankingLoss) and 0 where it compares (the losses over classes); a z
that is NaN stays NaN in the first, and costs nothing in the others.
"""

import math
from typing import Any

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array, plain
from manual.nn.loss.classification import _ClassLoss, one_hot
from manual.nn.loss.reduction import _Loss, as_floats, at_least, check_dtypes, check_shapes, differentiable


class MarginRankingLoss(_Loss):
    """l = max(0, z) with z = margin - t (x1 - x2): x1 should rank above x2 where t = 1, below where t = -1.

    With h = 1 where z >= 0 (torch's choice at the kink z = 0) and h = 0 elsewhere:

        dl/dx1 = -h t,        dl/dx2 = h t,        dl/dt = -h (x1 - x2).

    `input1`, `input2` and `target` have one shape, any. A target of integers has no gradient; one of floats has, since
    the formula is smooth in t, although only 1 and -1 mean something.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html
    """

    def __init__(
        self, margin: float = 0.0, size_average: None = None, reduce: None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = float(margin)

    @beyond_the_finite()
    def forward(self, input1: Array, input2: Array, target: Array) -> tuple[Array, Any]:
        """Return the loss and `saved` = (x1 - x2, target, z)."""
        check_dtypes("MarginRankingLoss", input1=input1, input2=input2)
        t = as_floats("MarginRankingLoss", target, input1)
        check_shapes("MarginRankingLoss", input1=input1, input2=input2, target=target)
        difference = input1 - input2
        z = self.margin - t * difference
        return self._reduce(at_least(z, 0)), (difference, target, z)

    @beyond_the_finite()
    def backward(
        self, grad_output: Any, saved: Any, *, input_grad: bool = True
    ) -> tuple[Array | None, Array, Array | None]:
        """Return (grad_input1, grad_input2, grad_target), the last None for targets of integers."""
        difference, target, z = saved
        spread = np.where(z >= 0, self._spread(grad_output, z), 0)
        grad = spread * target.astype(z.dtype)
        grad_target = -spread * difference if differentiable(target) else None
        return (-grad if input_grad else None), grad, grad_target


class MultiMarginLoss(_ClassLoss):
    """l[n] = (w[t]/C) sum_{j != t} max(0, z[n,j])^p, z[n,j] = margin - x[n,t] + x[n,j], t = target[n], p = 1 or 2.

    Each class j that is wrong pays for what it lacks in distance to the score of the right one. With

        h[n,j] = (w[t]/C) p max(0, z[n,j])^(p-1) for j != t and z[n,j] > 0, else 0

    (0 at the kink z = 0, as torch takes it), dz[n,j]/dx[n,j] = 1 and dz[n,j]/dx[n,t] = -1 give

        dl[n]/dx[n,j] = h[n,j] for j != t,        dl[n]/dx[n,t] = -sum_j h[n,j].

    `input` has shape (N, C) or (C,), `target` (N,) or (), int64 or uint8 (torch: int64 alone). `weight` w has shape
    (C,) and is read at the target; 'mean' divides by N, not by weights, unlike NLLLoss. Of N = 0 samples the mean is
    NaN and the sum 0; torch returns memory that it never wrote.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Array | None = None,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss(p={p}): p is 1 or 2")
        self.p, self.margin = plain(p), float(margin)

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, Any]:
        """Return the loss and `saved` = (max(0, z) of the wrong classes, 1 at the target, w[t] / C)."""
        self._check_input(input)
        check_scores("MultiMarginLoss", input)
        t, _ = self._classes(input, target, None)  # (N,)
        w = self._class_weights(input)[t] / input.shape[-1]  # (N,)
        right = one_hot(t, input.shape[-1])  # (N, C)
        x_t = np.where(right, input, 0).sum(-1, keepdims=True)  # (N, 1)
        z = self.margin - x_t + input  # (N, C); the right class may meet itself as inf - inf
        z = np.where(right | ~(z.real > 0), 0, z)
        return self._reduce(w * (z**self.p).sum(-1)), (z, right, w)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Any, *, input_grad: bool = True) -> tuple[Array | None, None]:
        """Return (grad_input, None)."""
        z, right, w = saved
        spread = self._spread(grad_output, w) * w  # (N,)
        if not input_grad:
            return None, None
        h = spread[..., None] * np.where(z > 0, self.p * z ** (self.p - 1), 0)  # (N, C)
        return np.where(right, -h.sum(-1, keepdims=True), h), None


class MultiLabelMarginLoss(_Loss):
    """l[n] = (1/C) sum_{c in T[n]} sum_{j not in T[n]} max(0, z[n,c,j]), z[n,c,j] = 1 - x[n,c] + x[n,j].

    T[n] are the classes that target[n] lists before its first -1; what follows that is not read, and a class that is
    listed twice counts twice. Every listed class should score higher than every other, by 1. With

        h[n,c,j] = k[n,c] / C  where z[n,c,j] > 0 and j is not in T[n], else 0   (0 at the kink z = 0, as torch's),

    k[n,c] the number of times that c is listed, dz/dx[n,c] = -1 and dz/dx[n,j] = 1 give

        dl[n]/dx[n,i] = sum_c h[n,c,i] - sum_j h[n,i,j].

    `input` has shape (N, C) or (C,), `target` the same, int64, entries -1 to C - 1. Of N = 0 samples the mean is NaN.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiLabelMarginLoss.html
    """

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, Array]:
        """Return the loss and `saved` = h."""
        self._check_labels(input, target)
        n_classes = input.shape[-1]
        listed = np.logical_and.accumulate(target >= 0, axis=-1)  # (N, C)
        k = (one_hot(target, n_classes) & listed[..., None]).sum(-2)  # (N, C)
        z = 1 - input[..., None] + input[..., None, :]  # (N, C, C); a class may meet itself as inf - inf
        pairs = k[..., None] * (k == 0)[..., None, :]
        h = np.where(z.real > 0, pairs, 0).astype(input.dtype) / n_classes  # (N, C, C)
        return self._reduce((h * np.where(h == 0, 0, z)).sum((-2, -1))), h

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Any, *, input_grad: bool = True) -> tuple[Array | None, None]:
        """Return (grad_input, None)."""
        h = saved
        spread = self._spread(grad_output, h, math.prod(h.shape[:-2]), h.shape[:-2])[..., None]  # (N, 1)
        if not input_grad:
            return None, None
        return spread * (h.sum(-2) - h.sum(-1)), None

    def _check_labels(self, input: Array, target: Array) -> None:
        who = "MultiLabelMarginLoss"
        check_dtypes(who, input=input)
        check_scores(who, input)
        if not isinstance(target, np.ndarray) or target.dtype != np.int64:
            kind = getattr(target, "dtype", type(target).__name__)
            raise TypeError(f"{who} takes lists of classes as int64, ended by -1, not {kind}: use astype(np.int64)")
        check_shapes(who, input=input, target=target)
        wrong = target[(target < -1) | (target >= input.shape[-1])]
        if wrong.size:
            raise IndexError(f"{who}: target {wrong[0]} is no class: they are 0 to {input.shape[-1] - 1}, or -1")


def check_scores(who: str, input: Array) -> None:
    """Raise ValueError for an input that is neither (N, C) nor (C,), or has no class."""
    if input.ndim not in (1, 2) or not input.shape[-1]:
        raise ValueError(f"{who} takes (N, C) or (C,) with C >= 1 classes, not an input of shape {input.shape}")
