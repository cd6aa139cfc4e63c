"""The SwiGLU feed-forward."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class SwiGLU(nn.Module):
    """y = down(silu(gate(x)) * up(x)), without biases."""

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        out_features: int | None = None,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        out_features = in_features if out_features is None else out_features
        self.gate_proj = nn.Linear(in_features, hidden_features, bias=False, dtype=dtype)
        self.up_proj = nn.Linear(in_features, hidden_features, bias=False, dtype=dtype)
        self.down_proj = nn.Linear(hidden_features, out_features, bias=False, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return y (..., out_features) of x (..., in_features)."""
        y: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return y
