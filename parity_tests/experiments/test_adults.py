"""The tutorial's network on real people: in parity at every step, and as good as a straight line."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from handgrad.comparison import Comparison, compare
from handgrad.experiments import adults, get
from handgrad.lockstep import Failure
from handgrad.metrics import accuracy

EXPERIMENT = get("adults")


@pytest.fixture(scope="module")
def standard() -> Comparison:
    """The whole experiment as it stands, both sides."""
    return compare(EXPERIMENT)


@pytest.fixture(scope="module")
def shift() -> Comparison:
    """The whole experiment on the tutorial's shifted inputs."""
    return compare(EXPERIMENT.with_inputs("shift"))


@pytest.fixture(scope="module")
def remarks(shift: Comparison) -> str:
    """What the experiment has to say after the run on shifted inputs."""
    return "\n".join(adults.remarks(shift))


def accuracies(comparison: Comparison) -> Iterator[float]:
    """Both sides' accuracy on the people held out."""
    inputs, targets = adults.unseen(comparison.data)
    return (accuracy(outputs, targets) for outputs in comparison.outputs(inputs))


def test_the_settings_are_those_that_the_numbers_here_belong_to() -> None:
    e = EXPERIMENT
    assert (e.lr, e.batch_size, e.epochs, e.order, e.inputs_as) == (0.1, 16, 20, "shuffle", "standard")
    assert (str(e.loss), str(e.network)) == ("mean (y - t)^2", "two_two_one 2-2-1")


def test_both_sides_learn_what_standard_inputs_allow(standard: Comparison) -> None:
    hand, autograd = accuracies(standard)
    assert 0.82 < hand < 0.84
    assert hand == autograd
    assert standard.reports[-1].hand < 0.125 < standard.reports[0].hand < 0.25


def test_every_step_is_in_parity(standard: Comparison, shift: Comparison) -> None:
    for comparison in (standard, shift):
        assert comparison.lockstep.steps == 20 * 272
        assert comparison.lockstep.failure is None
        assert comparison.ok


@pytest.mark.parametrize("name", EXPERIMENT.inputs)
def test_every_step_is_in_parity_in_both_dtypes(name: str, dtype: str) -> None:
    comparison = compare(replace(EXPERIMENT.with_inputs(name), dtype=dtype, epochs=2))
    assert comparison.lockstep.failure is None
    assert comparison.ok


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("name", EXPERIMENT.inputs)
def test_every_step_of_other_seeds_is_in_parity(name: str, seed: int, dtype: str) -> None:
    comparison = compare(replace(EXPERIMENT.with_inputs(name), dtype=dtype, seed=seed))
    assert comparison.lockstep.failure is None
    assert comparison.ok


def test_on_standard_inputs_the_free_runs_stay_together(standard: Comparison) -> None:
    assert standard.apart < 1e-13
    assert not adults.parting(standard)


def test_on_shifted_inputs_the_free_runs_part_as_a_twin_does(shift: Comparison, remarks: str) -> None:
    assert 1e-6 < shift.apart < adults.TWIN_FACTOR * shift.twin_apart
    assert f"started one rounding away, ends {shift.twin_apart:.1e}" in remarks


def test_the_twin_excuses_no_greater_distance_and_no_step_that_is_wrong(
    shift: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shift, "twin_apart", shift.apart / adults.TWIN_FACTOR / 2)
        assert f"a twin one rounding away only {shift.twin_apart:.1e}" in adults.parting(shift)[1]
    with monkeypatch.context() as patch:
        patch.setattr(shift.lockstep, "failure", Failure(7, "w1", 1.0, 0.0, 0.5))
        assert not adults.parting(shift)


def test_the_remarks_state_what_was_computed(shift: Comparison, standard: Comparison, remarks: str) -> None:
    hand, autograd = accuracies(shift)
    lines = remarks.splitlines()
    assert "always answering F gets 0.5152" in lines[0]
    assert lines[1].startswith(f"  by hand        accuracy {hand:.4f}; of 527 M ")
    assert lines[2].startswith(f"  with autograd  accuracy {autograd:.4f}; of 527 M ")
    forms = {line.split()[0]: line.split()[1:3] for line in lines[5:9]}
    assert list(forms) == ["standard", "shift", "raw", "yardstick"]
    assert forms["shift"][0] == f"{hand:.4f}"  # trained once more, alone: the same numbers
    assert forms["standard"][0] == f"{next(accuracies(standard)):.4f}"
    assert forms["raw"][1] == "100%"
    assert float(forms["standard"][1][:-1]) < 20 < 80 < float(forms["shift"][1][:-1]) < 100


def test_the_counts_are_on_the_right_side_of_the_matrix(shift: Comparison) -> None:
    inputs, targets = adults.unseen(shift.data)
    taken = shift.outputs(inputs)[0] > 0.5
    m_f, f_m = int((taken & (targets == 0)).sum()), int((~taken & (targets == 1)).sum())
    assert m_f != f_m
    assert (
        f"of 527 M {527 - m_f} taken for M, {m_f} for F; of 560 F {560 - f_m} taken for F, {f_m} for M"
        in (adults.held_out(shift)[1])
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_raw_inputs_saturate_every_hidden_neuron_and_teach_nothing(seed: int) -> None:
    experiment = replace(EXPERIMENT.with_inputs("raw"), seed=seed)
    side = adults.trained(experiment)
    inputs, targets = adults.unseen(experiment.data())
    assert adults.saturated(side, inputs) == 1
    assert 0.48 < accuracy(side.predict(inputs), targets) < 0.52
    assert np.ptp(side.predict(inputs)) < 1e-6  # one answer for everybody


def test_logistic_regression_is_the_yardstick() -> None:
    assert abs(adults.logistic_regression() - 0.830) < 0.01


def test_results_below_the_smallest_normal_number_are_no_mistake(device):
    """Raw units saturate so far that gradients are subnormal in float32; there one rounding has a fixed size."""
    experiment = replace(EXPERIMENT.with_inputs("raw"), dtype="float32", seed=3, epochs=1)
    comparison = compare(experiment, device)
    assert comparison.lockstep.failure is None
