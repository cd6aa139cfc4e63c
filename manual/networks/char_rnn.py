"""A recurrent network that reads letters one by one and says at each which comes next."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.module import Array, Module
from manual.nn import GRU, LSTM, RNN, Embedding, Linear

CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class CharRNN(Module):
    """logits_t = W h_t + b, with h_t = cell(e[token_t], h_(t-1)) and h_0 = 0.

    e is the table of embeddings, one row a token. Backpropagation through time is the recurrent layer's own; here it
    stands between the head and the embeddings:

        dL/dh_t  = dL/dlogits_t W                      (the layer adds what comes back from t + 1)
        dL/de[k] = sum over all t with token_t = k of dL/d(input of the cell at t)

    `cell` is rnn (tanh), gru or lstm. Tokens have shape (N, T), logits (N, T, vocabulary).
    """

    def __init__(
        self,
        vocabulary: int,
        embedding_dim: int,
        hidden_size: int,
        cell: str = "gru",
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        if cell not in CELLS:
            raise ValueError(f"CharRNN: cell is {cell!r}; use one of {', '.join(CELLS)}")
        self.embedding = Embedding(vocabulary, embedding_dim, dtype=dtype, generator=generator)
        self.rnn: Module = CELLS[cell](embedding_dim, hidden_size, batch_first=True, dtype=dtype, generator=generator)
        self.head = Linear(hidden_size, vocabulary, dtype=dtype, generator=generator)

    def forward(self, tokens: Array) -> tuple[Array, tuple[Any, Any, Any]]:
        """Return logits (N, T, vocabulary) and what the three layers saved."""
        x, saved_embedding = self.embedding.forward(tokens)  # (N, T, E)
        (h, _), saved_rnn = self.rnn.forward(x)  # (N, T, H)
        logits, saved_head = self.head.forward(h)
        return logits, (saved_embedding, saved_rnn, saved_head)

    def backward(self, grad_output: Array, saved: tuple[Any, Any, Any], *, input_grad: bool = True) -> None:
        """Add to every parameter's gradient. Tokens have none, so that None is returned."""
        saved_embedding, saved_rnn, saved_head = saved
        grad_h: Any = self.head.backward(grad_output, saved_head)
        grad_x, _ = self.rnn.backward((grad_h, None), saved_rnn)  # nothing is made of the last state
        self.embedding.backward(grad_x, saved_embedding)
