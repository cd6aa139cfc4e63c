"""The exact oracle: on networks of integers the hand-written gradients and autograd's are equal bit for bit.

No tolerance and no measure of rounding stands between a wrong formula and this test.
"""

from functools import cache

import numpy as np
import pytest
import torch

from handgrad.recording import by_hand, with_autograd
from manual.nn import Linear, MSELoss
from parity_tests.tracing import integer_networks
from parity_tests.tracing.integer_networks import HAND, TORCH, build, plan

NETWORKS = 600


def integers(random, shape, dtype, largest=2):
    return random.integers(-largest, largest + 1, size=shape).astype(dtype)


def drawn(seed, dtype):
    """Return both networks with the same integer weights, inputs and targets."""
    random = np.random.default_rng([seed, 5])
    layers, shape = plan(random)
    hand, autograd = build(HAND, layers, np.dtype(dtype)), build(TORCH, layers, getattr(torch, dtype))
    state = {name: integers(random, value.shape, dtype) for name, value in hand.state_dict().items()}
    x = integers(random, shape, dtype)
    target = integers(random, hand.load_state_dict(state) or hand(x).shape, dtype, 3)
    autograd.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    return hand, autograd, x, target


def by_hand_alone(hand, x, target):
    """Return all that the hand-written side computes: outputs, gradients and those of the parameters, by name."""
    hand.zero_grad()
    loss = MSELoss(reduction="sum")
    with by_hand({"": hand, "loss": loss}) as found:
        y, saved = hand.forward(x)
        _, saved_loss = loss.forward(y, target)
        hand.backward(loss.backward(1.0, saved_loss)[0], saved)
    return by_name(found, hand)


def by_both(hand, autograd, x, target):
    """Return the same of both sides."""
    autograd.zero_grad()
    loss = torch.nn.MSELoss(reduction="sum")
    with with_autograd({"": autograd, "loss": loss}) as found:
        inputs = [torch.tensor(array, requires_grad=True) for array in (x, target)]
        loss(autograd(inputs[0]), inputs[1]).backward()
    return by_hand_alone(hand, x, target), by_name(found, autograd)


def by_name(found, network):
    grads = found.grads | {name: np.asarray(parameter.grad) for name, parameter in network.named_parameters()}
    return found.values | {f"d_L_d_{name}": grad for name, grad in grads.items()}


def differing_bits(a, b):
    """Return in how many bits two arrays differ; 0.0 and -0.0 are the same number."""
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    unsigned = {4: np.uint32, 8: np.uint64}[a.itemsize]
    bits = ((part + a.dtype.type(0)).view(unsigned) for part in (np.atleast_1d(a), np.atleast_1d(b)))
    return int(np.bitwise_count(np.bitwise_xor(*bits)).sum())


def largest_partial_sum(hand, x, target):
    """Return a bound on every partial sum: with all signs positive nothing cancels, and nothing is cut off."""
    state = hand.state_dict()
    hand.to(np.float64).load_state_dict({name: np.abs(value) for name, value in state.items()})
    found = by_hand_alone(hand, np.abs(x).astype(np.float64), -np.abs(target).astype(np.float64))
    hand.to(x.dtype).load_state_dict(state)
    return max(float(np.abs(value).max(initial=0)) for value in found.values())


def exact_networks(count, dtype):
    """Yield networks in which every partial sum fits the mantissa, so that no operation can round."""
    found, seed = 0, 0
    while found < count:
        network = drawn(seed, dtype)
        seed += 1
        if largest_partial_sum(network[0], *network[2:]) < 2 / np.finfo(dtype).eps:
            found += 1
            yield network
    assert seed < 4 * count, "too few of the networks that are drawn are exact"


def test_six_hundred_networks_of_integers_agree_bit_for_bit(dtype):
    names, kinds = 0, set()
    for hand, autograd, x, target in exact_networks(NETWORKS // 2, dtype):
        ours, theirs = by_both(hand, autograd, x, target)
        assert set(ours) == set(theirs)
        for name, value in ours.items():
            assert (value == np.round(value)).all(), name
            assert differing_bits(value, theirs[name]) == 0, name
        names += len(ours)
        kinds |= {type(module).__name__ for _, module in hand.named_modules()}
    assert kinds == {"Sequential", "Conv2d", "ReLU", "Flatten", "Linear", "Residual", "Square", "Sum"}
    assert names > 20 * NETWORKS // 2


@cache
def some_networks(dtype):
    return list(exact_networks(60, dtype))


def off_by_one(right, where):
    """A backward that is wrong by the smallest integer, in one entry of one parameter's gradient."""

    def backward(self, grad_output, saved, *, input_grad=True):
        result = right(self, grad_output, saved, input_grad=input_grad)
        grad = getattr(self, where).grad.copy()
        grad.flat[-1] += 1
        getattr(self, where).grad = grad
        return result

    return backward


def relu_at_zero(self, x):
    """The mistake that no random real number shows: the slope at exactly 0 taken as 1."""
    return np.where(x > 0, x, np.zeros_like(x)), x >= 0


PLANTED = {
    "the smallest step in a weight": (Linear, "backward", off_by_one(Linear.backward, "weight"), ".weight"),
    "the smallest step in a bias": (
        *(integer_networks.Conv2d, "backward"),
        *(off_by_one(integer_networks.Conv2d.backward, "bias"), ".bias"),
    ),
    "the slope of ReLU at 0": (integer_networks.ReLU, "forward", relu_at_zero, ".input"),
    "the residual branch without the sum": (
        *(integer_networks.Residual, "backward"),
        *(lambda self, g, saved, *, input_grad=True: self.inner.backward(g, saved), ".input"),
    ),
    "a sum's gradient divided by its size": (
        *(integer_networks.Sum, "backward"),
        *(lambda self, g, saved, *, input_grad=True: np.broadcast_to(g / saved[-1], saved).copy(), ".input"),
    ),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_planted_mistake_differs_in_bits(monkeypatch, mistake, dtype):
    kind, half, wrong, where = PLANTED[mistake]
    networks = [n for n in some_networks(dtype) if any(type(m) is kind for _, m in n[0].named_modules())]
    monkeypatch.setattr(kind, half, wrong)
    seen = 0
    for hand, autograd, x, target in networks:
        ours, theirs = by_both(hand, autograd, x, target)
        wrong_names = [name for name in ours if differing_bits(ours[name], theirs[name])]
        seen += bool(wrong_names)
        assert not [name for name in wrong_names if not name.startswith("d_L_d_")]
        assert not wrong_names or any(name.endswith(where) for name in wrong_names)
    # Where nothing comes down from above, or a size is 1, a mistake leaves nothing to see.
    assert len(networks) >= 8
    assert seen > len(networks) / 3
