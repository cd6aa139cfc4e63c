"""Numbers that a user types: plain ASCII decimals, and nothing that would have to be guessed."""

import argparse
import ast
import csv
import math
import re
from typing import Any

# float() alone would also take 1_000, nan, inf and other scripts' digits.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WHOLE = re.compile(r"\d{1,18}", re.ASCII)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 30 else text[:27] + "...")


def positive_int(text: str) -> int:
    """Parse a whole number above 0."""
    if not WHOLE.fullmatch(text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{_shown(text)} is not a whole number above 0")
    return int(text)


def seed(text: str) -> int:
    """Parse a seed, a whole number that numpy's RandomState takes."""
    if not WHOLE.fullmatch(text) or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{_shown(text)} is not a whole number from 0 to {2**32 - 1}")
    return int(text)


def number(text: str) -> float:
    """Parse a finite number."""
    if not NUMBER.fullmatch(text.strip()) or not math.isfinite(float(text)):
        raise argparse.ArgumentTypeError(f"{_shown(text)} is not a finite number")
    return float(text)


def rate(text: str) -> float:
    """Parse a learning rate, a finite number above 0."""
    if (value := number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{_shown(text)} is not a number above 0")
    return value


def share(text: str) -> float:
    """Parse a share of the samples, from 0 to below 1."""
    if not 0 <= (value := number(text)) < 1:
        raise argparse.ArgumentTypeError(f"{_shown(text)} is not a share from 0 to below 1, such as 0.1")
    return value


def names(text: str) -> tuple[str, ...]:
    """Parse names with commas between; one that holds a comma is quoted, as in a CSV file."""
    found = tuple(name.strip() for name in next(csv.reader([text], skipinitialspace=True), []))
    if not found or not all(found):
        raise argparse.ArgumentTypeError(f"{_shown(text)} is no list of names with commas between, such as a,b")
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"{_shown(text)} has a name twice")
    return found


def sizes(text: str) -> tuple[int, ...]:
    """Parse layer sizes, whole numbers above 0 with commas between."""
    return tuple(positive_int(part.strip()) for part in text.split(","))


def rule(text: str) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """Parse a name with options, written as in Python: Adam, or Adam(betas=(0.9, 0.99), amsgrad=True)."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        call = tree if isinstance(tree, ast.Call) else ast.Call(tree, [], [])
        if not isinstance(call.func, ast.Name) or call.args or any(option.arg is None for option in call.keywords):
            raise ValueError
        if len({option.arg for option in call.keywords}) < len(call.keywords):
            raise argparse.ArgumentTypeError(f"{_shown(text)} has an option twice")
        return call.func.id, tuple((str(option.arg), ast.literal_eval(option.value)) for option in call.keywords)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise argparse.ArgumentTypeError(f"{_shown(text)} is not written as in 'Adam(betas=(0.9, 0.99))'") from None
