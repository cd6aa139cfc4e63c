"""Planted mistakes: each must be found, or the tests have no teeth.

The first half breaks single modules and runs the layer tests' helper on them. The second breaks a network or
its loss in the middle of a training, and asks the lockstep which tensor went wrong first.
"""

import copy
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch

import manual.networks as by_hand
import torch_impl.networks as with_autograd
from handgrad import experiments
from handgrad.comparison import compare
from manual import nn
from manual.nn import activation, linear, loss
from parity_tests.parity import check_module, normal, probabilities


class SigmoidTwice(nn.Sigmoid):
    def backward(self, grad_output, saved, *, input_grad=True):
        s = activation.sigmoid(saved)
        return grad_output * s * (1 - s) if input_grad else None


class SigmoidMissing(nn.Sigmoid):
    def backward(self, grad_output, saved, *, input_grad=True):
        return grad_output if input_grad else None


class SigmoidOnTheGradient(nn.Sigmoid):
    def backward(self, grad_output, saved, *, input_grad=True):
        return grad_output * (1 - grad_output) if input_grad else None


class SigmoidWithoutUpstream(nn.Sigmoid):
    def backward(self, grad_output, saved, *, input_grad=True):
        return saved * (1 - saved) if input_grad else None


class SigmoidOverwritesSaved(nn.Sigmoid):
    def backward(self, grad_output, saved, *, input_grad=True):
        saved *= 1 - saved
        return grad_output * saved if input_grad else None


class SigmoidOverwritesUpstream(nn.Sigmoid):
    def backward(self, grad_output, saved, *, input_grad=True):
        grad_output *= saved * (1 - saved)
        return grad_output if input_grad else None


class SigmoidSlightlyOff(nn.Sigmoid):
    def backward(self, grad_output, saved, *, input_grad=True):
        grad = grad_output * saved * (1 - saved)
        grad.flat[0] *= 1 + 1e-9
        return grad if input_grad else None


class SigmoidNaN(nn.Sigmoid):
    def backward(self, grad_output, saved, *, input_grad=True):
        grad = grad_output * saved * (1 - saved)
        grad.flat[-1] = np.nan
        return grad if input_grad else None


class SigmoidOtherFunction(nn.Sigmoid):
    """A wrong forward with a backward that is right for it: finite differences would pass it."""

    def forward(self, x):
        y = activation.sigmoid(1.0001 * x)
        return y, y

    def backward(self, grad_output, saved, *, input_grad=True):
        return 1.0001 * grad_output * saved * (1 - saved) if input_grad else None


class SigmoidHalf(nn.Sigmoid):
    def backward(self, grad_output, saved, *, input_grad=True):
        grad = grad_output * saved * (1 - saved)
        return grad.astype(np.float16).astype(grad.dtype) if input_grad else None


SIGMOIDS = [
    SigmoidTwice, SigmoidMissing, SigmoidOnTheGradient, SigmoidWithoutUpstream, SigmoidOverwritesSaved,
    SigmoidOverwritesUpstream, SigmoidSlightlyOff, SigmoidNaN, SigmoidOtherFunction, SigmoidHalf,
]  # fmt: skip


@pytest.mark.parametrize("mutant", SIGMOIDS)
def test_sigmoid(mutant):
    with pytest.raises(AssertionError):
        check_module(mutant(), torch.nn.Sigmoid(), normal(4, 3))


def linear_mutant(body):
    class Mutant(nn.Linear):
        def backward(self, grad_output, saved, *, input_grad=True):
            return body(self, saved, grad_output, self.weight.data) if input_grad else self._params(saved, grad_output)

        def _params(self, x, g):
            self.weight.accumulate(g.T @ x)
            self.bias.accumulate(g.sum(axis=0))

    return Mutant


def broken(weight=None, bias=None, grad=None):
    """Return a Linear.backward with one of its three results replaced."""

    def body(self, x, g, w):
        self.weight.accumulate(weight(x, g, w) if weight else g.T @ x)
        self.bias.accumulate(bias(x, g, w) if bias else g.sum(axis=0))
        return grad(x, g, w) if grad else g @ w

    return body


LINEARS = {
    "dW transposed": broken(weight=lambda x, g, w: (g.T @ x).T),
    "dW of shuffled samples": broken(weight=lambda x, g, w: np.roll(g, 1, axis=0).T @ x),
    "dW of the last sample alone": broken(weight=lambda x, g, w: g[-1:].T @ x[-1:]),
    "dW averaged": broken(weight=lambda x, g, w: g.T @ x / len(x)),
    "dW with the wrong sign": broken(weight=lambda x, g, w: -g.T @ x),
    "dW with the penalty left in": broken(weight=lambda x, g, w: g.T @ x + 1e-6 * w),
    "dx without the transpose": broken(grad=lambda x, g, w: g @ w.T),
    "dx of updated weights": broken(grad=lambda x, g, w: g @ (w - 1e-3 * (g.T @ x))),
    "dx reshaped for transposed": broken(grad=lambda x, g, w: g @ w.reshape(w.shape[1], w.shape[0]).T),
    "db averaged": broken(bias=lambda x, g, w: g.mean(axis=0)),
    "db of all units": broken(bias=lambda x, g, w: np.full(w.shape[0], g.sum())),
    "db never summed": broken(bias=lambda x, g, w: g),
    "db from dW": broken(bias=lambda x, g, w: (g.T @ x).sum(axis=1)),
    "db in whole numbers": broken(bias=lambda x, g, w: np.trunc(g.sum(axis=0))),
}


@pytest.mark.parametrize("name", LINEARS)
def test_linear(name):
    """Square weights, so that a lost transpose is no shape error."""
    with pytest.raises((AssertionError, ValueError)):
        check_module(linear_mutant(LINEARS[name])(4, 4), torch.nn.Linear(4, 4), normal(6, 4))


def test_the_unbroken_linear_passes():
    check_module(linear_mutant(broken())(4, 4), torch.nn.Linear(4, 4), normal(6, 4))


def loss_mutant(name, change):
    class Mutant(getattr(nn, name)):
        def backward(self, grad_output, saved, *, input_grad=True):
            right = super().backward(grad_output, saved, input_grad=input_grad)
            return change(*saved, *right) if input_grad else right

    return Mutant


LOSSES = {
    "half": lambda y, t, gy, gt: (gy / 2, gt),
    "sum for mean": lambda y, t, gy, gt: (gy * y.size, gt),
    "mean over samples alone": lambda y, t, gy, gt: (gy * y.shape[1], gt),
    "sign": lambda y, t, gy, gt: (-gy, gt),
    "target's gradient has the input's sign": lambda y, t, gy, gt: (gy, -gt),
    "one sample masked": lambda y, t, gy, gt: (np.where(np.arange(len(y))[:, None] == 1, 0, gy), gt),
    "f' left in": lambda y, t, gy, gt: (gy * y * (1 - y), gt),
}


@pytest.mark.parametrize("name", ["MSELoss", "BCELoss", "BCEWithLogitsLoss"])
@pytest.mark.parametrize("mistake", LOSSES)
def test_loss(name, mistake):
    inputs = probabilities(5, 3), probabilities(5, 3, seed=2)
    with pytest.raises(AssertionError):
        check_module(loss_mutant(name, LOSSES[mistake])(), getattr(torch.nn, name)(), *inputs)


class HiddenUnitsSwapped(by_hand.TwoTwoOne):
    def backward(self, grad_output, saved, *, input_grad=True):
        return super().backward(grad_output, {**saved, "h1": saved["h2"], "h2": saved["h1"]}, input_grad=input_grad)


class UpdatedTooEarly(by_hand.TwoTwoOne):
    """The output neuron steps before the hidden ones have used w5 and w6."""

    def backward(self, grad_output, saved, *, input_grad=True):
        kept = self.w5.data
        self.w5.data = kept - 0.1 * (grad_output * saved["h1"] * saved["ypred"] * (1 - saved["ypred"])).sum()
        result = super().backward(grad_output, saved, input_grad=input_grad)
        self.w5.data = kept
        return result


@pytest.mark.parametrize("mutant", [HiddenUnitsSwapped, UpdatedTooEarly])
def test_two_two_one(mutant):
    with pytest.raises(AssertionError):
        check_module(mutant(), with_autograd.TwoTwoOne(), normal(4, 2))


def first_wrong(experiment, **patches):
    """Return the tensor at which a training goes out of parity; each patch is `module: {name: mutant}`."""
    with mock.patch.multiple(patches["target"], **patches["replaced"]):
        comparison = compare(experiment)
    assert not comparison.ok
    return comparison.lockstep.failure


@pytest.mark.parametrize("which", ["float64", "float32"])
def test_lockstep_names_the_first_wrong_gradient(which):
    """A relative mistake of 1e-9 in one of nine gradients is found in float64, one of 1e-3 in float32."""
    slip = 1 + (1e-9 if which == "float64" else 1e-3)
    right = by_hand.TwoTwoOne.backward

    def backward(self, grad_output, saved, *, input_grad=True):
        result = right(self, grad_output, saved, input_grad=input_grad)
        self.w4.grad = np.asarray(self.w4.grad * self.w4.dtype.type(slip))
        return result

    experiment = replace(experiments.get("people"), epochs=5, dtype=which)
    failure = first_wrong(experiment, target=by_hand.TwoTwoOne, replaced={"backward": backward})
    assert failure.step == 0
    assert failure.name == "d_L_d_w4"


def test_lockstep_names_a_wrong_update():
    from manual.optim import SGD

    right = SGD.step

    def step(self):
        right(self)
        self.param_groups[0]["params"][2].data = self.param_groups[0]["params"][2].data * (1 + 1e-12)

    failure = first_wrong(replace(experiments.get("people"), epochs=5), target=SGD, replaced={"step": step})
    assert failure.name == "w3"


def test_lockstep_names_a_wrong_forward():
    """The backward fits the wrong forward, so the complex step agrees with it: autograd does not."""

    def forward(self, input, target):
        self._check(input, target)
        difference = input - target
        return self._reduce(difference * difference * 1.001), (input, target)

    def backward(self, grad_output, saved, *, input_grad=True):
        input, target = saved
        grad = self._spread(grad_output, input) * 2 * (input - target) * 1.001
        return grad, -grad

    replaced = {"forward": forward, "backward": backward}
    failure = first_wrong(replace(experiments.get("people"), epochs=5), target=loss.MSELoss, replaced=replaced)
    assert failure.name == "loss"


def test_lockstep_finds_nan():
    right = linear.Linear.backward

    def backward(self, grad_output, saved, *, input_grad=True):
        result = right(self, grad_output, saved, input_grad=input_grad)
        self.weight.grad = self.weight.grad * np.nan
        return result

    experiment = replace(experiments.get("or_gate"), epochs=3)
    failure = first_wrong(experiment, target=linear.Linear, replaced={"backward": backward})
    assert (failure.step, failure.name) == (0, "d_L_d_0.weight")


def test_lockstep_gives_the_same_verdict_on_a_tiny_loss():
    """A loss scaled by 1e-6 changes nothing: no tolerance is absolute."""
    experiment = replace(experiments.get("people"), epochs=5)
    tiny = replace(experiment, loss=replace(experiment.loss, factor=1e-6))
    assert compare(tiny).ok
    right = by_hand.TwoTwoOne.backward

    def backward(self, grad_output, saved, *, input_grad=True):
        result = right(self, grad_output, saved, input_grad=input_grad)
        self.b3.grad = np.asarray(self.b3.grad * (1 + 1e-9))
        return result

    failure = first_wrong(tiny, target=by_hand.TwoTwoOne, replaced={"backward": backward})
    assert failure.name == "d_L_d_b3"


@pytest.mark.parametrize("name", ["or_gate", "virus"])
def test_lockstep_tells_the_published_rule_from_the_right_one(name):
    """Autograd on the right rule against the tutorial's double sigmoid by hand."""
    experiment = replace(experiments.get(name), epochs=2)
    published = by_hand.perceptron.DoubleSigmoid.backward
    failure = first_wrong(experiment, target=activation.Sigmoid, replaced={"backward": published})
    assert failure.name == "d_L_d_0.weight"


def test_mistakes_do_not_leak_between_tests():
    assert compare(replace(experiments.get("people"), epochs=2)).ok
    assert copy.deepcopy(experiments.get("people")).name == "people"
