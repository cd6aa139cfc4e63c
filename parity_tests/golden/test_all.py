"""No number stands in numbers.json without a test that reads it."""

from parity_tests.golden import test_csdn, test_part1, test_zhou
from parity_tests.golden.golden import NUMBERS


def test_every_number_has_a_test_file():
    tested = test_csdn.TESTED | test_part1.TESTED | test_zhou.TESTED
    assert tested == set(NUMBERS)
