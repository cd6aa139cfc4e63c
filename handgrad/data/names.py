"""First names of the US Census of 1990 as sequences of letters; names.md tells where they are from."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from handgrad.data.table import IGNORED, Data

Array = np.ndarray[Any, np.dtype[Any]]

# Token 0 begins a name and ends it; the letters follow.
ALPHABET = ".abcdefghijklmnopqrstuvwxyz"
LONGEST = 11  # letters of the longest name
LENGTH = LONGEST + 1  # positions of a sequence: one more, for the end
HELD_OUT = 10  # every so many names, after shuffling, are held out


def read() -> list[str]:
    """Return the 5,163 names, in alphabetical order."""
    return files("handgrad.data").joinpath("names.txt").read_text(encoding="ascii").split()


def encode(names: Sequence[str]) -> tuple[Array, Array]:
    """Return tokens (N, 12) and the token that follows each, (N, 12).

    "ann" is given as . a n n and should say a n n . for it. Behind the end the tokens are 0 and the targets IGNORED:
    causal networks give the positions before the same, whatever stands there.
    """
    inputs = np.zeros((len(names), LENGTH), dtype=np.int64)
    targets = np.full((len(names), LENGTH), IGNORED, dtype=np.int64)
    for row, name in enumerate(names):
        tokens = [ALPHABET.index(letter) for letter in name]
        inputs[row, 1 : len(tokens) + 1] = tokens
        targets[row, : len(tokens) + 1] = [*tokens, 0]
    return inputs, targets


def decode(tokens: Iterable[int]) -> str:
    """Return the letters that tokens stand for."""
    return "".join(ALPHABET[token] for token in tokens)


def census() -> Data:
    """Return the names, shuffled once (seed 0): nine of ten to train on, one of ten held out."""
    names = read()
    shuffled = [names[i] for i in np.random.default_rng(0).permutation(len(names))]
    inputs, targets = encode([name for i, name in enumerate(shuffled) if i % HELD_OUT])
    test_inputs, test_targets = encode(shuffled[::HELD_OUT])
    return Data(
        inputs=inputs,
        targets=targets,
        features=("letter",),
        test_inputs=test_inputs,
        test_targets=test_targets,
        classes=tuple(ALPHABET),
    )
