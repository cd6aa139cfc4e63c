"""The rule by which two computations of the same numbers are compared.

The hand-written error, against a truth from neither backward under test, may be ALLOWED times autograd's own
error, or ALLOWED roundings of the number's scale, whichever is more. NaN agrees with NaN alone, an infinity
with the same infinity alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

# Where every rounding is known in closed form, in the tutorials' networks: over every step of every experiment, in both
# dtypes, never above 0.7.
ALLOWED = 4.0
# Where one rounding is measured by noise, in networks of any modules: over some hundred trainings never above 3.8.
ALLOWED_OF_NOISE = 8.0


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the rule finds, entry by entry, in arrays of one shape.

    `difference` is |hand - autograd| and `units` the same in roundings. `error` is the hand-written error
    against the truth, `other` autograd's, `allowed` what the first may be, `good` whether it is. `ratio` is
    error / max(other, one rounding), 0 where there is no truth.
    """

    difference: Array
    units: Array
    error: Array
    other: Array
    allowed: Array
    good: Array
    ratio: Array


def judge(hand: Array, autograd: Array, truth: Array | None, unit: Array, allowed_units: float = ALLOWED) -> Judgement:
    """Judge `hand` against `autograd`; `unit` is one rounding of each entry, eps * scale.

    Autograd has to be near the truth as well. Where the truth comes from the hand-written forward, one that
    autograd is far from means that the two forwards are different functions; where it comes from autograd in
    more digits, that these digits were lost for another reason than rounding.

    Where `truth` is None or not finite the two sides are held against each other, at twice what each may err.
    """
    alike = (hand == autograd) | (np.isnan(hand) & np.isnan(autograd))
    finite = np.isfinite(hand) & np.isfinite(autograd) & np.isfinite(unit)
    with np.errstate(invalid="ignore"):
        difference = np.where(alike, 0.0, np.abs(hand - autograd))
    units = np.where(alike, 0.0, _quotient(difference, unit))
    reference = np.full(hand.shape, np.nan) if truth is None else truth
    known = np.isfinite(reference) & finite
    with np.errstate(invalid="ignore"):
        error = np.where(known, np.abs(hand - reference), difference).astype(np.float64)
        other = np.where(known, np.abs(autograd - reference), 0.0).astype(np.float64)
    allowed = allowed_units * np.where(known, np.maximum(other, unit), 2 * unit)
    # Sides that are exactly alike cannot be two functions, even where the first order of `unit` is too small.
    good = alike | (finite & (error <= allowed) & (~known | (other <= allowed_units * unit)))
    ratio = np.where(known, _quotient(error, np.maximum(other, unit)), 0.0)
    return Judgement(difference, units, error, other, allowed, good, ratio)


def _quotient(error: Array, by: Array) -> Array:
    """error / by, with 0 / 0 = 0; whatever is no number counts as infinitely wrong."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        found = np.where(error == 0, 0.0, error / by)
    return np.where(np.isnan(found), np.inf, found)
