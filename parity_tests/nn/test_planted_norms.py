"""Mistakes that people make in dropout, embeddings and norms, planted: the layer tests' helper finds each."""

from unittest import mock

import numpy as np
import pytest

from manual import nn
from manual.nn import batchnorm
from manual.nn.normalization import group_norm, last_axes, standardize
from parity_tests.parity import check, normal

mean = standardize.mean_over
INDICES = np.array([[4, 0, 4], [2, 4, 1]])


def ddof(G, xhat, rstd, axes):
    n = np.prod([xhat.shape[axis] for axis in axes])
    return rstd * (G - mean(G, axes) - xhat * mean(G * xhat, axes) * n / (n - 1))


BACKWARDS = {
    "no path through the mean": lambda G, xhat, rstd, axes: rstd * (G - xhat * mean(G * xhat, axes)),
    "no path through the variance": lambda G, xhat, rstd, axes: rstd * (G - mean(G, axes)),
    "statistics held constant": lambda G, xhat, rstd, axes: rstd * G,
    "the mean's path twice": lambda G, xhat, rstd, axes: rstd * (G - 2 * mean(G, axes) - xhat * mean(G * xhat, axes)),
    "n - 1 on the way back": ddof,
    "another power of the variance": lambda G, xhat, rstd, axes: standardize.standardize_backward(
        G, xhat, rstd**2, axes
    ),
    "upstream gradient's mean alone": lambda G, xhat, rstd, axes: rstd * (G - mean(G, axes) - xhat * mean(G, axes)),
}
NORMS = {
    "layer norm": (last_axes, lambda nn: nn.LayerNorm(5), (3, 5)),
    "group norm": (group_norm, lambda nn: nn.GroupNorm(2, 6), (3, 6, 2)),
    "batch norm": (batchnorm, lambda nn: nn.BatchNorm1d(3), (5, 3)),
    "instance norm": (batchnorm, lambda nn: nn.InstanceNorm1d(3), (2, 3, 5)),
}


def found(build, *inputs):
    with pytest.raises(AssertionError, match="off by"):
        check(build, *inputs)


@pytest.mark.parametrize("backward", BACKWARDS.values(), ids=BACKWARDS)
@pytest.mark.parametrize(("where", "build", "shape"), NORMS.values(), ids=NORMS)
def test_backwards_of_norms(where, build, shape, backward):
    with mock.patch.object(where, "standardize_backward", backward):
        found(build, normal(*shape))


@pytest.mark.parametrize(("where", "build", "shape"), NORMS.values(), ids=NORMS)
def test_a_biased_variance_is_not_an_unbiased_one(where, build, shape):
    def unbiased(x, axes):
        n = np.prod([x.shape[axis] for axis in axes])
        average, var = standardize.moments(x, axes)
        return average, var * n / (n - 1)

    with mock.patch.object(where, "moments", unbiased), pytest.raises(AssertionError):
        check(build, normal(*shape))


@pytest.mark.parametrize(("where", "build", "shape"), NORMS.values(), ids=NORMS)
def test_eps_belongs_under_the_root(where, build, shape):
    def beside(x, average, var, *, eps):
        rstd = 1 / (np.sqrt(var) + eps)
        return (x - average) * rstd, rstd

    with mock.patch.object(where, "standardize", beside), pytest.raises(AssertionError):
        check(build, normal(*shape))


def test_weight_dropped_on_the_way_back():
    def dropped(self, grad_output, xhat, along):
        right(self, grad_output, xhat, along)
        return grad_output

    right = standardize.Affine._affine_backward
    with mock.patch.object(standardize.Affine, "_affine_backward", dropped):
        found(lambda nn: nn.LayerNorm(5), normal(3, 5))


def test_weight_gradient_from_x_instead_of_xhat():
    def from_x(self, grad_output, xhat, along):
        return right(self, grad_output, 2 * xhat + 1, along)

    right = standardize.Affine._affine_backward
    with mock.patch.object(standardize.Affine, "_affine_backward", from_x):
        found(lambda nn: nn.LayerNorm(5), normal(3, 5))


def test_biased_running_variance():
    def track(self, average, var, n, samples):
        right(self, average, var * (n - 1) / n, n, samples)

    right = batchnorm.NormBase._track
    with mock.patch.object(batchnorm.NormBase, "_track", track), pytest.raises(AssertionError, match="running_var"):
        check(lambda nn: nn.BatchNorm1d(3), normal(5, 3))


DROPOUTS = {
    "no mask": lambda self, g, saved: self._scaled(g),
    "no scale": lambda self, g, saved: g * saved[0],
    "p and 1 - p exchanged": lambda self, g, saved: g * saved[0] / self.p,
    "another mask": lambda self, g, saved: self._scaled(g * (self.generator.random(g.shape) >= self.p)),
}


@pytest.mark.parametrize("backward", DROPOUTS.values(), ids=DROPOUTS)
def test_dropout(backward):
    def planted(self, grad_output, saved, *, input_grad=True):
        return backward(self, grad_output, saved) if input_grad else None

    with mock.patch.object(nn.Dropout, "backward", planted):
        found(lambda nn: nn.Dropout(0.3), normal(4, 5))


EMBEDDINGS = {
    "one row of those that repeat": lambda grad, saved, g: grad.__setitem__(saved, grad[saved] + g),
    "overwritten": lambda grad, saved, g: grad.__setitem__(saved, g),
}


@pytest.mark.parametrize("add", EMBEDDINGS.values(), ids=EMBEDDINGS)
def test_embedding(add):
    def planted(self, grad_output, saved, *, input_grad=True):
        grad = np.zeros_like(self.weight.data)
        add(grad, saved, grad_output)
        self.weight.accumulate(grad)

    with mock.patch.object(nn.Embedding, "backward", planted):
        found(lambda nn: nn.Embedding(5, 3), INDICES)


def test_the_padding_row_has_no_gradient():
    def planted(self, grad_output, saved, *, input_grad=True):
        grad = np.zeros_like(self.weight.data)
        np.add.at(grad, saved, grad_output)
        self.weight.accumulate(grad)

    with mock.patch.object(nn.Embedding, "backward", planted):
        found(lambda nn: nn.Embedding(5, 3, padding_idx=4), INDICES)
