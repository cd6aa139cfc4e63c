"""Attention, written as its formula; autograd has no use for tiles, so the tiled one is the same function."""

import math

import torch
from torch import Tensor, nn


class NaiveAttention(nn.Module):
    """softmax(scale query key^T) value, each query t seeing the keys up to number t if `is_causal`."""

    def __init__(self, is_causal: bool = False, scale: float | None = None) -> None:
        super().__init__()
        self.is_causal, self.scale = is_causal, scale

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the output (..., T, E) of query (..., T, D), key (..., S, D) and value (..., S, E)."""
        scale = 1 / math.sqrt(query.shape[-1]) if self.scale is None else self.scale
        scores = query @ key.mT * scale
        if self.is_causal:
            seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
            scores = scores.masked_fill(~seen, -math.inf)
        return scores.softmax(dim=-1) @ value


class TiledAttention(NaiveAttention):
    """The same; the blocks are an affair of how it is computed."""

    def __init__(
        self, is_causal: bool = False, scale: float | None = None, query_block: int = 64, key_block: int = 64
    ) -> None:
        super().__init__(is_causal, scale)
