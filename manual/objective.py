"""The tutorials' conventions for a loss, as one setting."""

from typing import Any

import numpy as np

from manual.module import Array, Module
from manual.nn import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, MSELoss


class SignedError(Module):
    """sum (or mean) of input - target, which part I prints as its error: it can be 0 where nothing is right.

    Reported only, never differentiated: its gradient does not depend on how wrong the network is.
    """

    def __init__(self, reduction: str = "sum") -> None:
        self.reduction = reduction

    def forward(self, input: Array, target: Array) -> tuple[Array, None]:
        """Return the signed error and nothing saved."""
        difference = input - target
        return np.asarray(difference.sum() if self.reduction == "sum" else difference.mean()), None


class Classes(CrossEntropyLoss):
    """Cross-entropy of logits (..., classes) for classes (...), also where every position of a sequence has its own.

    All axes but the last are samples: they are laid end to end. A class of -100 does not count.
    """

    def forward(self, input: Array, target: Array) -> tuple[Array, Any]:
        """Return the loss, and `saved` = the shape of the input and what the cross-entropy saved."""
        loss, saved = super().forward(input.reshape(-1, input.shape[-1]), target.reshape(-1))
        return loss, (input.shape, saved)

    def backward(self, grad_output: Any, saved: Any, *, input_grad: bool = True) -> Any:
        """Return (grad_input, None), the first in the shape of the input."""
        shape, saved_flat = saved
        grad, _ = super().backward(grad_output, saved_flat, input_grad=input_grad)
        return (None if grad is None else grad.reshape(shape)), None


LOSSES = {
    "squared_error": MSELoss,
    "cross_entropy": BCELoss,
    "cross_entropy_from_logits": BCEWithLogitsLoss,
    "classes": Classes,
    "signed_error": SignedError,
}


class Objective(Module):
    """L = factor * R l(output, target), with R the sum or the mean over samples.

    The tutorials differ in nothing else: (y - t)^2 or cross-entropy, factor 1 or 1/2, sum or mean. In plain
    descent they enter only as the product lr * factor * (1 or 1/N).

    `kind`: squared_error, cross_entropy (of probabilities), cross_entropy_from_logits, classes, or
    signed_error (for reports). `reduction`: sum or mean.
    """

    def __init__(self, kind: str, factor: float = 1.0, reduction: str = "mean") -> None:
        self.kind, self.factor, self.reduction = kind, factor, reduction
        self.loss = LOSSES[kind](reduction=reduction)

    def count(self, target: Array) -> int:
        """Return what a mean over these targets divides by: their number, without those that do not count; 1 of a sum.

        So L = factor / count(all) * (sum over one part + sum over the next ...), however the samples are parted.
        """
        if self.reduction == "sum":
            return 1
        return int((target != self.loss.ignore_index).sum() if isinstance(self.loss, Classes) else target.size)

    def forward(self, output: Array, target: Array) -> tuple[Array, Any]:
        """Return the loss, a scalar, and what the inner loss saved."""
        value, saved = self.loss.forward(output, target)
        return value * output.dtype.type(self.factor), saved

    def backward(self, grad_output: Any, saved: Any, *, input_grad: bool = True) -> Any:
        """Return (grad_output_of_the_network, grad_target): the factor stands before both."""
        return self.loss.backward(grad_output * self.factor, saved, input_grad=input_grad)
