"""MixtureOfExperts against autograd of the dense form, against loops over rows, and what routing leaves alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check_module, load, normal
from torch_impl import nn as theirs


def gated(side, features):
    return (nn if side is nn else theirs).SwiGLU(features, 2)


def two_layers(side, features):
    layers = nn if side is nn else torch.nn
    return layers.Sequential(layers.Linear(features, 2), layers.Sigmoid(), layers.Linear(2, features))


def both(features, experts, *arguments, expert=gated):
    return tuple(
        side.MixtureOfExperts(features, [expert(side, features) for _ in range(experts)], *arguments)
        for side in (nn, theirs)
    )


@pytest.mark.parametrize("expert", [gated, two_layers])
@pytest.mark.parametrize("load_balancing", [False, True])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_mixture(top_k, normalize, load_balancing, expert, dtype, device):
    """One expert a row, two, and all of them. With one, a normalised gate is 1 and the router learns nothing."""
    layers = both(2, 3, top_k, normalize, load_balancing, expert=expert)
    if top_k == 1 and normalize:
        only_balance(*layers, dtype)
    else:
        check_module(*layers, normal(4, 2), dtype=dtype, device=device)


def only_balance(hand, other, dtype):
    """y has no gradient for the router; autograd leaves the rounding of 1/S - p/S^2 there, we exactly 0."""
    x, g = normal(4, 2).astype(dtype), normal(4, 2, seed=1).astype(dtype)
    hand.to(dtype)
    _, saved = hand.forward(x)
    hand.backward((g, None) if hand.load_balancing else g, saved)
    assert not hand.router.weight.grad.any()


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("unused", [(0,), (1,)])
def test_one_output_may_go_unused(unused, normalize, dtype):
    check_module(*both(3, 4, 2, normalize, True), normal(5, 3), dtype=dtype, unused=unused)


@pytest.mark.parametrize("shape", [(3,), (3, 2, 3), (1, 3)], ids=str)
@pytest.mark.parametrize("load_balancing", [False, True])
def test_shapes(shape, load_balancing, dtype):
    check_module(*both(3, 4, 2, False, load_balancing), normal(*shape), dtype=dtype)


@pytest.mark.parametrize("load_balancing", [False, True])
def test_no_rows(load_balancing, dtype):
    """The balance of nothing is NaN on both sides."""
    check_module(*both(3, 4, 2, True, load_balancing), normal(0, 3), dtype=dtype)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.integers(2, 4), st.integers(1, 2), st.integers(1, 4), st.booleans(), st.booleans(), st.integers(0, 99))
def test_any_size(experts, more, rows, normalize, load_balancing, seed):
    top_k = min(more + normalize, experts)
    check_module(*both(2, experts, top_k, normalize, load_balancing), normal(rows, 2, seed=seed), seed=seed)


@pytest.mark.parametrize("normalize", [True, False])
def test_ties(normalize, dtype):
    """Experts 0, 2 and 3 have one logit at every row: of equals the lower numbers are chosen, on both sides."""
    hand, other = both(2, 4, 2, normalize)
    state = {name: normal(*value.shape) for name, value in hand.to(dtype).state_dict().items()}
    state["router.weight"][[2, 3]] = state["router.weight"][0]
    load(hand, other, state, dtype)
    x, g = normal(5, 2).astype(dtype), normal(5, 2, seed=1).astype(dtype)
    y, saved = hand.forward(x)
    assert {tuple(pair) for pair in saved[2].tolist()} == {(0, 2), (1, 0)}
    grad = hand.backward(g, saved)
    x_t = torch.tensor(x, requires_grad=True)
    out = other(x_t)
    out.backward(torch.tensor(g))
    tolerance = {"rtol": 0, "atol": 64 * np.finfo(dtype).eps}
    np.testing.assert_allclose(y, out.detach().cpu().numpy(), **tolerance)
    np.testing.assert_allclose(grad, x_t.grad.cpu().numpy(), **tolerance)
    np.testing.assert_allclose(hand.router.weight.grad, other.router.weight.grad.cpu().numpy(), **tolerance)


def test_ties_of_many():
    """Beyond 16 numbers NumPy's usual sort puts equals in any order."""
    layer = nn.MixtureOfExperts(2, [nn.Identity() for _ in range(40)], 3)
    layer.router.weight.data[:] = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])[np.arange(40) % 4]
    _, (_, _, chosen, _, _) = layer.forward(np.array([[1, 0], [0, 1], [-1, -2], [1, 2]], np.float32))
    assert chosen.tolist() == [[1, 3, 5], [2, 3, 6], [0, 4, 8], [3, 7, 11]]


def drawn(*arguments, load_balancing=False):
    layer = nn.MixtureOfExperts(3, [nn.SwiGLU(3, 2) for _ in range(4)], *arguments, load_balancing).double()
    layer.load_state_dict({name: normal(*value.shape) for name, value in layer.state_dict().items()})
    return layer


@pytest.mark.parametrize("normalize", [True, False])
def test_one_row_at_a_time(normalize):
    """The docstring's formulas, row by row and expert by expert."""
    layer, x, g = drawn(2, normalize), normal(5, 3), normal(5, 3, seed=1)
    y, saved = layer.forward(x)
    grad_x = layer.backward(g, saved)
    router, experts = layer.router.weight.data, list(layer.experts)
    found = {name: parameter.grad for name, parameter in layer.named_parameters()}
    layer.zero_grad()
    expected, gx, gr = np.zeros_like(y), np.zeros_like(x), np.zeros_like(router)
    for r in range(5):
        z = router @ x[r]
        p = np.exp(z) / np.exp(z).sum()
        chosen = sorted(range(4), key=lambda e: -z[e])[:2]
        total = sum(p[e] for e in chosen) if normalize else 1.0
        grad_a, a = {}, {e: p[e] / total for e in chosen}
        for e in chosen:
            output, saved_expert = experts[e].forward(x[r])
            expected[r] += a[e] * output
            grad_a[e] = g[r] @ output
            gx[r] += experts[e].backward(a[e] * g[r], saved_expert)
        for i in range(4):
            grad_z = 0.0
            for e in chosen:
                if normalize:  # softmax over the chosen alone: top-k first
                    grad_z += grad_a[e] * a[e] * ((i == e) - a.get(i, 0.0))
                else:
                    grad_z += grad_a[e] * p[e] * ((i == e) - p[i])
            gr[i] += grad_z * x[r]
            gx[r] += grad_z * router[i]
    np.testing.assert_allclose(y, expected, atol=1e-14)
    np.testing.assert_allclose(grad_x, gx, atol=1e-13)
    np.testing.assert_allclose(found["router.weight"], gr, atol=1e-13)
    for name, parameter in layer.named_parameters():
        if parameter.grad is not None:
            np.testing.assert_allclose(found[name], parameter.grad, atol=1e-13, err_msg=name)


def test_an_expert_takes_its_own_rows_alone_and_once():
    seen = []

    class Watched(nn.SwiGLU):
        def forward(self, x):
            seen.append(len(x))
            return super().forward(x)

    layer = nn.MixtureOfExperts(2, [Watched(2, 3) for _ in range(4)], 2)
    layer.router.weight.data[:] = [[1, 0], [2, 0], [-1, 0], [-2, 0]]  # x > 0: experts 1, 0; x < 0: experts 3, 2
    x = np.array([[1, 5], [2, 5], [3, 5], [-1, 5]], np.float32)
    y, saved = layer.forward(x)
    assert seen == [3, 3, 1, 1]
    layer.backward(y, saved)
    layer.zero_grad()
    seen.clear()
    y, saved = layer.forward(x[:3])
    assert seen == [3, 3]
    layer.backward(y, saved)
    assert [expert.up_proj.weight.grad is None for expert in layer.experts] == [False, False, True, True]


def test_no_gradient_of_the_input_is_computed_where_none_is_asked_for():
    asked = []

    class Watched(nn.SwiGLU):
        def backward(self, grad_output, saved, *, input_grad=True):
            asked.append(input_grad)
            return super().backward(grad_output, saved, input_grad=input_grad)

    layer = nn.MixtureOfExperts(3, [Watched(3, 2)] * 2, 2)
    y, saved = layer.forward(normal(4, 3).astype(np.float32))
    assert layer.backward(y, saved, input_grad=False) is None
    assert asked == [False, False]


def test_balance_is_one_where_all_is_even_and_the_number_of_experts_where_one_takes_all():
    layer = nn.MixtureOfExperts(2, [nn.SwiGLU(2, 3) for _ in range(4)], 1, load_balancing=True)
    layer.router.weight.data[:] = [[50, 0], [0, 50], [-50, 0], [0, -50]]
    even = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
    assert layer(even)[1] == pytest.approx(1)
    assert layer(even[[0, 0, 0]])[1] == pytest.approx(4)
    assert layer(even)[1].shape == ()


def test_large_logits_do_not_overflow(dtype):
    layer = drawn(2).to(dtype)
    y, saved = layer.forward(1000 * normal(3, 3).astype(dtype))
    assert np.isfinite(y).all()
    assert np.isfinite(layer.backward(y / 1e6, saved)).all()


def test_the_router_is_drawn_as_a_linear_layer():
    layer = nn.MixtureOfExperts(3, [nn.SwiGLU(3, 2)] * 1, 1, generator=np.random.default_rng(4))
    expected = nn.Linear(3, 1, bias=False, generator=np.random.default_rng(4))
    assert np.array_equal(layer.router.weight.data, expected.weight.data)
    assert layer.router.weight.dtype == np.float32
    assert nn.MixtureOfExperts(3, [nn.SwiGLU(3, 2)], 1, dtype=np.float64).router.weight.dtype == np.float64
    assert list(layer.state_dict())[:2] == ["router.weight", "experts.0.gate_proj.weight"]


def test_bad_arguments():
    for top_k in [0, 3]:
        with pytest.raises(ValueError, match=f"from 1 to the number of experts, 2, not {top_k}"):
            nn.MixtureOfExperts(3, [nn.SwiGLU(3, 2), nn.SwiGLU(3, 2)], top_k)
    layer = drawn(2)
    for bad in [normal(3, 4), np.float64(1)]:
        with pytest.raises(ValueError, match=r"takes \(\.\.\., 3\)"):
            layer.forward(bad)
    with pytest.raises(TypeError, match="MixtureOfExperts has parameters of float64 but was given float32"):
        layer.forward(normal(3, 3).astype(np.float32))
