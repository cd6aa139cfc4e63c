"""The perceptron: an input layer and one output unit, nothing between (Shukla and Iriondo, part I)."""

import torch
from torch import Tensor, nn


class DoubleSigmoid(nn.Module):
    """The sigmoid whose derivative is the one that part I's code uses, s(a) (1 - s(a)) at the output a = s(z).

    Autograd gives that derivative by itself to an expression of the same value: with a, and the two terms
    that cancel, detached, d(out)/dz = ds/dz = s'(a + z - z) = s'(a), while out = a + s - s = a.
    """

    def forward(self, z: Tensor) -> Tensor:
        """Return sigmoid(z)."""
        a = torch.sigmoid(z).detach()
        s = torch.sigmoid(a + z - z.detach())
        # (s - s) first: a + s - s would round a.
        return a + (s - s.detach())


class Perceptron(nn.Sequential):
    """out = f(x W^T + b), (N, in_features) -> (N, 1); the arguments are those of its twin in manual."""

    def __init__(
        self,
        in_features: int,
        bias: bool = True,
        *,
        published: bool = False,
        logits: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        if published and logits:
            raise ValueError("the published rule is a sigmoid's; with logits=True there is none: choose one")
        linear = nn.Linear(in_features, 1, bias, dtype=dtype)
        if logits:
            super().__init__(linear)
        else:
            super().__init__(linear, DoubleSigmoid() if published else nn.Sigmoid())
