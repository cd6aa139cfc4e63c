"""Samples taken apart by a seed: to train, to validate, to test."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from handgrad.data.table import Data
from handgrad.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]


class Shares(NamedTuple):
    """Which shares of the samples are held out, and the seed that says which ones."""

    validation: float
    test: float
    seed: int


class Rows(NamedTuple):
    """The row numbers of each part, in rising order."""

    train: Array
    validation: Array
    test: Array


def split(count: int, shares: Shares, what: str) -> Rows:
    """Return which of `count` samples each part has, drawn by default_rng([seed, 5]); `what` names them in errors.

    The first of the permutation are to validate, the next to test. Raises UsageError where a part that has a share
    would be empty.
    """
    drawn = np.random.default_rng([shares.seed, 5]).permutation(count)
    validation, test = (round(count * share) for share in (shares.validation, shares.test))
    for option, share, size in (("validation", shares.validation, validation), ("test", shares.test, test)):
        if share and not size:
            raise UsageError(
                f"{what}: a share of {share:g} of {count} is none; give --{option} a larger one, or 0 for no such part"
            )
    if validation + test >= count:
        taken = f"--validation {shares.validation:g} and --test {shares.test:g}"
        raise UsageError(f"{what}: {taken} leave none of {count} to train on; give smaller shares")
    ends = (validation, validation + test)
    return Rows(np.sort(drawn[ends[1] :]), np.sort(drawn[: ends[0]]), np.sort(drawn[ends[0] : ends[1]]))


def taken_apart(data: Data, rows: Rows) -> Data:
    """Return samples that are all to train on in three parts."""
    parts: dict[str, Any] = {}
    for name, chosen in (("validation", rows.validation), ("test", rows.test)):
        if len(chosen):
            parts |= {f"{name}_inputs": data.inputs[chosen], f"{name}_targets": data.targets[chosen]}
    names = tuple(data.rows[row] for row in rows.train) if data.rows else ()
    return replace(data, inputs=data.inputs[rows.train], targets=data.targets[rows.train], rows=names, **parts)


def validated(data: Data, share: float, seed: int, what: str) -> Data:
    """Return samples with a share of those to train on held out to validate; what is to test stays as it is."""
    taken = taken_apart(data, split(len(data.inputs), Shares(share, 0.0, seed), what))
    return replace(taken, source={**(data.source or {}), "validation": share, "seed": seed})
