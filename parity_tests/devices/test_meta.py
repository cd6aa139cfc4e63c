"""Every network takes a step on `meta`, a device without numbers: nothing that is computed with is left on the CPU.

Indices and masks of the CPU it lets pass; the pretend device of test_on_pretend.py refuses them too.
"""

import pkgutil
from importlib import import_module

import numpy as np
import pytest
import torch

import torch_impl.networks
from parity_tests.devices.every import Constant, side, variants

VARIANTS = dict(variants())
ROWS = np.array([2, 0, 1])


def on_meta(name):
    return side(VARIANTS[name], "meta")


def step(one):
    """Forward, backward and update; an experiment that is forward only has no targets to learn."""
    rows = ROWS % len(one.inputs)
    if one.experiment.kind != "forward":
        return one.step(rows)
    output = one.network(one.batches.take(rows)[0])
    output.backward(torch.empty_like(output))
    one.trainer.update()
    return output


@pytest.mark.parametrize("name", VARIANTS)
def test_every_network_takes_a_step(name):
    one = on_meta(name)
    assert step(one).device.type == "meta"
    assert one.parameters
    assert all(p.device.type == p.grad.device.type == "meta" for p in one.parameters)


def test_every_network_of_the_package_is_among_them():
    built = {type(on_meta(name).network).__name__ for name in VARIANTS}
    assert built == set(torch_impl.networks.__all__), "no experiment builds it: give it one, then it is checked here"
    for file in pkgutil.iter_modules(torch_impl.networks.__path__):
        assert built & set(vars(import_module(f"torch_impl.networks.{file.name}"))), f"{file.name} is not in __all__"


@pytest.mark.parametrize("name", ["people", "convnet", "gpt"])
def test_a_constant_on_the_cpu_is_caught(name):
    one = on_meta(name)
    one.trainer.network = Constant(one.network)
    with pytest.raises(RuntimeError, match=r"cpu|device"):
        step(one)


def test_a_number_read_within_a_step_is_caught():
    one = on_meta("people")
    one.network.register_forward_hook(lambda module, inputs, output: output * output.mean().item())
    with pytest.raises(RuntimeError, match="meta"):
        step(one)
