"""Grouped-query attention."""

import torch
from torch import Tensor, nn

from torch_impl.nn.rotary import RotaryEmbedding
from torch_impl.nn.tiled_attention import NaiveAttention


class GroupedQueryAttention(nn.Module):
    """Self-attention in which every num_heads / num_kv_heads query heads share a key head and a value head."""

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_kv_heads: int,
        head_dim: int | None = None,
        is_causal: bool = True,
        rotary_base: float | None = None,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.groups = num_heads // num_kv_heads
        self.head_dim = embed_dim // num_heads if head_dim is None else head_dim
        self.q_proj = nn.Linear(embed_dim, num_heads * self.head_dim, bias=False, dtype=dtype)
        self.k_proj = nn.Linear(embed_dim, num_kv_heads * self.head_dim, bias=False, dtype=dtype)
        self.v_proj = nn.Linear(embed_dim, num_kv_heads * self.head_dim, bias=False, dtype=dtype)
        self.o_proj = nn.Linear(num_heads * self.head_dim, embed_dim, bias=False, dtype=dtype)
        self.attention = NaiveAttention(is_causal)
        self.rotary = nn.Identity()
        if rotary_base is not None:
            self.rotary = RotaryEmbedding(self.head_dim, rotary_base, interleaved=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return y, of the shape of x (..., T, embed_dim)."""
        q, k, v = (proj(x).unflatten(-1, (-1, self.head_dim)) for proj in (self.q_proj, self.k_proj, self.v_proj))
        q, k, v = (heads.transpose(-2, -3) for heads in (q, k, v))  # (..., heads, T, head_dim)
        k, v = (heads.repeat_interleave(self.groups, dim=-3) for heads in (self.rotary(k), v))
        o = self.attention(self.rotary(q), k, v)
        y: Tensor = self.o_proj(o.transpose(-2, -3).flatten(-2))
        return y
