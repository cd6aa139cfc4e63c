"""Names and text drawn character by character from a network, on draws that do not depend on the side."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Logits = Callable[[Array], Array]


class Writer(NamedTuple):
    """How tokens are read and written: the `characters` they stand for, and how long a sequence was in training.

    `windowed` says whether the network takes no longer sequence than that, as a GPT with its table of positions.
    A network is a function of tokens (N, T) that gives logits (N, T, vocabulary).
    """

    characters: tuple[str, ...]
    block: int
    windowed: bool

    def names(self, logits: Logits, count: int, seed: int, temperature: float = 1.0) -> list[str]:
        """Return `count` names drawn from softmax(logits / temperature), one letter after the other.

        A name begins with token 0 and ends at the next one, or is cut at the longest name of the training. Temperature
        1 draws as the network believes, towards 0 the likeliest letter is taken each time, above 1 it is more
        adventurous.
        """
        tokens = self._written(logits, np.zeros((count, 1), dtype=np.int64), self.block, seed, temperature)
        return [self.name(row) for row in tokens[:, 1:]]

    def text(
        self, logits: Logits, count: int, seed: int, length: int, start: str = "", temperature: float = 1.0
    ) -> list[str]:
        """Return `count` pieces of text, each the characters of `start` and `length` more that are drawn.

        The first character needs one to follow: without a start that is the end of a line where the text has lines,
        else a space, else the first of the vocabulary; it is not returned.
        """
        opening = start or next((c for c in "\n " if c in self.characters), self.characters[0])
        row = np.array([self.characters.index(character) for character in opening], dtype=np.int64)
        tokens = self._written(logits, np.tile(row, (count, 1)), length, seed, temperature)
        return [self._read(tokens[n, 0 if start else 1 :]) for n in range(count)]

    def name(self, tokens: Array) -> str:
        """Return the letters up to the first end, or as many as the longest name has."""
        ends = np.flatnonzero(tokens == 0)
        return self._read(tokens[: ends[0]] if len(ends) else tokens[: self.block - 1])

    def _read(self, tokens: Array) -> str:
        return "".join(self.characters[token] for token in tokens)

    def _written(self, logits: Logits, tokens: Array, length: int, seed: int, temperature: float) -> Array:
        """Return tokens (N, T + length): those given, and what is drawn after them.

        For every row and position there is one draw u in [0, 1), from default_rng([seed, 4]): the character is the
        first whose cumulated probability is above u. So two sides with the same weights write the same, unless u falls
        within their rounding of a boundary.
        """
        draws = np.random.default_rng([seed, 4]).random((len(tokens), length))
        for position in range(length):
            seen = tokens[:, -self.block :] if self.windowed else tokens
            scaled = logits(seen)[:, -1].astype(np.float64) / temperature  # (N, vocabulary)
            p = np.exp(scaled - scaled.max(axis=1, keepdims=True))
            cumulated = np.cumsum(p / p.sum(axis=1, keepdims=True), axis=1)
            # The last sum may fall short of 1 by rounding, and u lie above it: then it is the last character.
            following = np.minimum((cumulated <= draws[:, position, None]).sum(axis=1), p.shape[1] - 1)
            tokens = np.concatenate([tokens, following[:, None]], axis=1)
        return tokens
