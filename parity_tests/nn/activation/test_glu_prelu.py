"""GLU, which halves an axis, and PReLU, whose slopes are learned."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_exact, check_refused, integers, normal


@pytest.mark.parametrize(
    ("shape", "dim"),
    [((4,), -1), ((2,), 0), ((3, 4), 1), ((4, 3), 0), ((4, 3), -2), ((2, 6, 3), 1), ((3, 0), -1), ((0, 4), 1)],
    ids=str,
)
def test_glu(shape, dim, dtype, device):
    check(lambda nn: nn.GLU(dim), 2 * normal(*shape), dtype=dtype, device=device)


def test_glu_takes_the_last_axis():
    check(lambda nn: nn.GLU(), normal(3, 2, 4))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.data(), st.integers(0, 99))
def test_glu_any_shape(shape, data, seed):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    shape[dim] *= 2
    check(lambda nn: nn.GLU(dim), 3 * normal(*shape, seed=seed), seed=seed)


@pytest.mark.parametrize(
    ("shape", "dim", "error", "match"),
    [
        ((), -1, ValueError, "a number has none"),
        ((3, 4), 0, ValueError, r"dim=0\) halves that axis of \(3, 4\).*even"),
        ((4, 5), -1, ValueError, r"even"),
        ((4, 4), 2, IndexError, r"dim=2\).*-2 to 1"),
        ((4, 4), -3, IndexError, r"dim=-3\)"),
        ((4, 4), 1.0, TypeError, "whole number"),
    ],
)
def test_glu_refuses(shape, dim, error, match):
    check_refused(lambda nn: nn.GLU(dim), normal(*shape), error=error, match=f"GLU.*{match}")


def test_the_gate_of_glu_at_its_ends():
    x = np.array([[3.0, np.inf, np.inf, np.nan, 2.0, -2.0], [np.inf, -np.inf, 1.0, 1.0, np.nan, -800.0]]).T.copy()
    upstream = normal(6, 1)
    t = torch.tensor(x, requires_grad=True)
    expected = torch.nn.GLU()(t)
    expected.backward(torch.tensor(upstream))
    y, saved = nn.GLU().forward(x)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-15)
    np.testing.assert_allclose(nn.GLU().backward(upstream, saved), t.grad.numpy(), rtol=1e-15)


def test_integers_are_refused():
    with pytest.raises(TypeError, match=r"GLU.*floats, not int64"):
        nn.GLU().forward(np.ones(4, int))


@pytest.mark.parametrize("shape", [(), (1,), (4,), (0,), (4, 3), (0, 3), (3, 0), (2, 3, 5), (2, 3, 0)], ids=str)
def test_one_slope(shape, dtype, device):
    check(lambda nn: nn.PReLU(), 2 * normal(*shape), dtype=dtype, device=device)


@pytest.mark.parametrize("shape", [(4, 3), (0, 3), (2, 3, 5), (2, 3, 2, 2), (2, 3, 0), (1, 3)], ids=str)
def test_a_slope_for_each_channel(shape, dtype, device):
    check(lambda nn: nn.PReLU(3, 0.1), 2 * normal(*shape), dtype=dtype, device=device)


def test_no_channels_are_channels():
    check(lambda nn: nn.PReLU(0), normal(3, 0))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 4), st.integers(0, 4), st.lists(st.integers(0, 3), max_size=2), st.booleans(), st.integers(0, 99))
def test_prelu_any_shape(channels, samples, places, shared, seed):
    x = normal(samples, channels, *places, seed=seed)
    check(lambda nn: nn.PReLU(1 if shared else channels), x, seed=seed)


@pytest.mark.parametrize("parameters", [1, 3])
def test_prelu_is_exact_on_integers(parameters):
    """Zeros among them: a kink of the input, and no part of the slope's gradient."""
    check_exact(lambda nn: nn.PReLU(parameters), integers(5, 3, 4, below=7) - 3.0)


def test_prelu_starts_at_init():
    assert nn.PReLU().weight.data.tolist() == [0.25]
    weight = nn.PReLU(3, 0.4, dtype=np.float64).weight.data
    assert weight.tolist() == [0.4] * 3
    assert nn.PReLU(3, 0.4).weight.dtype == np.float32


@pytest.mark.parametrize("shape", [(), (3,), (4,), (4, 2), (2, 4, 3), (3, 0)], ids=str)
def test_channels_that_do_not_fit_are_refused(shape):
    check_refused(lambda nn: nn.PReLU(3), normal(*shape), error=ValueError, match=r"\(N, 3, \.\.\.\).*axis 1")


def test_prelu_refuses():
    with pytest.raises(TypeError, match=r"float32 but was given float64.*astype"):
        nn.PReLU().forward(normal(3))
    with pytest.raises(ValueError, match="num_parameters=-1"):
        nn.PReLU(-1)
    with pytest.raises(NotImplementedError, match="device"):
        nn.PReLU(device="cpu")


def test_the_slopes_gradient_at_the_ends():
    """An infinite input times an upstream gradient of 0 is NaN, as in torch, without a warning."""
    x, upstream = np.array([-np.inf, np.inf, -1.0]), np.array([0.0, 0.0, 2.0])
    theirs, hand = torch.nn.PReLU().double(), nn.PReLU(dtype=np.float64)
    theirs(torch.tensor(x)).backward(torch.tensor(upstream))
    hand.backward(upstream, hand.forward(x)[1])
    assert np.isnan(hand.weight.grad).all()
    assert theirs.weight.grad.isnan().all()
    hand.weight.data[:] = 0
    assert np.isnan(hand(x)[0])
