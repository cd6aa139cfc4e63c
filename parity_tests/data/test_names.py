"""The names of the Census, and how they become tokens."""

import numpy as np

from handgrad.data import IGNORED
from handgrad.data.names import ALPHABET, LENGTH, LONGEST, census, decode, encode, read


def test_the_file_is_what_its_page_says():
    names = read()
    assert len(names) == len(set(names)) == 5163
    assert names == sorted(names)
    assert set("".join(names)) == set("abcdefghijklmnopqrstuvwxyz")
    assert max(map(len, names)) == LONGEST == 11
    assert sum(len(name) + 1 for name in names) == 36_122
    assert {"mary", "james", "zulma"} <= set(names)


def test_every_letter_is_the_target_of_the_one_before():
    inputs, targets = encode(["ann", "christopher"])
    assert inputs.shape == targets.shape == (2, LENGTH)
    assert decode(inputs[0]) == ".ann........"
    assert decode(targets[0][:4]) == "ann."
    assert (targets[0][4:] == IGNORED).all()
    assert decode(inputs[1]) == ".christopher"
    assert decode(targets[1]) == "christopher."
    for row in range(2):
        counted = targets[row] != IGNORED
        assert (inputs[row][1:][counted[1:]] == targets[row][:-1][counted[1:]]).all()


def test_nothing_that_is_held_out_is_trained_on():
    data = census()
    rows, held = ({decode(t[t != IGNORED]) for t in part} for part in (data.targets, data.test_targets))
    assert not rows & held
    assert {name.removesuffix(".") for name in rows | held} == set(read())
    assert (len(rows), len(held)) == (4646, 517)
    assert data.inputs.dtype == data.targets.dtype == np.int64
    assert data.classes == tuple(ALPHABET)


def test_the_same_names_every_time():
    first, second = census(), census()
    assert np.array_equal(first.inputs, second.inputs)
    assert np.array_equal(first.test_targets, second.test_targets)
