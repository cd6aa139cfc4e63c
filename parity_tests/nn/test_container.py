"""Sequential against torch, forwards and backwards."""

from collections import OrderedDict

import numpy as np
import pytest

from manual import nn
from parity_tests.parity import check, normal


def deep(nn):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(6, 5), nn.Sigmoid(), nn.Sequential(nn.Linear(5, 4), nn.Sigmoid()), nn.Linear(4, 3)
    )


def test_sequential(dtype, device):
    check(deep, normal(7, 2, 3), dtype=dtype, device=device)


@pytest.mark.parametrize("build", [lambda nn: nn.Sequential(), lambda nn: nn.Sequential(nn.Identity())])
def test_almost_nothing(build, dtype):
    check(build, normal(3, 2), dtype=dtype)


def test_a_module_may_stand_twice(dtype, device):
    """Weight sharing: both uses add to one gradient, and the state dict has both names, as in torch."""

    def shared(nn):
        layer = nn.Linear(4, 4)
        return nn.Sequential(layer, nn.Sigmoid(), layer)

    import torch

    assert list(shared(nn).state_dict()) == list(shared(torch.nn).state_dict())
    assert [name for name, _ in shared(nn).named_parameters()] == ["0.weight", "0.bias"]
    hand, theirs = shared(nn).to(dtype), shared(torch.nn).to(getattr(torch, dtype)).to(device)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in hand.state_dict().items()})
    x = normal(3, 4).astype(dtype)
    _, saved = hand.forward(x)
    upstream = normal(3, 4, seed=5).astype(dtype)
    grad_x = hand.backward(upstream, saved)
    x_t = torch.tensor(x, requires_grad=True, device=device)
    theirs(x_t).backward(torch.tensor(upstream, device=device))
    tolerance = 16 * np.finfo(dtype).eps  # sums of at most twelve products of order one
    assert np.allclose(grad_x, x_t.grad.cpu().numpy(), rtol=0, atol=tolerance)
    for p, q in zip(hand.parameters(), theirs.parameters(), strict=True):
        assert np.allclose(p.grad, q.grad.cpu().numpy(), rtol=0, atol=tolerance)


def test_items_and_length():
    network = deep(nn)
    assert len(network) == 5
    assert isinstance(network[2], nn.Sigmoid)
    assert network[-1] is list(network)[4]


def test_names_may_be_given():
    import torch

    parts = {"first": nn.Linear(2, 3), "then": nn.Sigmoid()}
    theirs = torch.nn.Sequential(OrderedDict(first=torch.nn.Linear(2, 3), then=torch.nn.Sigmoid()))
    assert list(nn.Sequential(parts).state_dict()) == list(theirs.state_dict())


def test_only_modules():
    with pytest.raises(TypeError, match=r"takes modules.*not int"):
        nn.Sequential(nn.Sigmoid(), 3)


class Asked(nn.Identity):
    """Keeps whether it was asked for its input's gradient."""

    def backward(self, grad_output, saved, *, input_grad=True):
        self.asked = input_grad
        return super().backward(grad_output, saved, input_grad=input_grad)


@pytest.mark.parametrize("input_grad", [True, False])
def test_only_the_first_modules_input_gradient_is_left_out(input_grad):
    network = nn.Sequential(Asked(), Asked(), Asked())
    y, saved = network.forward(normal(3, 2))
    network.backward(y, saved, input_grad=input_grad)
    assert [module.asked for module in network] == [input_grad, True, True]
