"""The last layer of a language model and its loss."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class LinearCrossEntropy(nn.Linear):
    """cross_entropy(x W^T + b, target) with all logits at once; the chunks are an affair of how it is computed."""

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        bias: bool = True,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        row_chunk: int = 256,
        class_chunk: int = 4096,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(in_features, num_classes, bias, dtype=dtype)
        self.ignore_index, self.reduction, self.label_smoothing = ignore_index, reduction, label_smoothing

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Return the loss of x (..., in_features) and target (...)."""
        logits = super().forward(x).flatten(0, -2)  # (rows, classes)
        loss = functional.cross_entropy(
            logits,
            target.flatten(),
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )
        return loss.reshape(target.shape) if self.reduction == "none" else loss
