"""The nine-scalar network against its twin, and against the stock modules that are the same function."""

import numpy as np
import pytest
import torch

import manual.networks as by_hand
import torch_impl.networks as with_autograd
from handgrad.weights import NINE_SCALARS, layers_to_scalars, scalars_to_layers
from manual import nn
from manual.networks.two_two_one import NAMES
from parity_tests.parity import check_module, normal


@pytest.mark.parametrize("shape", [(3, 2), (1, 2), (2,), (0, 2), (4, 3, 2)], ids=str)
def test_against_its_twin(shape, dtype, device):
    check_module(by_hand.TwoTwoOne(), with_autograd.TwoTwoOne(), normal(*shape), dtype=dtype, device=device)


def test_names_are_the_tutorials_in_its_order():
    assert NAMES == with_autograd.two_two_one.NAMES == tuple(NINE_SCALARS)
    assert [name for name, _ in by_hand.TwoTwoOne().named_parameters()] == list(NAMES)


def stock(nn):
    return nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1), nn.Sigmoid())


@pytest.mark.parametrize("build", [lambda: stock(nn), lambda: stock(torch.nn).double()], ids=["by hand", "torch"])
def test_is_the_layered_network_under_other_names(build):
    """Outputs and all nine gradients, through the one table that maps the names."""
    scalars = by_hand.TwoTwoOne(dtype=np.float64, generator=np.random.default_rng(3))
    state = scalars_to_layers(scalars.state_dict())
    x, g = normal(5, 2), normal(5, 1, seed=2)
    y, saved = scalars.forward(x)
    scalars.backward(g, saved)
    build = build()
    if isinstance(build, nn.Sequential):
        build.to(np.float64).load_state_dict(state)
        other, saved = build.forward(x)
        build.backward(g, saved)
        gradients = {name: p.grad for name, p in build.named_parameters()}
    else:
        build.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
        output = build(torch.tensor(x))
        output.backward(torch.tensor(g))
        other = output.detach().cpu().numpy()
        gradients = {name: p.grad.cpu().numpy() for name, p in build.named_parameters()}
    tolerance = 16 * np.finfo(float).eps  # sums of five products of order one
    np.testing.assert_allclose(y, other, rtol=tolerance)
    for name, value in layers_to_scalars(gradients).items():
        np.testing.assert_allclose(getattr(scalars, name).grad, value, rtol=0, atol=tolerance, err_msg=name)


def test_names_go_both_ways():
    state = by_hand.TwoTwoOne(dtype=np.float64).state_dict()
    back = layers_to_scalars(scalars_to_layers(state))
    assert all(np.array_equal(back[name], state[name]) for name in NAMES)


def test_takes_lists_and_integers_as_the_tutorial_writes_them():
    network = by_hand.TwoTwoOne(dtype=np.float64)
    for name in NAMES:
        getattr(network, name).data = np.array(float(name[0] == "w"))
    assert network.feedforward([-2, -1]) == pytest.approx(0.5236951740839997, rel=1e-15)


def test_bad_input():
    with pytest.raises(ValueError, match=r"two inputs.*\(4, 3\)"):
        by_hand.TwoTwoOne(dtype=np.float64).forward(np.ones((4, 3)))
    with pytest.raises(TypeError, match="int64"):
        by_hand.TwoTwoOne().forward(np.ones((4, 2), dtype=int))
