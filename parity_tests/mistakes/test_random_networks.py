"""Right networks, drawn at random: the backward by hand is autograd's, and check() finds nothing wrong."""

from typing import Any

import numpy as np
import pytest
import torch

from handgrad import check
from parity_tests.mistakes.case import Array, Arrays
from parity_tests.mistakes.random_networks import random_network

# Relative to the tensor's largest entry, or to 1e-6 of the largest gradient where it is all but zero.
TOLERANCE = 1e-9


def gradients(forward: Any, params: Arrays, inputs: Arrays) -> tuple[float, dict[str, Array]]:
    """(loss, {"W0": gradient, "x": ..., "h0": ...}) by autograd."""
    p, x = ({name: torch.tensor(array) for name, array in part.items()} for part in (params, inputs))
    for leaf in (*p.values(), *x.values()):
        leaf.requires_grad_(leaf.is_floating_point())
    loss, named = forward(p, x)
    wanted = {name: t for name, t in {**p, **x, **named}.items() if t.requires_grad}
    grads = torch.autograd.grad(loss, list(wanted.values()), allow_unused=True)
    zeros = [torch.zeros_like(t) for t in wanted.values()]
    found = {name: z if g is None else g for name, g, z in zip(wanted, grads, zeros, strict=True)}
    return float(loss.detach()), {name: grad.numpy() for name, grad in found.items()}


@pytest.mark.parametrize("seed", range(60))
def test_backward_is_autograds(seed: int) -> None:
    forward, backward, params, inputs = random_network(np.random.default_rng(seed), mild=True)
    loss, truth = gradients(forward, params, inputs)
    by_hand, grads, named = backward(params, inputs)
    assert float(by_hand) == pytest.approx(loss, rel=TOLERANCE)
    hand = grads | {name[1:]: array for name, array in named.items() if name[1:] in truth}
    largest = max(float(np.abs(grad).max()) for grad in truth.values())
    for name, grad in hand.items():
        assert grad.shape == truth[name].shape, name
        off = np.abs(grad - truth[name]).max() / max(np.abs(truth[name]).max(), 1e-6 * largest)
        assert off < TOLERANCE, name


def false_alarm(seed: int) -> str:
    """The report on this network, if it calls something wrong."""
    report = check(*random_network(np.random.default_rng([seed, 1])))
    return "" if report.ok else f"seed {seed}\n{report}"


@pytest.mark.parametrize("seed", range(60))
def test_no_false_alarm(seed: int) -> None:
    assert false_alarm(seed) == ""


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(30))
def test_no_false_alarm_in_3000(hundred: int) -> None:
    assert [alarm for seed in range(100 * hundred, 100 * hundred + 100) if (alarm := false_alarm(seed))] == []
