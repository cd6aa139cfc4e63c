"""Losses of distributions: the divergence of two, and negative log-likelihoods of normal and of Poisson numbers."""

import math
from typing import Any

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array
from manual.nn.loss.reduction import (
    Grads,
    OptionalGrads,
    Saved,
    _Loss,
    as_floats,
    at_least,
    check_dtypes,
    check_shapes,
    differentiable,
)


class KLDivLoss(_Loss):
    """l = t (log t - x), with log-probabilities x = `input` and probabilities t = `target`, entry by entry.

    Summed over a distribution's entries that is the Kullback-Leibler divergence of `input` from `target`. Where
    `log_target` is set the target is u = log t, and l = e^u (u - x).

        dl/dx = -t        dl/dt = log t + 1 - x        dl/du = e^u (u - x + 1)

    At t = 0, t log t = 0 is its limit. There dl/dt goes to -inf, which we return; torch's is NaN (0/0). Where 0 meets
    an infinite logarithm, 0 * inf is NaN in the loss, as in torch: x = -inf at t = 0, or u = -inf.

    'mean' divides by the number of all entries, and what that gives is no divergence, as torch warns. 'batchmean'
    divides by the size of the first axis alone, and gives the mean divergence (of a single number, the number).

    `input` and `target` have one shape, any.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
    """

    reductions = ("none", "mean", "sum", "batchmean")

    def __init__(
        self, size_average: None = None, reduce: None = None, reduction: str = "mean", log_target: bool = False
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def _divides_by(self, input: Array) -> int:
        return input.shape[0] if self.reduction == "batchmean" and input.ndim else input.size

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, Saved]:
        """Return the loss and `saved` = (input, target)."""
        self._check(input, target)
        if self.log_target:
            entries = np.exp(target) * (target - input)
        else:
            entries = target * np.log(np.where(target == 0, 1, target)) - target * input
        return self._reduce(entries, self._divides_by(input)), (input, target)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> Grads:
        """Return (grad_input, grad_target)."""
        x, target = saved
        spread = self._spread(grad_output, x, self._divides_by(x))
        t = np.exp(target) if self.log_target else target
        slope = t * (target - x + 1) if self.log_target else np.log(t) + 1 - x
        return (-spread * t if input_grad else None), spread * slope


class GaussianNLLLoss(_Loss):
    """l = (log v + d^2 / v) / 2, d = input - target, v = max(var, eps): -log of a normal density, but for a constant.

    With `full`, the constant log(2 pi) / 2 is added. The partials:

        dl/dinput = d / v        dl/dtarget = -d / v        dl/dvar = (1 - d^2 / v) / (2 v)

    The last is 0 where v = d^2: the loss is least when the variance is the squared error. It is passed to `var` even
    where the floor eps stands in its place, as torch does it (the clamp is hidden from autograd): a variance that has
    become too small is still told to grow.

    `input` has any shape. `target` has the same, or the same with some axes 1: it is repeated along them. `var` is a
    float above 0 (no gradient), or has the input's shape, or that with one axis 1, or that without the last axis. The
    gradient of what was repeated is the sum over its copies. 'mean' is over the input's entries.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html; Nix and Weigend, Estimating
    the mean and variance of the target probability distribution (1994)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        if not eps >= 0:
            raise ValueError(f"GaussianNLLLoss(eps={eps}): the floor of the variance is 0 or above")
        self.full, self.eps = full, eps

    @beyond_the_finite()
    def forward(self, input: Array, target: Array, var: Array | float) -> tuple[Array, Any]:
        """Return the loss and `saved` = (d, v, target's shape, var's shape or None)."""
        self._check_repeated(input, target, var)
        var_shape = None if isinstance(var, float) else var.shape
        v = np.asarray(var, input.dtype)
        if v.ndim < input.ndim:
            v = v[..., None]  # (..., 1)
        v = at_least(v, self.eps)
        d = input - target
        entries = 0.5 * (np.log(v) + d * d / v) + (0.5 * math.log(2 * math.pi) if self.full else 0)
        return self._reduce(entries), (d, v, target.shape, var_shape)

    @beyond_the_finite()
    def backward(
        self, grad_output: Any, saved: Any, *, input_grad: bool = True
    ) -> tuple[Array | None, Array, Array | None]:
        """Return (grad_input, grad_target, grad_var), the last None where var was a float."""
        d, v, target_shape, var_shape = saved
        spread = self._spread(grad_output, d)
        grad = spread * d / v
        grad_target = _sum_to(-grad, target_shape)
        grad_var = None
        if var_shape is not None:
            grad_var = _sum_to(spread * (1 - d * d / v) / (2 * v), v.shape).reshape(var_shape)
        return (grad if input_grad else None), grad_target, grad_var

    def _check_repeated(self, input: Array, target: Array, var: Array | float) -> None:
        who = "GaussianNLLLoss"
        check_dtypes(who, input=input, target=target)
        axes = zip(target.shape, input.shape, strict=False)
        if target.ndim != input.ndim or any(a not in (1, b) for a, b in axes):
            raise ValueError(
                f"{who}: target {target.shape} is not the input's shape {input.shape}, nor that with axes 1"
            )
        if not isinstance(var, float):
            check_dtypes(who, input=input, var=var)
            differing = [a for a, b in zip(var.shape, input.shape, strict=False) if a != b]
            same_axes = var.ndim == input.ndim and differing in ([], [1])
            if not same_axes and var.shape != input.shape[:-1]:
                raise ValueError(
                    f"{who}: var {var.shape} is not the input's shape {input.shape}, nor that with one axis 1 or "
                    "without the last; nor a float"
                )
        variances = np.asarray(var).real
        below = variances[variances < 0]
        if below.size:
            raise ValueError(f"{who}: a variance is {below[0]}, below 0; a network that gives log v takes np.exp of it")


class PoissonNLLLoss(_Loss):
    """l = e^x - t x with x = log of the rate (`log_input`), or l = x - t log(x + eps) with the rate x itself.

    That is -log of the Poisson probability e^-r r^t / t! of the count t at the rate r, but for log t!. With `full`,
    log t! comes in by Stirling's formula, t log t - t + log(2 pi t) / 2, where t > 1 (at t = 0 and 1, log t! = 0).

        dl/dx = e^x - t,              dl/dt = -x                with log_input
        dl/dx = 1 - t / (x + eps),    dl/dt = -log(x + eps)     without

    and `full` adds log t + 1 / (2 t) to dl/dt where t > 1.

    `input` and `target` have one shape, any. A target of integers has no gradient. eps keeps log(0) away where a rate
    is 0. With `full` torch's gradient at t = 0 is NaN (0 * inf behind its mask); ours is that of the formula.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: None = None,
        eps: float = 1e-8,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input, self.full, self.eps = log_input, full, float(eps)

    @beyond_the_finite()
    def forward(self, log_input: Array, target: Array) -> tuple[Array, Saved]:
        """Return the loss and `saved` = (input, target)."""
        x, t = log_input, as_floats("PoissonNLLLoss", target, log_input)
        check_shapes("PoissonNLLLoss", input=log_input, target=target)
        entries = np.exp(x) - t * x if self.log_input else x - t * np.log(x + self.eps)
        if self.full:
            stirling = t * np.log(t) - t + 0.5 * np.log(2 * math.pi * t)
            entries = entries + np.where(t.real > 1, stirling, 0)
        return self._reduce(entries), (x, target)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> OptionalGrads:
        """Return (grad_input, grad_target), the second None for targets of integers."""
        x, target = saved
        t = target.astype(x.dtype)
        spread = self._spread(grad_output, x)
        grad_input = grad_target = None
        if input_grad:
            grad_input = spread * (np.exp(x) - t if self.log_input else 1 - t / (x + self.eps))
        if differentiable(target):
            grad_target = -spread * (x if self.log_input else np.log(x + self.eps))
        if self.full and grad_target is not None:
            grad_target = grad_target + spread * np.where(t > 1, np.log(t) + 0.5 / t, 0)
        return grad_input, grad_target


def _sum_to(grad: Array, shape: tuple[int, ...]) -> Array:
    """Return `grad` summed over the axes that are 1 in `shape`: each copy adds its part."""
    axes = tuple(i for i in range(grad.ndim) if grad.shape[i] != shape[i])
    summed: Array = grad.sum(axes, keepdims=True)
    return summed
