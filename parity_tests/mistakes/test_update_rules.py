"""The planted mistakes of update rules: torch's updates without, others with."""

import inspect
import re
from types import ModuleType

import numpy as np
import pytest
import torch

from parity_tests.mistakes import optimizers, optimizers_adaptive
from parity_tests.mistakes.case import Array
from parity_tests.mistakes.optimizers import Rule, UpdateMistake, UpdateVariant

FILES = [optimizers, optimizers_adaptive]
RULES = [rule for file in FILES for rule in file.RULES]
MISTAKES = [mistake for file in FILES for mistake in file.MISTAKES]
VARIANTS = [variant for file in FILES for variant in file.VARIANTS]
STEPS = 20


def trajectories(rule: Rule, wrong: str, seed: int) -> tuple[list[Array], list[Array]]:
    """(by hand, torch's): all parameters after each step, from the same start and with the same gradients."""
    rng = np.random.default_rng([seed, 5])
    shapes = {"W": (4, 3), "b": (5,), "E": (2, 3, 2)}
    params = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in params.items()}
    optimizer = rule.torch(tensors.values())
    state: optimizers.State = {}
    by_hand, truth = [], []
    for number in range(STEPS):
        size = 1.0 if number % 3 else 0.02  # at some steps the norm is below the limit
        grads = {name: size * rng.standard_normal(shape) for name, shape in shapes.items()}
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(grads[name])
        if rule.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(tensors.values(), rule.clip_norm)
        optimizer.step()
        params = rule.step(
            {k: v.copy() for k, v in params.items()}, {k: v.copy() for k, v in grads.items()}, state, wrong
        )
        by_hand.append(np.concatenate([value.ravel() for value in params.values()]))
        truth.append(np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors.values()]))
    return by_hand, truth


def difference(rule: Rule, wrong: str, seed: int) -> float:
    """The largest difference over all steps, relative to the largest parameter."""
    by_hand, truth = trajectories(rule, wrong, seed)
    return max(float(np.max(np.abs(b - t)) / np.max(np.abs(t))) for b, t in zip(by_hand, truth, strict=True))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_right(rule: Rule, seed: int) -> None:
    """Twenty steps are torch's."""
    assert difference(rule, "", seed) < 1e-12


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: f"{v.rule.name}: {v.wrong}")
def test_variant(variant: UpdateVariant, seed: int) -> None:
    """Another form of the same rule takes the same steps."""
    assert difference(variant.rule, variant.wrong, seed) < 1e-12


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.rule.name}: {m.wrong}")
def test_mistake(mistake: UpdateMistake, seed: int) -> None:
    """Some step is another than torch's."""
    assert not difference(mistake.rule, mistake.wrong, seed) < 1e-7


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.__name__)
def test_switches(file: ModuleType) -> None:
    """Each switch of a rule is listed, and each listed one is a switch."""
    source = inspect.getsource(file)
    code = source[: source.index("\nRULES = ")]
    for case in [*file.MISTAKES, *file.VARIANTS]:
        assert f'"{case.wrong}"' in inspect.getsource(case.rule.step), case.wrong
    listed = {case.wrong for case in [*file.MISTAKES, *file.VARIANTS]}
    assert set(re.findall(r'wrong [!=]= "([^"]*)"', code)) <= listed
