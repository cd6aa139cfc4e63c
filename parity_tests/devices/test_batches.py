"""Rows that are brought to a device: the right ones, in the right order, whether they were expected or not."""

import numpy as np
import pytest
import torch

from torch_impl.batches import Batches

RANDOM = np.random.default_rng(3)
FLOATS = RANDOM.normal(size=(11, 3))
TARGETS = RANDOM.normal(size=(11, 1))
TOKENS = RANDOM.integers(0, 9, (11, 4))
CLASSES = RANDOM.integers(0, 5, 11)
ROWS = np.array([7, 0, 10, 7])


def taken(batches, rows):
    """Return the rows' inputs and targets as arrays, after checking that they lie on the device."""
    pair = batches.take(rows)
    assert {tensor.device.type for tensor in pair} == {batches.device.type}
    return [tensor.cpu().numpy() for tensor in pair]


@pytest.mark.parametrize(
    "expected", [None, ROWS, ROWS[::-1].copy(), ROWS[:2]], ids=["none", "these", "turned", "fewer"]
)
@pytest.mark.parametrize(("inputs", "targets"), [(FLOATS, TARGETS), (TOKENS, TOKENS), (FLOATS, CLASSES)])
def test_rows(inputs, targets, expected, dtype, device):
    """A row may come twice; floats take the dtype, tokens and classes keep theirs."""
    batches = Batches(inputs, targets, getattr(torch, dtype), device)
    if expected is not None:
        batches.expect(expected)
    for found, whole in zip(taken(batches, ROWS), (inputs, targets), strict=True):
        wanted = whole[ROWS].astype(dtype if whole.dtype.kind == "f" else whole.dtype)
        assert found.dtype == wanted.dtype
        assert np.array_equal(found, wanted)


def test_an_epoch_and_its_last_batch(device):
    """Each batch is taken, and the next one is expected while it is worked on; the last has 2 rows of 11."""
    batches = Batches(FLOATS, CLASSES, torch.float64, device)
    order = np.random.default_rng(1).permutation(11)
    parts = [order[:3], order[3:6], order[6:9], order[9:]]
    found = []
    for rows, following in zip(parts, [*parts[1:], None], strict=True):
        found.append(taken(batches, rows))
        if following is not None:
            batches.expect(following)
    for k, whole in enumerate((FLOATS, CLASSES)):
        assert np.array_equal(np.concatenate([pair[k] for pair in found]), whole[order])


def test_expected_rows_that_change_afterwards_are_no_longer_those(device):
    """A loop may write the next batch's rows into the same array."""
    batches, rows = Batches(FLOATS, CLASSES, torch.float64, device), np.array([1, 2])
    batches.expect(rows)
    rows += 1
    assert np.array_equal(taken(batches, rows)[0], FLOATS[2:4])


def test_a_batch_is_given_once(device):
    """What was taken may be changed by whoever has it; the same rows asked for again come anew."""
    batches = Batches(FLOATS, CLASSES, torch.float64, device)
    batches.expect(ROWS)
    batches.take(ROWS)[0].zero_()
    assert np.array_equal(taken(batches, ROWS)[0], FLOATS[ROWS])


def test_no_memory_is_shared_with_the_arrays():
    inputs = FLOATS.copy()
    batches = Batches(inputs, CLASSES, torch.float64, "cpu")
    inputs[:] = 0
    assert np.array_equal(taken(batches, ROWS)[0], FLOATS[ROWS])


def test_replaced_samples(device):
    batches = Batches(FLOATS, CLASSES, torch.float64, device)
    batches.expect(ROWS)
    assert np.array_equal(batches.whole[0].cpu().numpy(), FLOATS)
    batches.replace(2 * batches.whole[0], batches.targets)
    assert np.array_equal(taken(batches, ROWS)[0], 2 * FLOATS[ROWS])
    assert np.array_equal(batches.whole[0].cpu().numpy(), 2 * FLOATS)
    assert np.array_equal(taken(batches, ROWS)[1], CLASSES[ROWS])
