"""A user's running text, or list of names, as sequences of characters."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from handgrad.data.source import file_digest
from handgrad.data.split import Shares, split, taken_apart
from handgrad.data.table import IGNORED, Data
from handgrad.data.utf8 import decoded
from handgrad.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]

MOST = 1024  # distinct characters; a network has a row of weights for each
LONGEST = 100  # characters of a name: every sequence is as long as the longest
END = "\n"  # token 0 of names: it begins and ends each, and no name can hold it


def read_text(path: Path, option: str) -> str:
    """Return a file's text, the ends of its lines as \\n; UsageError where it is empty or no UTF-8."""
    try:
        text = decoded(path).replace("\r\n", "\n").replace("\r", "\n")
    except OSError as error:
        raise UsageError(f"{option} {path} cannot be read ({error.strerror}); name a file that can") from None
    if not text.strip():
        raise UsageError(f"{option} {path} is empty; a network learns from the characters in it")
    return text


def running_text(path: Path, block: int, shares: Shares) -> Data:
    """Return a text cut into sequences (N, block) of characters, each with the character that follows as its target.

    The characters of the text, in order, are the vocabulary. The sequences do not overlap; what is left over at the
    end is left out. Raises UsageError for a text shorter than two sequences, of a single character, or of too many.
    """
    text = read_text(path, "--text")
    characters = _vocabulary(path, text)
    if len(text) < 2 * block:
        raise UsageError(
            f"--text {path} has {len(text)} characters, less than two of {block}; give more, or a smaller --block"
        )
    tokens = _tokens(text, characters)
    count = (len(tokens) - 1) // block
    inputs, targets = (tokens[start : start + count * block].reshape(count, block) for start in (0, 1))
    return _sequences(path, "text", inputs, targets, "character", characters, shares)


def name_list(path: Path, shares: Shares) -> Data:
    """Return names, one a line, as sequences (N, T) of letters: "ann" is given as 0 a n n and should say a n n 0.

    T is one more than the longest name has letters. Behind the end the tokens are 0 and the targets IGNORED, as
    names.py has it. Raises UsageError for what `read_names` refuses, for a single letter, and for too many.
    """
    names = read_names(path)
    characters = (END, *_vocabulary(path, "".join(names)))
    length = max(map(len, names)) + 1
    inputs = np.zeros((len(names), length), dtype=np.int64)
    targets = np.full((len(names), length), IGNORED, dtype=np.int64)
    for row, name in enumerate(names):
        tokens = _tokens(name, characters)
        inputs[row, 1 : len(name) + 1] = tokens
        targets[row, : len(name) + 1] = [*tokens, 0]
    return _sequences(path, "names", inputs, targets, "letter", characters, shares)


def read_names(path: Path) -> list[str]:
    """Return the names in a file, one a line; white space around a name does not count.

    Raises UsageError for an empty line between names, and for a name that is too long.
    """
    lines = read_text(path, "--names").rstrip().split("\n")
    names = [line.strip() for line in lines]
    for number, name in enumerate(names, 1):
        if not name:
            raise UsageError(f"{path}, line {number}: found no name; only the end of the file may have empty lines")
        if len(name) > LONGEST:
            raise UsageError(
                f"{path}, line {number}: the name {name[:20]!r}... has {len(name)} letters, of at most {LONGEST}; "
                "--text reads running text"
            )
    return names


def _vocabulary(path: Path, text: str) -> tuple[str, ...]:
    found = tuple(sorted(set(text)))
    if len(found) < 2:
        raise UsageError(f"{path} has a single character, {found[0]!r}, again and again; there is nothing to learn")
    if len(found) >= MOST:
        raise UsageError(f"{path} has {len(found):,} different characters; fewer than {MOST:,} can be learnt")
    return found


def _tokens(text: str, characters: Sequence[str]) -> Array:
    places = {character: place for place, character in enumerate(characters)}
    return np.array([places[character] for character in text], dtype=np.int64)


def _sequences(
    path: Path, kind: str, inputs: Array, targets: Array, feature: str, characters: tuple[str, ...], shares: Shares
) -> Data:
    source = {"kind": kind, "path": str(path.absolute()), "sha256": file_digest(path), "block": inputs.shape[1]}
    data = Data(inputs, targets, (feature,), classes=characters, source={**source, **shares._asdict()})
    return taken_apart(data, split(len(inputs), shares, str(path)))
