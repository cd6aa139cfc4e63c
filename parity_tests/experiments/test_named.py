"""The experiments on images and names: in lockstep, tensor by tensor, with planted mistakes seen."""

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from handgrad import experiments
from handgrad.comparison import Comparison, compare
from handgrad.experiment import Optimizer
from handgrad.judging import ALLOWED_OF_NOISE
from manual import nn, optim

NAMED = [name for name in experiments.names() if not experiments.get(name).layered]


def short(name, samples=96, steps=4):
    """Return an experiment of one epoch on few samples."""
    experiment = experiments.get(name)
    data = experiment.data()
    few = replace(
        data,
        inputs=data.inputs[:samples],
        targets=data.targets[:samples],
        test_inputs=data.test_inputs[:20],
        test_targets=data.test_targets[:20],
    )
    return replace(experiment, epochs=1, batch_size=samples // steps, data=lambda: few)


def lockstep(experiment, steps, batch=8, device="cpu", every=25):
    """Return the lockstep after so many small steps."""
    comparison = Comparison(experiment, device)
    comparison.lockstep.every = every
    order = np.random.default_rng(4).permutation(len(comparison.data.inputs))
    for rows in order[: steps * batch].reshape(steps, batch):
        comparison.lockstep.step(rows)
    comparison.lockstep.finish()
    return comparison.lockstep


def test_they_are_the_four():
    assert NAMED == ["mlp", "convnet", "char_rnn", "gpt"]


@pytest.mark.parametrize("name", NAMED)
def test_a_short_training(name, device):
    """Every step, the ends, and running free no further apart than a twin that started one rounding away."""
    comparison = compare(short(name), device)
    assert comparison.lockstep.failure is None
    assert comparison.ok
    assert comparison.lockstep.steps == 4
    assert 0 < comparison.lockstep.largest_ratio <= ALLOWED_OF_NOISE
    assert comparison.reports[-1].hand < comparison.hand_loss(comparison.initial)
    assert comparison.apart <= 30 * comparison.twin_apart


@pytest.mark.parametrize("name", NAMED)
def test_in_float64(name, device):
    """The truth is a complex step there, for one entry of every parameter at the first and the last step."""
    found = lockstep(replace(experiments.get(name), dtype="float64"), 3, batch=3, device=device)
    assert found.ok
    assert found.largest_ratio > 0, "nothing was held against the truth"


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("optimizer", [Optimizer("Adam"), Optimizer("SGD"), Optimizer("SGD", (("momentum", 0.9),))])
def test_recurrent_networks_with_every_rule(cell, optimizer, device):
    experiment = replace(experiments.get("char_rnn").with_cell(cell), optimizer=optimizer)
    assert lockstep(experiment, 4, device=device).ok


@pytest.mark.parametrize("rule", ["Adam", "SGD"])
@pytest.mark.parametrize("name", ["gpt", "lstm"])
def test_a_hundred_steps(name, rule, device):
    experiment = experiments.get("char_rnn").with_cell("lstm") if name == "lstm" else experiments.get("gpt")
    found = lockstep(replace(experiment, optimizer=Optimizer(rule)), 100, batch=4, device=device, every=50)
    assert found.ok
    assert found.steps == 100


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rule", ["Adam", "SGD"])
@pytest.mark.parametrize("name", ["gpt", "lstm"])
def test_a_hundred_steps_with_roundings_measured_often(name, rule, dtype, device):
    """Every tensor of every step by the rule; the roundings are measured at many steps, not at some."""
    experiment = experiments.get("char_rnn").with_cell("lstm") if name == "lstm" else experiments.get("gpt")
    experiment = replace(experiment, optimizer=Optimizer(rule), dtype=dtype)
    assert lockstep(experiment, 100, device=device, every=4 if dtype == "float32" else 20).ok


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMED)
def test_a_whole_training(name, device):
    assert compare(experiments.get(name), device).ok


# ---------------------------------------------------------------------- planted mistakes


def scaled(backward, factor=1 + 1e-4):
    """Return a backward whose gradients are a little too large."""

    def wrong(self, grad_output, saved, *, input_grad=True):
        grads = backward(self, grad_output, saved, input_grad=input_grad)
        return None if grads is None else grads * np.asarray(factor, grads.dtype)

    return wrong


def first_wrong(name, steps=1):
    found = lockstep(experiments.get(name), steps)
    assert not found.ok
    return found.failure


@pytest.mark.parametrize(
    ("name", "module"), [("gpt", nn.GELU), ("gpt", nn.LayerNorm), ("convnet", nn.MaxPool2d), ("convnet", nn.ReLU)]
)
def test_a_gradient_that_is_off_by_a_ten_thousandth(name, module):
    with mock.patch.object(module, "backward", scaled(module.backward)):
        failure = first_wrong(name)
    assert failure.step == 0
    assert failure.name.startswith("d_L_d_")


def test_a_token_that_stands_twice_and_counts_once():
    def assigned(self, grad_output, saved, *, input_grad=True):
        grad = np.zeros_like(self.weight.data)
        grad[saved] = grad_output
        self.weight.accumulate(grad)

    with mock.patch.object(nn.Embedding, "backward", assigned):
        assert first_wrong("char_rnn").name == "d_L_d_embedding.weight"


def test_an_update_that_falls_short():
    """The gradients are right, so the parameters are what goes wrong first."""
    right = optim.Adam.update

    def short_of(self, w, g, state, options):
        new, kept = right(self, w, g, state, options)
        return w + (new - w) * np.asarray(0.999, w.dtype), kept

    with mock.patch.object(optim.Adam, "update", short_of):
        failure = first_wrong("char_rnn")
    assert failure.name == "embedding.weight"


def test_a_state_of_the_optimizer_that_is_lost():
    right = optim.Adam.update

    def forgetful(self, w, g, state, options):
        new, kept = right(self, w, g, state, options)
        return new, {**kept, "exp_avg": 0 * kept["exp_avg"]}

    with mock.patch.object(optim.Adam, "update", forgetful):
        assert first_wrong("char_rnn").name == "embedding.weight exp_avg"


def test_a_mistake_between_two_measured_steps():
    """Only in step 3, whose roundings are not measured."""
    right, calls = nn.Linear.backward, iter(range(10**6))

    def sometimes(self, grad_output, saved, *, input_grad=True):
        factor = 1.001 if next(calls) == 3 else 1.0
        return right(self, grad_output * np.asarray(factor, grad_output.dtype), saved, input_grad=input_grad)

    with mock.patch.object(nn.Linear, "backward", sometimes):
        assert first_wrong("char_rnn", steps=6).step == 3
