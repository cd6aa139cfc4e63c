"""Mistakes put into one module of the hand-written network of an experiment, by the module's name."""

from dataclasses import replace

import numpy as np

import handgrad.sides
from handgrad import experiments

# Layers 0, 2 and 4 are linear, 1, 3 and 5 sigmoids; layer 2 is square, so that a transposed gradient has its shape.
LAYERED = replace(experiments.get("layered").resized((2, 3, 3, 1)), seed=5)


def plant(monkeypatch, path, half, change):
    """Replace `half` (forward or backward) of the module at `path` by change(the right half, the module)."""
    build = handgrad.sides.build

    def built(networks, network, logits, **settings):
        whole = build(networks, network, logits, **settings)
        module = dict(whole.named_modules())[path]
        vars(module)[half] = change(getattr(module, half), module)
        return whole

    monkeypatch.setattr(handgrad.sides, "build", built)


def returned(change):
    """A backward that changes the input's gradient that it returns."""

    def planted(backward, module):
        def wrong(grad_output, saved, *, input_grad=True):
            return change(backward(grad_output, saved, input_grad=True))

        return wrong

    return planted


def left(name, change):
    """A backward that changes the gradient that it leaves at a parameter."""

    def planted(backward, module):
        def wrong(grad_output, saved, *, input_grad=True):
            result = backward(grad_output, saved, input_grad=input_grad)
            parameter = getattr(module, name)
            parameter.grad = change(parameter.grad)
            return result

        return wrong

    return planted


def output(change):
    """A forward that changes its output, and saves what the right one saves."""

    def planted(forward, module):
        def wrong(x):
            y, saved = forward(x)
            return change(y), saved

        return wrong

    return planted


def one_nan(array):
    """The array with one NaN in it."""
    array = np.array(array)
    array.flat[-1] = np.nan
    return array
