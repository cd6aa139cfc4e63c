"""The tutorials' conventions for a loss, as one setting."""

from torch import Tensor, nn


class SignedError(nn.Module):
    """sum (or mean) of input - target; reported only."""

    def __init__(self, reduction: str = "sum") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the signed error."""
        difference = input - target
        return difference.sum() if self.reduction == "sum" else difference.mean()


class Classes(nn.CrossEntropyLoss):
    """Cross-entropy of logits (..., classes) for classes (...), also where every position of a sequence has its own."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss; a class of -100 does not count."""
        loss: Tensor = super().forward(input.reshape(-1, input.shape[-1]), target.reshape(-1))
        return loss


LOSSES = {
    "squared_error": nn.MSELoss,
    "cross_entropy": nn.BCELoss,
    "cross_entropy_from_logits": nn.BCEWithLogitsLoss,
    "classes": Classes,
    "signed_error": SignedError,
}


class Objective(nn.Module):
    """L = factor * R l(output, target); the arguments are those of its twin in manual."""

    def __init__(self, kind: str, factor: float = 1.0, reduction: str = "mean") -> None:
        super().__init__()
        self.kind, self.factor, self.reduction = kind, factor, reduction
        self.loss: nn.Module = LOSSES[kind](reduction=reduction)

    def count(self, target: Tensor) -> int:
        """Return what a mean over these targets divides by: their number, without those that do not count; 1 of a sum.

        Of classes it reads the targets: on an accelerator that waits for it.
        """
        if self.reduction == "sum":
            return 1
        return int((target != self.loss.ignore_index).sum()) if isinstance(self.loss, Classes) else target.numel()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a scalar."""
        value: Tensor = self.loss(output, target)
        # Times 1 is exact, but it would stand as one more node in the graph.
        return value if self.factor == 1.0 else value * self.factor
