"""The rule itself, number by number."""

import numpy as np
import pytest

from handgrad.judging import ALLOWED, judge

INF, NAN = np.inf, np.nan


def good(hand, autograd, truth, unit=1.0):
    arrays = [np.array([float(value)]) for value in (hand, autograd)]
    return bool(judge(*arrays, None if truth is None else np.array([float(truth)]), np.array([float(unit)])).good[0])


@pytest.mark.parametrize(
    ("hand", "autograd", "truth", "expected"),
    [
        (103.9, 100, 100, True),  # below four units
        (104.1, 100, 100, False),
        (96.1, 100, 100, True),
        (95.9, 100, 100, False),
        (112, 103, 100, True),  # four times autograd's own error
        (112.1, 103, 100, False),
        (100, 104.1, 100, False),  # autograd is far from the truth: another function
        (107.9, 100, None, True),  # without a truth, twice four units between the sides
        (108.1, 100, None, False),
        (100, 100, 500, True),  # exactly alike
        (NAN, 100, 100, False),
        (100, NAN, 100, False),
        (NAN, NAN, 100, True),
        (NAN, NAN, None, True),
        (NAN, 100, None, False),
        (INF, INF, 100, True),
        (INF, -INF, 100, False),
        (INF, -INF, None, False),
        (INF, 100, 100, False),
        (100, INF, 100, False),  # an infinity on the other side excuses nothing
        (100, INF, None, False),
        (100, 100.5, NAN, True),  # a truth that is not finite is none
        (100, 109, INF, False),
        (0, 0, 0, True),
    ],
)
def test_rule(hand, autograd, truth, expected):
    assert ALLOWED == 4.0
    assert good(hand, autograd, truth) is expected


@pytest.mark.parametrize("unit", [0.0, INF, NAN])
def test_a_unit_that_is_no_number_excuses_nothing(unit):
    assert not good(1.0, 2.0, 1.5, unit)
    assert not good(1.0, 2.0, None, unit)
    assert good(1.0, 1.0, 1.0, unit)


def test_what_is_measured():
    found = judge(np.array([3.0, 5.0, NAN]), np.array([2.0, 5.0, NAN]), np.array([1.0, 4.0, 0.0]), np.full(3, 0.5))
    assert found.difference.tolist() == [1.0, 0.0, 0.0]
    assert found.units.tolist() == [2.0, 0.0, 0.0]
    assert found.error[:2].tolist() == [2.0, 1.0]
    assert found.other[:2].tolist() == [1.0, 1.0]
    assert found.allowed[:2].tolist() == [4.0, 4.0]
    assert found.ratio.tolist() == [2.0, 1.0, 0.0]


def test_units_of_zero_scale():
    found = judge(np.array([1.0, 0.0]), np.array([2.0, 0.0]), None, np.zeros(2))
    assert found.units.tolist() == [INF, 0.0]
