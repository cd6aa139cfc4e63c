"""The planted mistakes are what they claim to be: right without, visible with, and first where they say."""

import inspect
import re
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from parity_tests.mistakes import (
    activations,
    activations_gated,
    attention,
    attention_grouped,
    attention_masked,
    batchnorm,
    cache,
    conv,
    conv_columns,
    distances,
    dropout,
    expressions,
    kinks,
    layernorm,
    layers,
    layers_bias,
    losses,
    losses_masked,
    losses_spelled,
    losses_targets,
    lstm,
    lstm_gates,
    norm_images,
    paths,
    paths_gather,
    paths_layout,
    penalties,
    pool,
    pool_average,
    recurrent,
    recurrent_gru,
    rmsnorm,
    softmax,
    states,
)
from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant

FILES = [
    losses,
    losses_targets,
    losses_masked,
    penalties,
    activations,
    activations_gated,
    layers,
    layers_bias,
    paths,
    paths_gather,
    paths_layout,
    states,
    distances,
    expressions,
    kinks,
    losses_spelled,
    softmax,
    batchnorm,
    cache,
    norm_images,
    layernorm,
    lstm,
    lstm_gates,
    rmsnorm,
    dropout,
    attention,
    attention_grouped,
    attention_masked,
    conv,
    conv_columns,
    pool,
    pool_average,
    recurrent,
    recurrent_gru,
]
MISTAKES = [mistake for file in FILES for mistake in file.MISTAKES]
VARIANTS = [variant for file in FILES for variant in file.VARIANTS]
SYSTEMS = {v.name: v for file in FILES for v in vars(file).values() if isinstance(v, System)}
SYSTEMS |= {case.system.name: case.system for case in [*MISTAKES, *VARIANTS]}
TOLERANCE = 1e-9
FLOAT32 = 1e-4  # its eps is 1e-7; sums of some hundred terms that cancel lose two or three digits
VISIBLE = 1e-7
SEEDS = range(3)


def autograd(system: System, params: Arrays, inputs: Arrays) -> tuple[Arrays, dict[str, Array]]:
    """(values, gradients) in order of computation; a gradient that is not there is zero."""
    leaves = {name: torch.tensor(value) for name, value in (params | inputs).items()}
    for leaf in leaves.values():
        leaf.requires_grad_(leaf.is_floating_point())
    loss, named = system.forward({k: leaves[k] for k in params}, {k: leaves[k] for k in inputs})
    for tensor in named.values():
        if tensor.requires_grad:
            tensor.retain_grad()
    loss.backward()
    values = {name: tensor.detach().numpy() for name, tensor in named.items()} | {"loss": loss.detach().numpy()}
    backwards = dict(reversed(named.items())) | leaves
    grads = {
        "d" + name: np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()
        for name, tensor in backwards.items()
        if tensor.requires_grad
    }
    return values, grads


def difference(by_hand: Any, truth: Array, scale: float) -> float:
    """The largest difference relative to the truth's largest entry; infinite where the shape is another."""
    by_hand = np.asarray(by_hand)
    if by_hand.shape != truth.shape:
        return float("inf")
    return float(np.max(np.abs(by_hand - truth))) / max(float(np.max(np.abs(truth))), scale)


def differences(system: System, wrong: str, seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """(of the values, of the gradients), in order of computation; what the backward does not give is left out."""
    params, inputs = system.make(np.random.default_rng([seed, 17]))
    values, truth = autograd(system, params, inputs)
    loss, grads, named = system.backward(
        {k: v.copy() for k, v in params.items()}, {k: v.copy() for k, v in inputs.items()}, wrong
    )
    assert set(grads) == set(params)
    hand = {name: value for name, value in named.items() if name in values or name in truth}
    assert set(named) == set(hand), f"{set(named) - set(hand)}: not names of the forward"
    hand |= {"d" + name: grad for name, grad in grads.items()} | {"loss": loss}
    assert set(values) <= set(hand), set(values) - set(hand)
    largest = max(float(np.max(np.abs(grad))) for grad in truth.values())
    return (
        {name: difference(hand[name], value, 0.0 if value.any() else 1.0) for name, value in values.items()},
        {name: difference(hand[name], grad, 1e-6 * largest) for name, grad in truth.items() if name in hand},
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SYSTEMS)
def test_right(name: str, seed: int) -> None:
    """All values and all gradients are autograd's."""
    values, grads = differences(SYSTEMS[name], "", seed)
    off = {k: v for k, v in (values | grads).items() if not v < TOLERANCE}
    assert not off


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: f"{v.system.name}: {v.wrong}")
def test_variant(variant: Variant, seed: int) -> None:
    """The loss and the final gradients are autograd's; the code does something else than without the switch."""
    values, grads = differences(variant.system, variant.wrong, seed)
    final = ["d" + name for name in variant.system.make(np.random.default_rng([seed, 17]))[0]]
    tolerance = FLOAT32 if variant.reason == "float32" else TOLERANCE
    off = {k: v for k, v in ({k: grads[k] for k in final} | {"loss": values["loss"]}).items() if not v < tolerance}
    assert not off


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.system.name}: {m.wrong}")
def test_mistake(mistake: Mistake, seed: int) -> None:
    """The tensor named `first` is off, and nothing that is computed before it."""
    values, grads = differences(mistake.system, mistake.wrong, seed)
    wrong_values = [name for name, off in values.items() if not off < TOLERANCE]
    wrong_grads = [name for name, off in grads.items() if not off < TOLERANCE]
    if mistake.stage == "forward":
        assert wrong_values[0] == mistake.first
        assert values[mistake.first] > VISIBLE
        return
    assert not wrong_values
    assert mistake.first in wrong_grads
    assert not grads[mistake.first] < VISIBLE
    params, inputs = mistake.system.make(np.random.default_rng([seed, 17]))
    parameters = {"d" + name for name in params}
    passed_on = [name for name in wrong_grads if name not in parameters]
    if mistake.first in parameters:  # then no name lies between it and the loss; an input's gradient may be off too
        assert {name[1:] for name in passed_on} <= set(inputs)
        assert next(name for name in wrong_grads if name in parameters) == mistake.first
    else:
        assert passed_on[0] == mistake.first


def test_once() -> None:
    """No mistake is listed twice."""
    listed = [(case.system.name, case.wrong) for case in [*MISTAKES, *VARIANTS]]
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.__name__)
def test_switches(file: ModuleType) -> None:
    """Each switch in a file is listed, and each listed one is a switch of its code."""
    code = inspect.getsource(file).split("\nMISTAKES")[0]
    listed = {case.wrong for case in [*file.MISTAKES, *file.VARIANTS]}
    assert {wrong for wrong in listed if f'"{wrong}"' not in code} == set()
    assert set(re.findall(r'wrong [!=]= "([^"]*)"', code)) <= listed


def test_ties_share() -> None:
    """The even split at a tie is a right answer: it is autograd's own for a maximum that is written `amax`."""
    params, inputs = pool.TIES.make(np.random.default_rng(3))
    x = torch.tensor(inputs["x"], requires_grad=True)
    m = x.unflatten(3, (-1, 3)).unflatten(2, (-1, 2)).amax(dim=(3, 5))
    out = torch.sigmoid(m.flatten(1) @ torch.tensor(params["W"]) + torch.tensor(params["b"]))
    ((out - torch.tensor(inputs["t"])) ** 2).sum(1).mean().backward()
    assert x.grad is not None
    _, _, named = pool.TIES.backward(params, inputs, "ties share")
    np.testing.assert_allclose(named["dx"], x.grad.numpy(), rtol=1e-9, atol=1e-12)
