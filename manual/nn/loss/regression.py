"""Losses of a difference d = input - target: squared, absolute, and the two that pass from one to the other."""

from typing import Any

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array
from manual.nn.loss.reduction import Grads, Saved, _Loss


class MSELoss(_Loss):
    """l = (input - target)^2.

    dl/dinput = 2 (input - target) and dl/dtarget = -2 (input - target): the inner derivative is +1 or -1.

    `input` and `target` have one shape, any. The 'mean' is over all entries, not over samples alone.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
    """

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, Saved]:
        """Return the loss and `saved` = (input, target)."""
        self._check(input, target)
        difference = input - target
        return self._reduce(difference * difference), (input, target)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> Grads:
        """Return (grad_input, grad_target)."""
        input, target = saved
        grad = self._spread(grad_output, input) * 2 * (input - target)
        return (grad if input_grad else None), -grad


class L1Loss(_Loss):
    """l = |d| with d = input - target.

    |d| = d sign(d), so that dl/dinput = sign(d) and dl/dtarget = -sign(d). At the kink d = 0 every number in
    [-1, 1] is a slope; torch takes 0, and so do we. (Where d is NaN the loss is NaN, and the slope 0, as torch's.)

    `input` and `target` have one shape, any. The gradient's size says nothing about how far off the input is: that is
    what makes the loss robust against outliers, and slow to settle near its minimum.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.L1Loss.html
    """

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, Array]:
        """Return the loss and `saved` = d."""
        self._check(input, target)
        d = input - target
        return self._reduce(d * _sign(d)), d

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Array, *, input_grad: bool = True) -> Grads:
        """Return (grad_input, grad_target)."""
        d = saved
        grad = self._spread(grad_output, d) * _sign(d)
        return (grad if input_grad else None), -grad


class HuberLoss(_Loss):
    """l = d^2 / 2 for |d| <= delta, delta (|d| - delta / 2) beyond, with d = input - target.

    Let c be d clipped to [-delta, delta]. Both cases are

        l = c (d - c / 2):    c = d gives d^2 / 2,    c = +-delta gives delta |d| - delta^2 / 2.

    dl/dd = c in both: d inside, +-delta beyond, and delta at |d| = delta from either side, so that there is no kink.
    The gradient is that of MSELoss / 2, clipped. dl/dinput = c, dl/dtarget = -c.

    In this form nothing is squared that is not at most delta: no overflow for a large d.

    `input` and `target` have one shape, any; delta > 0.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html; Huber, Robust Estimation of a
    Location Parameter (1964)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        if not delta > 0:
            raise ValueError(f"HuberLoss(delta={delta}): delta is above 0; for the limit 0 / delta take L1Loss")
        self.delta = float(delta)

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, Array]:
        """Return the loss and `saved` = d."""
        self._check(input, target)
        d = input - target
        c = _clip(d, self.delta)
        return self._reduce(c * (d - c / 2)), d

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Array, *, input_grad: bool = True) -> Grads:
        """Return (grad_input, grad_target)."""
        d = saved
        grad = self._spread(grad_output, d) * _clip(d, self.delta)
        return (grad if input_grad else None), -grad


class SmoothL1Loss(_Loss):
    """l = d^2 / (2 beta) for |d| < beta, |d| - beta / 2 beyond, with d = input - target: HuberLoss(beta) / beta.

    With c, d clipped to [-beta, beta], and the slope s = c / beta in [-1, 1]:

        l = s (d - c / 2),    dl/dinput = s,    dl/dtarget = -s

    as there. For beta -> 0 the slope becomes sign(d) and the loss |d|: beta = 0 is L1Loss, with its slope 0 at d = 0.
    Beyond beta the gradient is +-1 whatever beta is, where HuberLoss has +-delta.

    `input` and `target` have one shape, any; beta >= 0.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.SmoothL1Loss.html; Girshick, Fast R-CNN (2015),
    section 2.3
    """

    def __init__(
        self, size_average: None = None, reduce: None = None, reduction: str = "mean", beta: float = 1.0
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        if not beta >= 0:
            raise ValueError(f"SmoothL1Loss(beta={beta}): beta is 0 or above")
        self.beta = float(beta)

    def _slope(self, d: Array) -> Array:
        return _clip(d, self.beta) / self.beta if self.beta else _sign(d)

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, Array]:
        """Return the loss and `saved` = d."""
        self._check(input, target)
        d = input - target
        return self._reduce(self._slope(d) * (d - _clip(d, self.beta) / 2)), d

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Array, *, input_grad: bool = True) -> Grads:
        """Return (grad_input, grad_target)."""
        d = saved
        grad = self._spread(grad_output, d) * self._slope(d)
        return (grad if input_grad else None), -grad


def _sign(d: Array) -> Array:
    """Return 1, -1, or 0 where d is neither above nor below 0; by the real part, so that a complex step passes."""
    sign: Array = (d.real > 0).astype(d.dtype) - (d.real < 0)
    return sign


def _clip(d: Array, bound: float) -> Array:
    """Return d, or +-bound where it is further out."""
    return np.where(d.real > bound, bound, np.where(d.real < -bound, -bound, d))
