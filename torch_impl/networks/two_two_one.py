"""The 2-2-1 network of nine scalars; autograd finds every partial that its twin in manual writes out.

Source: Victor Zhou, "Machine Learning for Beginners: An Introduction to Neural Networks", from "Training
a Neural Network, Part 2" to the complete network.
"""

import torch
from torch import Tensor, nn

NAMES = ("w1", "w2", "w3", "w4", "w5", "w6", "b1", "b2", "b3")


class TwoTwoOne(nn.Module):
    """ypred = f(w5 f(w1 x1 + w2 x2 + b1) + w6 f(w3 x1 + w4 x2 + b2) + b3), f the sigmoid.

    x has shape (..., 2), ypred (..., 1); the nine parameters are scalars, drawn from the standard normal.
    """

    def __init__(self, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        for name in NAMES:
            setattr(self, name, nn.Parameter(torch.randn((), dtype=dtype)))

    def forward(self, x: Tensor) -> Tensor:
        """Return ypred (..., 1)."""
        w1, w2, w3, w4, w5, w6, b1, b2, b3 = (getattr(self, name) for name in NAMES)
        x1, x2 = x[..., 0:1], x[..., 1:2]
        h1 = torch.sigmoid(w1 * x1 + w2 * x2 + b1)
        h2 = torch.sigmoid(w3 * x1 + w4 * x2 + b2)
        ypred = torch.sigmoid(w5 * h1 + w6 * h2 + b3)
        return ypred
