"""Each module alone: wrong ones are found however many there are, right ones cleared wherever they stand."""

from dataclasses import replace

import numpy as np
import pytest

from handgrad import experiments
from handgrad.isolate import isolate
from handgrad.trace import Trace
from manual.networks import NeuronNetwork
from parity_tests.tracing.planting import LAYERED, left, output, plant, returned


def test_two_wrong_modules_are_both_found_and_the_one_between_is_cleared(monkeypatch):
    plant(monkeypatch, "1", "backward", returned(lambda g: 2 * g))
    plant(monkeypatch, "4", "backward", returned(np.negative))
    trace = Trace(LAYERED)
    wrong = [row.name for row in trace.rows if not row.ok]
    assert wrong[0] == trace.first_wrong.name == "d_L_d_4.input"
    assert {"d_L_d_3.input", "d_L_d_2.weight", "d_L_d_0.bias"} <= set(wrong)
    assert [alone.name for alone in isolate(trace) if not alone.ok] == ["1", "4"]


def test_a_composite_is_judged_for_itself(monkeypatch):
    """Its modules are replaced by autograd's, so that only what it does with them is left."""
    experiment = experiments.get("neuron_network")
    plant(monkeypatch, "h2", "backward", returned(np.negative))
    assert [alone.name for alone in isolate(Trace(experiment)) if not alone.ok] == ["h2"]
    monkeypatch.undo()

    right = NeuronNetwork.backward

    def backward(self, grad_output, saved, *, input_grad=True):
        h1, h2, o1 = saved
        return right(self, grad_output, (h2, h1, o1), input_grad=input_grad)

    monkeypatch.setattr(NeuronNetwork, "backward", backward)
    state = experiment.weights(0, experiment.network) | {"h2.weight": np.array([0.5, -0.3])}
    trace = Trace(replace(experiment, weights=lambda seed, network: state))
    assert [alone.name for alone in isolate(trace) if not alone.ok] == ["network"]


def test_all_wrong_modules_are_found_in_either_half(monkeypatch, dtype):
    small = {"float64": 1e-9, "float32": 1e-4}[dtype]
    plant(monkeypatch, "0", "backward", left("weight", lambda g: g * g.dtype.type(1 + small)))
    plant(monkeypatch, "3", "forward", output(lambda y: y * y.dtype.type(1 + small)))
    plant(monkeypatch, "5", "backward", returned(lambda g: g * g.dtype.type(1 - small)))
    found = {alone.name: alone for alone in isolate(Trace(replace(LAYERED, dtype=dtype)))}
    assert [name for name, alone in found.items() if not alone.ok] == ["0", "3", "5"]
    assert found["0"].reason.startswith("d_L_d_0.weight: ")
    assert found["3"].reason.startswith("3.output: ")
    assert found["5"].reason.startswith("d_L_d_5.input: ")


def test_a_module_that_raises_is_wrong_and_the_others_are_judged(monkeypatch):
    plant(monkeypatch, "2", "backward", lambda right, module: lambda g, saved, *, input_grad=True: g @ saved)
    found = {alone.name: alone for alone in isolate(Trace(LAYERED))}
    assert [name for name, alone in found.items() if not alone.ok] == ["2"]
    assert found["2"].reason.startswith("raised ValueError: matmul")


def test_a_gradient_that_is_not_given_is_wrong(monkeypatch):
    """In the step nobody asks for the gradient of the samples: there its name is listed alone."""
    plant(monkeypatch, "0", "backward", returned(lambda g: None))
    trace = Trace(LAYERED)
    assert trace.hand_lacks == ["d_L_d_0.input", "d_L_d_network.input"]
    assert trace.ok
    found = {alone.name: alone for alone in isolate(trace)}
    assert [name for name, alone in found.items() if not alone.ok] == ["0"]
    assert found["0"].reason == "gives no d_L_d_0.input"


def test_what_only_the_loss_hides_is_found(monkeypatch):
    """The full-batch gradient at the last bias sums to nearly nothing; alone the layer is given a random gradient."""
    plant(monkeypatch, "4", "backward", left("bias", np.zeros_like))
    data = LAYERED.data()
    trace = Trace(LAYERED)
    outputs = next(row.hand for row in trace.rows if row.name == "network.output")
    # Targets that leave no error: every gradient of the step is zero, right or wrong.
    trace = Trace(replace(LAYERED, data=lambda: replace(data, targets=outputs)))
    assert trace.ok
    assert [alone.name for alone in isolate(trace) if not alone.ok] == ["4"]


def test_the_modules_are_left_as_they_were():
    trace = Trace(LAYERED)
    first = isolate(trace)
    second = isolate(trace)
    for one, other in zip(first, second, strict=True):
        for a, b in zip(one.rows, other.rows, strict=True):
            assert (a.name, a.units) == (b.name, b.units)
            assert np.array_equal(a.hand, b.hand)
            assert np.array_equal(a.autograd, b.autograd)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_honest_networks_of_any_depth_are_no_false_alarm(seed, dtype):
    """Measured: in 80 networks, whole and module by module, the error by hand is at most 2.0 of 4 allowed."""
    random = np.random.default_rng(seed)
    sizes = (2, *(int(size) for size in random.integers(1, 20, size=random.integers(0, 5))), 1)
    trace = Trace(replace(LAYERED.resized(sizes), seed=seed, dtype=dtype))
    assert trace.ok, trace.first_wrong
    isolated = isolate(trace)
    assert all(alone.ok for alone in isolated)
    assert max(row.ratio for row in (*trace.rows, *(row for alone in isolated for row in alone.rows))) < 3


def test_a_loss_of_classes_is_right_alone(dtype):
    """Its target has no gradient, but is an input all the same: the names count it, those of the complex step too."""
    trace = Trace(replace(experiments.get("mlp"), dtype=dtype))
    found = {alone.name: alone for alone in isolate(trace)}
    assert all(alone.ok for alone in found.values())
    assert [row.name for row in found["objective.loss"].rows][1] == "d_L_d_objective.loss.input[0]"
