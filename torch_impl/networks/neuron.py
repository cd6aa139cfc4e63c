"""One neuron, and three of them wired into a network (Zhou, "Building Blocks: Neurons")."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Neuron(nn.Module):
    """y = f(w . x + b), with f the sigmoid; x has shape (..., K), y (..., 1)."""

    def __init__(self, weights: Sequence[float], bias: float, *, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights, dtype=dtype))
        self.bias = nn.Parameter(torch.tensor(bias, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Return y (..., 1)."""
        total = (x @ self.weight).unsqueeze(-1) + self.bias  # a product by `*` would broadcast a wrong number of inputs
        return torch.sigmoid(total)


class NeuronNetwork(nn.Module):
    """y = o1(h1(x), h2(x)): two inputs, a hidden layer of two neurons, one output neuron."""

    def __init__(
        self, weights: Sequence[float] = (0, 1), bias: float = 0, *, dtype: torch.dtype = torch.float64
    ) -> None:
        super().__init__()
        self.h1 = Neuron(weights, bias, dtype=dtype)
        self.h2 = Neuron(weights, bias, dtype=dtype)
        self.o1 = Neuron(weights, bias, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return y (..., 1); x has shape (..., 2)."""
        hidden: Tensor = torch.cat([self.h1(x), self.h2(x)], dim=-1)
        output: Tensor = self.o1(hidden)
        return output
