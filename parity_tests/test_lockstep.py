"""The lockstep: which step and which tensor it names, what it keeps, and that its truth is nobody's backward."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handgrad import experiments
from handgrad.comparison import Comparison, compare
from handgrad.lockstep import Lockstep
from handgrad.loop import run
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide
from handgrad.truth import ComplexStep, WideAutograd
from manual.networks import MLP, TwoTwoOne
from manual.nn import Linear
from manual.optim import SGD

LARGE = replace(experiments.get("layered").resized((2, 40, 20, 1)), epochs=160)  # 961 parameters


def plant(monkeypatch, where, change, *, from_step=0, until=10**9):
    """Change the gradients that `where.backward` leaves, in the lockstep's own network and in these steps alone."""
    right, steps = where.backward, {"taken": 0}

    def backward(self, grad_output, saved, *, input_grad=True):
        result = right(self, grad_output, saved, input_grad=input_grad)
        # Three networks step in turn: the lockstep's, the one that runs free, and its twin.
        if from_step <= steps["taken"] // 3 < until and steps["taken"] % 3 == 0:
            change(self)
        steps["taken"] += 1
        return result

    monkeypatch.setattr(where, "backward", backward)


def slip(name, factor):
    def change(network):
        parameter = dict(network.named_parameters())[name]
        parameter.grad = np.asarray(parameter.grad * factor)

    return change


@pytest.mark.parametrize("step", [0, 1, 63, 64, 70, 127, 199])
def test_a_mistake_in_one_step_alone_is_found_there(monkeypatch, step):
    """Steps are judged 64 at a time; the last one of 200 among them."""
    plant(monkeypatch, TwoTwoOne, slip("b3", 1 + 1e-9), from_step=step, until=step + 1)
    failure = compare(replace(experiments.get("people"), epochs=50)).lockstep.failure
    assert (failure.step, failure.name) == (step, "d_L_d_b3")


def test_the_first_of_many_is_named(monkeypatch):
    plant(monkeypatch, TwoTwoOne, slip("w6", 1.5), from_step=70)
    lockstep = compare(replace(experiments.get("people"), epochs=50)).lockstep
    assert (lockstep.failure.step, lockstep.failure.name) == (70, "d_L_d_w6")
    worst = {row.name: row for row in lockstep.worst_rows()}
    assert worst["d_L_d_w6"].step >= 70
    assert worst["d_L_d_w6"].units > 1e6


@pytest.mark.parametrize("step", [0, 50, 100, 159])
@pytest.mark.parametrize("factor", [1 + 1e-9, np.nan, np.inf])
def test_large_networks_are_judged_between_the_checks_too(monkeypatch, step, factor):
    """Above 200 parameters the truth is computed at every hundredth step; the sides are compared at all."""
    right, count = MLP.backward, {"taken": 0}

    def backward(self, grad_output, saved, *, input_grad=True):
        result = right(self, grad_output, saved, input_grad=input_grad)
        if count["taken"] == 3 * step:
            slip("2.weight", factor)(self)
        count["taken"] += 1
        return result

    monkeypatch.setattr(MLP, "backward", backward)
    failure = compare(LARGE).lockstep.failure
    assert (failure.step, failure.name) == (step, "d_L_d_2.weight")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda grad: grad.astype(np.float64), "float64, its parameter"),
        (lambda grad: grad.reshape(-1), r"\(2,\) float32, its parameter \(1, 2\)"),
        (lambda grad: grad[:, :1], r"\(1, 1\)"),
    ],
)
def test_shape_and_dtype_come_before_numbers(monkeypatch, change, says):
    def backward(network):
        network.weight.grad = change(network.weight.grad)

    plant(monkeypatch, Linear, backward)
    experiment = replace(experiments.get("or_gate"), epochs=3, dtype="float32")
    comparison = compare(experiment)
    assert not comparison.ok
    assert (comparison.lockstep.failure.step, comparison.lockstep.failure.name) == (0, "d_L_d_0.weight")
    import re

    assert re.search(says, comparison.lockstep.failure.reason)


@pytest.mark.parametrize("slip_of_rate", [1 + 1e-9, 1 - 1e-9])
def test_a_rate_that_is_slightly_off(monkeypatch, slip_of_rate):
    right = SGD.__init__
    monkeypatch.setattr(SGD, "__init__", lambda self, params, lr: right(self, params, lr * slip_of_rate))
    failure = compare(replace(experiments.get("people"), epochs=2)).lockstep.failure
    assert failure.name in TwoTwoOne(dtype=np.float64).state_dict()


def test_right_where_the_first_order_ends():
    """A residual of exactly 0, and sigmoids that have saturated to 1: both sides are right there."""
    assert compare(replace(experiments.get("trial_and_error"), epochs=60)).ok
    for name, rate in [("people", 300.0), ("people", 1000.0), ("virus", 300.0)]:
        for seed in (0, 2, 3):
            experiment = replace(experiments.get(name), lr=rate, seed=seed, epochs=60, batch_size=1)
            assert compare(experiment).ok, (name, rate, seed)


@pytest.mark.parametrize("logit", [30.0, 36.0, 37.0, 38.0, 40.0, 44.0, 60.0])
def test_right_where_the_output_equals_its_target(logit, dtype):
    data = replace(experiments.get("or_gate").data(), targets=np.ones((4, 1)))
    state = {"0.weight": np.array([[0.1, 0.2]]), "0.bias": np.array([logit])}
    for size in (1, 4):
        experiment = replace(experiments.get("or_gate"), epochs=2, dtype=dtype, batch_size=size)
        assert compare(replace(experiment, data=lambda: data, weights=lambda *_, s=state: s)).ok


@pytest.mark.parametrize("method", ["predict", "report"])
@pytest.mark.parametrize("name", ["people", "layered", "or_gate"])
def test_wrong_outputs_and_reports_are_out_of_parity(monkeypatch, method, name):
    """No step shows them: they take another way through the code."""
    right = getattr(ManualSide, method)
    monkeypatch.setattr(ManualSide, method, lambda self, given: right(self, given) * (1 + 1e-9))
    comparison = compare(replace(experiments.get(name), epochs=3))
    assert comparison.lockstep.ok
    assert not comparison.ok
    assert [end.name for end in comparison.ends if not end.ok] == [
        {"predict": "outputs", "report": "reported loss"}[method]
    ]


def test_a_wrong_forward_only_experiment(monkeypatch):
    right = ManualSide.predict
    monkeypatch.setattr(ManualSide, "predict", lambda self, given: right(self, given) * (1 + 1e-13))
    for name in ("neuron", "neuron_network"):
        assert not compare(experiments.get(name)).ok


def test_first_and_last_rows_are_of_the_first_and_the_last_step():
    experiment = replace(experiments.get("people"), epochs=30)
    comparison = compare(experiment)
    state = experiment.weights(0, experiment.network)
    alone = TorchSide(experiment, comparison.data, state)
    seen = []
    run(experiment, 4, lambda rows: seen.append((alone.step(rows), alone.flat_gradients())), lambda epoch: None)
    for rows, (loss, gradients) in ((comparison.lockstep.first, seen[0]), (comparison.lockstep.last, seen[-1])):
        by_name = {row.name: row for row in rows}
        assert by_name["loss"].autograd == loss
        assert [by_name[f"d_L_d_{name}"].autograd.item() for name in alone.shapes()] == gradients.tolist()
        assert all(row.ok for row in rows)


def test_free_runs_are_free():
    """Not zero, as they would be if one were the other's copy; the twin has started one rounding away."""
    comparison = compare(replace(experiments.get("people"), epochs=200))
    assert 0 < comparison.apart < 5e-14
    assert 0 < comparison.twin_apart < 5e-14


def test_the_sides_share_no_memory():
    comparison = Comparison(experiments.get("layered"))
    arrays = [parameter.data for parameter in comparison.hand.parameters]
    arrays += [parameter.detach().cpu().numpy() for parameter in comparison.autograd.parameters]
    arrays += [parameter.data for parameter in comparison.lockstep.hand.parameters]
    arrays += list(comparison.initial.values())
    arrays += [comparison.hand.inputs, comparison.autograd.inputs.cpu().numpy(), comparison.data.inputs]
    for i, one in enumerate(arrays):
        for other in arrays[:i]:
            assert not np.shares_memory(one, other)


def gradient_of_a_step(truth_class, dtype):
    experiment = replace(experiments.get("people"), dtype=dtype)
    data, state = experiment.data(), experiment.weights(0, experiment.network)
    truth = truth_class(experiment, data, state)
    start = ManualSide(experiment, data, state).flat_parameters()
    return np.asarray(truth.steps(start[None], np.array([[0]])), dtype=np.float64)[0]


def test_the_complex_step_is_neither_backward(monkeypatch):
    right = gradient_of_a_step(ComplexStep, "float64")
    monkeypatch.setattr(TwoTwoOne, "backward", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(torch.Tensor, "backward", lambda *_, **__: 1 / 0)
    assert np.array_equal(gradient_of_a_step(ComplexStep, "float64"), right)


def test_the_wide_autograd_is_not_the_hand_written_side(monkeypatch):
    right = gradient_of_a_step(WideAutograd, "float32")
    monkeypatch.setattr(TwoTwoOne, "backward", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(TwoTwoOne, "forward", lambda *_, **__: 1 / 0)
    assert np.array_equal(gradient_of_a_step(WideAutograd, "float32"), right)


@pytest.mark.parametrize("name", ["people", "layered", "or_gate", "virus", "xor_hidden"])
def test_both_truths_agree(name):
    """The complex step of the hand-written forward, and autograd in float64: to rounding of the largest gradient."""
    experiment = experiments.get(name)
    data, state = experiment.data(), experiment.weights(3, experiment.network)
    start = ManualSide(experiment, data, state).flat_parameters()[None]
    rows = np.arange(len(data.inputs))[None]
    complex_step = ComplexStep(experiment, data, state).steps(start, rows)
    wide = TorchSide(experiment, data, state)
    loss = wide.step(rows[0])
    expected = np.concatenate([[loss], wide.flat_gradients(), wide.flat_parameters()])
    np.testing.assert_allclose(complex_step[0].astype(float), expected, rtol=1e-13, atol=1e-15)


def test_samples_are_rounded_before_they_are_compared_in_float32():
    data = experiments.get("or_gate").data()
    odd = replace(data, inputs=data.inputs + 0.1, targets=data.targets * 0.3)  # not exact in float32
    experiment = replace(experiments.get("or_gate"), dtype="float32", epochs=40, data=lambda: odd)
    comparison = compare(experiment)
    assert comparison.ok
    assert comparison.lockstep.largest_ratio < 1


def test_steps_of_unequal_batches():
    experiment = replace(experiments.get("virus"), epochs=5, batch_size=3, order="shuffle")
    lockstep: Lockstep = compare(experiment).lockstep
    assert lockstep.ok
    assert lockstep.steps == 15


@pytest.mark.parametrize(("precision", "truth"), [("float64", ComplexStep), ("float32", WideAutograd)])
def test_which_truth_is_asked(precision, truth):
    """In float64 never autograd itself, which is under comparison."""
    assert type(Comparison(replace(experiments.get("alice"), dtype=precision)).lockstep.truth) is truth
