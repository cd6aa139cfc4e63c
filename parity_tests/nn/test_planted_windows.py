"""Mistakes that convolutions, poolings and paddings invite, planted: the layer tests' helper has to find each."""

from unittest import mock

import numpy as np
import pytest
import torch

from manual import nn
from manual.nn.conv import sums
from manual.nn.padding.ends import pad_constant
from parity_tests.parity import check_exact, check_module, normal


def assigning_scatter(columns, windows, shape):
    """The last of the windows that overlap wins."""
    x = np.zeros((*columns.shape[: -1 - windows.axes], *shape), columns.dtype)
    for k, place in enumerate(windows.places(columns.shape[-windows.axes :])):
        x[place] = np.moveaxis(columns, -1 - windows.axes, 0)[k]
    return x


def flipped(weight):
    return weight[..., ::-1, ::-1]


CONV = "manual.nn.conv.convolution."
PLANTED = {
    "overlaps assigned": ("manual.nn.conv.sums.scatter", assigning_scatter),
    "kernel turned round in dL/dx": (CONV + "spread", lambda g, w, *rest: sums.spread(g, flipped(w), *rest)),
    "dL/dweight turned round": (CONV + "correlate_both", lambda *given: flipped(sums.correlate_both(*given))),
    "padding cut off behind alone": (
        CONV + "unpad",
        lambda grad, ends, mode: pad_constant(grad, tuple((0, -before - after) for before, after in ends)),
    ),
    "height's padding cut off the width": (
        CONV + "unpad",
        lambda grad, ends, mode: pad_constant(grad, tuple((-after, -before) for before, after in ends[::-1])),
    ),
    "groups that see the channels in turn": (
        CONV + "correlate",
        lambda x, w, windows, groups: sums.correlate(
            np.moveaxis(x.reshape(len(x), -1, groups, *x.shape[2:]), 2, 1).reshape(x.shape), w, windows, groups
        ),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_convolution(name):
    options = {"padding": (1, 1) if "behind" in name else (1, 2), "groups": 2}
    modules = nn.Conv2d(4, 6, (2, 3), **options), torch.nn.Conv2d(4, 6, (2, 3), **options)
    x = normal(3, 4, 5, 5)
    check_module(*modules, x)
    with mock.patch(*PLANTED[name]), pytest.raises((AssertionError, ValueError)):
        check_module(*modules, x)


class EveryTiedMaximum(nn.MaxPool1d):
    """Each of the largest entries of a window gets all of its gradient."""

    def forward(self, input):
        y, saved = super().forward(input)
        return y, (input, y, saved)

    def backward(self, grad_output, saved, *, input_grad=True):
        input, y, _ = saved
        return np.repeat(grad_output, 2, axis=-1) * (input == np.repeat(y, 2, axis=-1)) if input_grad else None


class AverageNotDivided(nn.AvgPool2d):
    def backward(self, grad_output, saved, *, input_grad=True):
        return 4 * super().backward(grad_output, saved) if input_grad else None


class AverageDividedByTheKernel(nn.AvgPool2d):
    """At the border as well, where fewer entries are counted."""

    def backward(self, grad_output, saved, *, input_grad=True):
        m, *others = saved
        return super().backward(grad_output, (np.full_like(m, 4), *others)) if input_grad else None


class CopiesForgotten(nn.ReflectionPad1d):
    """What the copies got is cut off."""

    def backward(self, grad_output, saved, *, input_grad=True):
        return grad_output[..., 2:-1] if input_grad else None


def test_ties():
    tied = np.round(normal(3, 2, 8))
    sides = {nn: EveryTiedMaximum(2), torch.nn: torch.nn.MaxPool1d(2)}
    with pytest.raises(AssertionError, match="not the same bits"):
        check_exact(lambda side: sides[side], tied)


def test_divisors():
    x = normal(3, 2, 4, 6)
    with pytest.raises(AssertionError):
        check_module(AverageNotDivided(2), torch.nn.AvgPool2d(2), x)
    check_module(AverageDividedByTheKernel(2), torch.nn.AvgPool2d(2), x)
    border = {"padding": 1, "count_include_pad": False}
    with pytest.raises(AssertionError):
        check_module(AverageDividedByTheKernel(2, **border), torch.nn.AvgPool2d(2, **border), x)


def test_copies():
    with pytest.raises(AssertionError):
        check_module(CopiesForgotten((2, 1)), torch.nn.ReflectionPad1d((2, 1)), normal(3, 2, 5))
