"""What options are checked for: whole numbers, and numbers."""

import operator
from numbers import Real
from typing import Any

from manual.module import plain


def whole_numbers(who: str, least: int | None, count: int, **argument: Any) -> tuple[int, ...]:
    """Return the one argument, a number or a tuple of `count` numbers, as a tuple.

    Raises TypeError for what is no whole number, a bool or 2.0 too, and ValueError for one below `least`, or another
    count.
    """
    ((name, given),) = argument.items()
    given = plain(given)
    try:
        found = tuple(map(_whole, given if isinstance(given, tuple) else (given,) * count))
    except TypeError:
        accepted = "give one" if count == 1 else f"give one, or a tuple of {count}"
        raise TypeError(f"{who}: {name}={given!r} is no whole number; {accepted}") from None
    if len(found) != count:
        raise ValueError(f"{who}: {name}={given!r} has {len(found)} numbers; give one number, or {count}")
    if least is not None and any(n < least for n in found):
        raise ValueError(f"{who}: {name}={given!r} has a number below {least}; give {least} or above")
    return found


def whole_number(who: str, least: int | None, **argument: Any) -> int:
    """Return the one argument as an int; raise as `whole_numbers` does."""
    (number,) = whole_numbers(who, least, 1, **argument)
    return number


def real_number(who: str, **argument: Any) -> float:
    """Return the one argument, a number. Raises TypeError for what is none, such as None or a list."""
    ((name, given),) = argument.items()
    number: float = plain(given)
    if not isinstance(number, Real):
        raise TypeError(f"{who}: {name}={number!r} is no number; give one")
    return number


def _whole(number: Any) -> int:
    if isinstance(number, bool):
        raise TypeError
    return operator.index(number)
