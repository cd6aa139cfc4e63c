"""Names drawn letter by letter from a network of either side, on draws that do not depend on the side."""

from collections.abc import Callable
from typing import Any

import numpy as np

from handgrad.data.names import LENGTH, decode

Array = np.ndarray[Any, np.dtype[Any]]


def sample(logits: Callable[[Array], Array], count: int, seed: int, temperature: float = 1.0) -> list[str]:
    """Return `count` names drawn from softmax(logits / temperature), one letter after the other.

    `logits` is a side's forward, tokens (N, T) to logits (N, T, vocabulary). For every name and position there is
    one draw u in [0, 1), from default_rng([seed, 4]): the letter is the first whose cumulated probability is above u.
    So two sides with the same weights write the same names, unless u falls within their rounding of a boundary.

    A name ends at the first token 0, or is cut at the longest name of the training. Temperature 1 draws as the
    network believes, towards 0 the likeliest letter is taken each time, above 1 it is more adventurous.
    """
    draws = np.random.default_rng([seed, 4]).random((count, LENGTH))
    tokens = np.zeros((count, 1), dtype=np.int64)
    for position in range(LENGTH):
        scaled = logits(tokens)[:, -1].astype(np.float64) / temperature  # (count, vocabulary)
        p = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        cumulated = np.cumsum(p / p.sum(axis=1, keepdims=True), axis=1)
        # The last sum may fall short of 1 by rounding, and u lie above it: then it is the last letter.
        following = np.minimum((cumulated <= draws[:, position, None]).sum(axis=1), p.shape[1] - 1)
        tokens = np.concatenate([tokens, following[:, None]], axis=1)
    return [_name(row) for row in tokens[:, 1:]]


def _name(tokens: Array) -> str:
    ends = np.flatnonzero(tokens == 0)
    return decode(tokens[: ends[0]] if len(ends) else tokens[: LENGTH - 1])
