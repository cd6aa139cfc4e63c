"""Tables of options: each alone, and every two together."""

from itertools import combinations
from typing import Any

Options = dict[str, Any]


def pairs(**values: list[Any]) -> list[Options]:
    """Return the default, every value of every option alone, and every two values of two options."""
    single = [{name: value} for name, each in values.items() for value in each]
    double = [a | b for a, b in combinations(single, 2) if a.keys() != b.keys()]
    return [{}, *single, *double]


def name(options: Any) -> str:
    """Return the id of a test."""
    return ",".join(f"{key}={value}" for key, value in options.items()) if isinstance(options, dict) else str(options)
