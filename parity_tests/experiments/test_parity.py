"""Every experiment on both sides: in lockstep within the rule at every step, and together at the end."""

from dataclasses import replace

import numpy as np
import pytest

from handgrad import experiments
from handgrad.comparison import compare

# adults, with its thousands of steps, has a file of its own, and so have those on images and names.
TRAINED = [
    name
    for name in experiments.names()
    if experiments.get(name).kind != "forward" and experiments.get(name).layered and name != "adults"
]
PUBLISHED = [name for name in TRAINED if experiments.get(name).published]
LONG = {name for name in TRAINED if experiments.get(name).epochs > 1000}
SHORT = 250  # epochs of the long ones in the quick run; the slow run takes all of them


def shortened(experiment):
    return replace(experiment, epochs=min(experiment.epochs, SHORT))


@pytest.mark.parametrize("name", TRAINED)
def test_every_step(name, dtype, device):
    comparison = compare(shortened(replace(experiments.get(name), dtype=dtype)), device)
    assert comparison.lockstep.failure is None
    assert comparison.ok
    assert comparison.lockstep.largest_ratio < 1  # measured: 0.7 at most, with ALLOWED = 4


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_step_of_the_published_rule(name, dtype, device):
    comparison = compare(shortened(replace(experiments.get(name).as_published(), dtype=dtype)), device)
    assert comparison.lockstep.failure is None
    assert comparison.ok


@pytest.mark.parametrize("name", ["neuron", "neuron_network"])
def test_forward_only(name, dtype, device):
    comparison = compare(replace(experiments.get(name), dtype=dtype), device)
    assert comparison.ok
    assert comparison.lockstep.steps == 0


@pytest.mark.parametrize("sizes", [(2, 5, 1), (2, 7, 3, 1), (2, 1, 1), (2, 1), (2, 40, 20, 1)], ids=str)
def test_layered_of_any_sizes(sizes, dtype, device):
    """(2, 40, 20, 1) has 961 parameters: there the truth is computed at every hundredth step only."""
    comparison = compare(replace(experiments.get("layered").resized(sizes), dtype=dtype, epochs=120), device)
    assert comparison.lockstep.failure is None
    assert comparison.ok


@pytest.mark.parametrize("order", ["fixed", "shuffle", "replacement"])
@pytest.mark.parametrize("inputs", ["shift", "mean", "raw"])
def test_people_in_every_order_and_unit(order, inputs, device):
    experiment = replace(experiments.get("people").with_inputs(inputs), order=order, epochs=60, seed=3)
    assert compare(experiment, device).ok


@pytest.mark.parametrize("rate", [1e-4, 1.0, 100.0])
@pytest.mark.parametrize("name", ["people", "or_gate"])
def test_far_from_the_usual_rate(name, rate, dtype, device):
    """At 100 both saturate: the sigmoid's derivative has lost its digits, and that is no mistake."""
    experiment = replace(experiments.get(name), lr=rate, epochs=100, dtype=dtype)
    comparison = compare(experiment, device)
    assert comparison.lockstep.failure is None


@pytest.mark.parametrize("name", sorted(set(TRAINED) - LONG))
def test_free_runs_end_together(name, device):
    """To 5e-14 in every parameter, float64, after the whole training."""
    comparison = compare(experiments.get(name), device)
    assert comparison.apart <= 5e-14
    for key, value in comparison.final_autograd.items():
        np.testing.assert_allclose(comparison.final_hand[key], value, rtol=0, atol=5e-14)


@pytest.mark.slow
@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("name", sorted(LONG))
def test_long_trainings_whole(name, published, device):
    """Every step of every long training, and its end: the two of 200,000 steps among them."""
    experiment = experiments.get(name)
    if published and not experiment.published:
        pytest.skip(f"{name} has no published rule")
    comparison = compare(experiment.as_published() if published else experiment, device)
    assert comparison.lockstep.failure is None
    # To 5e-14 in every parameter; for xor_hidden, whose long plateau amplifies rounding a hundredfold, to 5e-14 of
    # the largest, 15.8: measured 1.2e-13 (with another, equally right form of the sigmoid 1.6e-13).
    largest = max(np.abs(value).max() for value in comparison.final_autograd.values())
    assert comparison.apart <= 5e-14 * (largest if name == "xor_hidden" else 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(name for name in LONG if not experiments.get(name).slow))
def test_long_trainings_whole_in_float32(name, device):
    assert compare(replace(experiments.get(name), dtype="float32"), device).ok
