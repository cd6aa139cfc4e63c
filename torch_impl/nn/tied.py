"""Weight tying."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class TiedEmbedding(nn.Module):
    """One table that is looked up by `encode` and multiplied with by `decode`."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, std: float = 0.02, *, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_embeddings, embedding_dim, dtype=dtype))
        nn.init.normal_(self.weight, 0.0, std)

    def encode(self, input: Tensor) -> Tensor:
        """Return the rows (*, embedding_dim) of the indices (*)."""
        return functional.embedding(input, self.weight)

    def decode(self, hidden: Tensor) -> Tensor:
        """Return the logits (..., num_embeddings) of hidden (..., embedding_dim)."""
        return functional.linear(hidden, self.weight)

    def forward(self, input: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return `encode(input)` and `decode(hidden)`."""
        return self.encode(input), self.decode(hidden)
