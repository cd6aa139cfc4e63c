"""The order of the samples: drawn once, and taken up again at any step."""

from dataclasses import replace

import numpy as np
import pytest

from handgrad import experiments
from handgrad.loop import Order, run

SAMPLES = 7


def experiment(order, size):
    return replace(experiments.get("people"), order=order, batch_size=size, epochs=4, seed=3)


def rows_of(order, count):
    return [order.next() for _ in range(count)]


def test_a_shuffle_is_a_permutation_an_epoch_from_one_generator():
    random = np.random.default_rng([3, 1])
    wanted = [random.permutation(SAMPLES) for _ in range(4)]
    found = rows_of(Order(experiment("shuffle", 3), SAMPLES), 12)
    np.testing.assert_array_equal(np.concatenate([batch.rows for batch in found]), np.concatenate(wanted))
    assert [len(batch.rows) for batch in found[:3]] == [3, 3, 1]
    assert [(b.epoch, b.first, b.last) for b in found[2:5]] == [(0, False, True), (1, True, False), (1, False, False)]


@pytest.mark.parametrize("order", ["fixed", "shuffle", "replacement"])
@pytest.mark.parametrize("size", [3, 7, None])
@pytest.mark.parametrize("peeking", [False, True])
def test_it_goes_on_from_any_step(order, size, peeking):
    asked = experiment(order, size)
    whole = [batch.rows.tolist() for batch in rows_of(Order(asked, SAMPLES), 12)]
    for taken in range(12):
        first = Order(asked, SAMPLES)
        rows_of(first, taken)
        if peeking:
            assert first.peek().tolist() == whole[taken]
        second = Order(asked, SAMPLES)
        second.restore(first.state())
        assert second.step == taken
        assert [batch.rows.tolist() for batch in rows_of(second, 12 - taken)] == whole[taken:]


@pytest.mark.parametrize("order", ["fixed", "shuffle", "replacement"])
def test_the_loop_of_a_comparison_takes_the_same(order):
    asked = experiment(order, 3)
    found: list[list[int]] = []
    run(asked, SAMPLES, lambda rows: found.append(rows.tolist()), lambda epoch: None)
    assert found == [batch.rows.tolist() for batch in rows_of(Order(asked, SAMPLES), 12)]
