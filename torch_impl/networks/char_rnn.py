"""A recurrent network that reads letters one by one and says at each which comes next."""

import torch
from torch import Tensor, nn

CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class CharRNN(nn.Module):
    """logits_t = W h_t + b, with h_t = cell(e[token_t], h_(t-1)) and h_0 = 0.

    `cell` is rnn (tanh), gru or lstm. Tokens have shape (N, T), logits (N, T, vocabulary).
    """

    def __init__(
        self,
        vocabulary: int,
        embedding_dim: int,
        hidden_size: int,
        cell: str = "gru",
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"CharRNN: cell is {cell!r}; use one of {', '.join(CELLS)}")
        self.embedding = nn.Embedding(vocabulary, embedding_dim, dtype=dtype)
        self.rnn = CELLS[cell](embedding_dim, hidden_size, batch_first=True, dtype=dtype)
        self.head = nn.Linear(hidden_size, vocabulary, dtype=dtype)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits (N, T, vocabulary)."""
        h, _ = self.rnn(self.embedding(tokens))
        logits: Tensor = self.head(h)
        return logits
