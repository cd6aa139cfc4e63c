"""Samples taken apart: every one in one part, by the seed alone, and no part that was asked for is empty."""

import numpy as np
import pytest

from handgrad.data import Data
from handgrad.data.source import fingerprint, recorded
from handgrad.data.split import Shares, split, taken_apart, validated
from handgrad.errors import UsageError


def table(count, **more):
    inputs = np.arange(2.0 * count).reshape(count, 2)
    return Data(inputs, inputs[:, :1] % 3, ("a", "b"), rows=tuple(map(str, range(count))), **more)


@pytest.mark.parametrize("count", [7, 10, 101])
def test_every_row_is_in_one_part(count):
    rows = split(count, Shares(0.2, 0.3, 4), "f")
    assert sorted(np.concatenate(rows)) == list(range(count))
    assert [len(part) for part in rows[1:]] == [round(0.2 * count), round(0.3 * count)]
    assert all((np.diff(part) > 0).all() for part in rows)


def test_the_draw_is_the_seeds():
    """Also in numbers: a run that is repeated years later has to get the same parts."""
    rows = split(10, Shares(0.2, 0.3, 7), "f")
    drawn = np.random.default_rng([7, 5]).permutation(10).tolist()
    assert rows.validation.tolist() == sorted(drawn[:2])
    assert rows.test.tolist() == sorted(drawn[2:5])
    assert rows.test.tolist() != split(10, Shares(0.2, 0.3, 8), "f").test.tolist()


def test_the_same_rows_validate_whatever_is_to_test():
    assert (
        split(50, Shares(0.2, 0, 1), "f").validation.tolist() == split(50, Shares(0.2, 0.4, 1), "f").validation.tolist()
    )


def test_inputs_and_targets_go_together():
    data = taken_apart(table(40), split(40, Shares(0.25, 0.1, 0), "f"))
    assert [len(x) for x, _ in data.parts.values()] == [26, 10, 4]
    for inputs, targets in data.parts.values():
        np.testing.assert_array_equal(inputs[:, :1] % 3, targets)
    assert [float(name) * 2 for name in data.rows] == data.inputs[:, 0].tolist()


def test_no_share_no_part():
    data = taken_apart(table(4), split(4, Shares(0, 0, 0), "f"))
    assert list(data.parts) == ["train"]
    np.testing.assert_array_equal(data.inputs, table(4).inputs)


@pytest.mark.parametrize(
    ("count", "shares", "says"),
    [
        (4, Shares(0.1, 0, 0), "f: a share of 0.1 of 4 is none; give --validation a larger one, or 0"),
        (4, Shares(0, 0.1, 0), "give --test a larger one"),
        (4, Shares(0.5, 0.5, 0), "leave none of 4 to train on"),
        (1, Shares(0.9, 0, 0), "leave none of 1 to train on"),
    ],
)
def test_an_empty_part_is_refused(count, shares, says):
    with pytest.raises(UsageError, match=says):
        split(count, shares, "f")


def test_what_is_to_test_stays_when_some_are_to_validate():
    whole = table(20, test_inputs=np.ones((3, 2)), test_targets=np.ones((3, 1)))
    data = validated(whole, 0.25, 3, "f")
    assert [len(x) for x, _ in data.parts.values()] == [15, 5, 3]
    assert data.source == {"validation": 0.25, "seed": 3}
    np.testing.assert_array_equal(data.test_inputs, whole.test_inputs)


def test_the_record_of_samples_that_come_with_the_project():
    data = validated(table(20), 0.25, 3, "f")
    assert recorded(data) == {"kind": "packaged", "sha256": fingerprint(data), "validation": 0.25, "seed": 3}


def test_a_fingerprint_sees_one_bit_a_shape_and_a_part():
    changed = table(6)
    changed.targets[5, 0] = np.nextafter(changed.targets[5, 0], 9)
    turned = Data(table(6).inputs.reshape(4, 3), table(6).targets, ("a",))
    others = [table(6), changed, turned, taken_apart(table(6), split(6, Shares(0.5, 0, 0), "f"))]
    assert len({fingerprint(data) for data in others}) == 4
