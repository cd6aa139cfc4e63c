"""A mixture of experts."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class MixtureOfExperts(nn.Module):
    """Each row's mean of its top_k experts, weighted by the router's softmax."""

    def __init__(
        self,
        in_features: int,
        experts: Sequence[nn.Module],
        top_k: int = 2,
        normalize: bool = True,
        load_balancing: bool = False,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.top_k, self.normalize, self.load_balancing = top_k, normalize, load_balancing
        self.router = nn.Linear(in_features, len(experts), bias=False, dtype=dtype)
        self.experts = nn.ModuleList(experts)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Return y, of the shape of x (..., in_features), and with load_balancing the loss of balance beside it."""
        logits = self.router(x)
        p = logits.softmax(dim=-1)
        # Not topk, which promises no order among equals.
        chosen = logits.sort(dim=-1, descending=True, stable=True).indices[..., : self.top_k]
        gates = p.gather(-1, chosen)
        if self.normalize:
            gates = gates / gates.sum(dim=-1, keepdim=True)
        one_hot = functional.one_hot(chosen, len(self.experts)).to(x.dtype)  # (..., top_k, experts)
        weights = (one_hot * gates.unsqueeze(-1)).sum(dim=-2)  # (..., experts), 0 where not chosen
        # Every expert takes every row: dense, and plain.
        outputs = torch.stack([expert(x) for expert in self.experts], dim=-1)  # (..., in_features, experts)
        y = (outputs * weights.unsqueeze(-2)).sum(dim=-1)
        if not self.load_balancing:
            return y
        load, mean = (each.reshape(-1, len(self.experts)).mean(dim=0) for each in (one_hot, p))
        return y, (load * mean).sum() * len(self.experts)
