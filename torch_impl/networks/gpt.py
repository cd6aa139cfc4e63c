"""GPT: a stack of transformer blocks that says of every token which comes next."""

import torch
from torch import Tensor, nn

STD = 0.02  # of all initial weights, as in GPT-2


class MLP(nn.Module):
    """y = W_2 gelu(W_1 x + b_1) + b_2: each position by itself, four times as wide inside."""

    def __init__(self, n_embd: int, *, dtype: torch.dtype) -> None:
        super().__init__()
        self.c_fc = nn.Linear(n_embd, 4 * n_embd, dtype=dtype)
        self.gelu = nn.GELU(approximate="tanh")
        self.c_proj = nn.Linear(4 * n_embd, n_embd, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return y, of the shape of x (N, T, E)."""
        y: Tensor = self.c_proj(self.gelu(self.c_fc(x)))
        return y


class Block(nn.Module):
    """x <- x + attention(norm_1(x)), then x <- x + mlp(norm_2(x))."""

    def __init__(self, n_embd: int, n_head: int, *, dtype: torch.dtype) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(n_embd, dtype=dtype)
        self.attn = nn.MultiheadAttention(n_embd, n_head, batch_first=True, dtype=dtype)
        self.ln_2 = nn.LayerNorm(n_embd, dtype=dtype)
        self.mlp = MLP(n_embd, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return y, of the shape of x (N, T, E)."""
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)  # True is not seen
        n = self.ln_1(x)
        a, _ = self.attn(n, n, n, need_weights=False, attn_mask=later, is_causal=True)
        x = x + a
        y: Tensor = x + self.mlp(self.ln_2(x))
        return y


class GPT(nn.Module):
    """logits = lm_head(ln_f(block_L(... block_1(wte[token] + wpe[position])))), with lm_head's weight that of wte.

    Tokens have shape (N, T) with T up to `block_size`; logits (N, T, vocabulary).
    """

    def __init__(
        self,
        vocabulary: int,
        block_size: int,
        n_embd: int,
        n_head: int,
        n_layer: int,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocabulary, n_embd, dtype=dtype)
        self.wpe = nn.Embedding(block_size, n_embd, dtype=dtype)
        self.h = nn.ModuleList([Block(n_embd, n_head, dtype=dtype) for _ in range(n_layer)])
        self.ln_f = nn.LayerNorm(n_embd, dtype=dtype)
        self.lm_head = nn.Linear(n_embd, vocabulary, bias=False, dtype=dtype)
        self.lm_head.weight = self.wte.weight
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.ndim > 1:  # the norms' scales have one axis, and start at 1
                nn.init.normal_(parameter, 0.0, STD)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (N, T, vocabulary)."""
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.h:
            x = block(x)
        logits: Tensor = self.lm_head(self.ln_f(x))
        return logits
