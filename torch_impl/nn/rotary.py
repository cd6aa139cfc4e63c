"""Rotary position embedding."""

import torch
from torch import Tensor, nn


class RotaryEmbedding(nn.Module):
    """Turn pair i of the entries at position t by the angle t * base^(-2i/dim), as complex numbers."""

    def __init__(self, dim: int, base: float = 10000.0, interleaved: bool = True) -> None:
        super().__init__()
        self.dim, self.base, self.interleaved = dim, base, interleaved

    def forward(self, x: Tensor, offset: int = 0) -> Tensor:
        """Return y, of the shape of x (..., T, E)."""
        t = torch.arange(offset, offset + x.shape[-2], dtype=torch.float64, device=x.device)
        speed = self.base ** (-torch.arange(0, self.dim, 2, dtype=torch.float64, device=x.device) / self.dim)
        turn = torch.polar(torch.ones((), dtype=torch.float64, device=x.device), torch.outer(t, speed))
        turn = turn.to(torch.promote_types(x.dtype, torch.complex32))
        turned, passed = x[..., : self.dim], x[..., self.dim :]
        if self.interleaved:
            pairs = turned.unflatten(-1, (-1, 2))
            y = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * turn).flatten(-2)
        else:
            pairs = torch.stack(turned.chunk(2, dim=-1), dim=-1)
            y = torch.cat(torch.view_as_real(torch.view_as_complex(pairs) * turn).unbind(-1), dim=-1)
        return torch.cat([y, passed], dim=-1)
