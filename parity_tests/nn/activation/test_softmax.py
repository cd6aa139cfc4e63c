"""Softmax, Softmin, LogSoftmax and Softmax2d against torch."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from manual.nn.activation import softmax, softmax_backward
from parity_tests.parity import check, check_refused, normal

NAMES = ["Softmax", "Softmin", "LogSoftmax"]


def along(name, dim):
    return lambda nn: getattr(nn, name)(dim)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("shape", "dim"),
    [
        *[((), 0), ((), -1), ((1,), 0), ((5,), 0), ((5,), -1), ((4, 5), 0), ((4, 5), 1), ((4, 5), -1), ((4, 5), -2)],
        *[((2, 3, 4), 1), ((2, 3, 4), -3), ((3, 1, 4), 1), ((2, 3, 1, 4), -2), ((0,), 0), ((3, 0), 0), ((3, 0), 1)],
    ],
    ids=str,
)
def test_softmax(name, shape, dim, dtype, device):
    check(along(name, dim), 3 * normal(*shape), dtype=dtype, device=device)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(NAMES), st.lists(st.integers(0, 4), min_size=1, max_size=3), st.data(), st.integers(0, 99))
def test_softmax_any_shape(name, shape, data, seed):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    check(along(name, dim), 5 * normal(*shape, seed=seed), seed=seed)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 2, 2), (0, 3, 2, 2), (2, 0, 4)], ids=str)
def test_softmax_2d(shape, dtype, device):
    check(lambda nn: nn.Softmax2d(), 3 * normal(*shape), dtype=dtype, device=device)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(), (5,), (4, 5), (2, 3, 4), (2, 3, 2, 2), (2, 3, 1, 2, 1)], ids=str)
def test_without_dim_it_is_torchs_choice_and_it_warns_as_torch_does(name, shape):
    x = normal(*shape)
    upstream = normal(*shape, seed=1)
    t = torch.tensor(x, requires_grad=True)
    with pytest.warns(UserWarning, match="Implicit dimension"):
        y = getattr(torch.nn, name)()(t)
    y.backward(torch.tensor(upstream))
    module = getattr(nn, name)()
    with pytest.warns(UserWarning, match=rf"{name} without dim= takes axis (\d).*write {name}\(dim=\1\)") as caught:
        found, saved = module.forward(x)
    assert caught[0].filename == __file__
    np.testing.assert_allclose(found, y.detach().cpu().numpy(), rtol=1e-14)
    np.testing.assert_allclose(module.backward(upstream, saved), t.grad.cpu().numpy(), rtol=1e-13, atol=1e-15)


ROWS = [
    *[[-np.inf, -np.inf, -np.inf], [np.inf, 1.0, 2.0], [np.inf, np.inf, -np.inf], [-np.inf, 1.0, 2.0]],
    *[[np.nan, 1.0, 2.0], [np.inf, np.nan, 1.0], [3e38, -3e38, 0.0], [-3e38, -3e38, -3e38], [1e4, 1e4, -1e4]],
    *[[-1e4, -1e4, -2e4], [0.0, -0.0, 0.0], [-800.0, 800.0, 799.0]],
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_ends(name, row, dtype):
    """Rows that are not finite, or huge, beside one that is: NaN where torch has it, no warning."""
    x = np.array([row, [0.3, -0.7, 1.1]], dtype)
    upstream = normal(2, 3).astype(dtype)
    t = torch.tensor(x, requires_grad=True)
    expected = getattr(torch.nn, name)(1)(t)
    expected.backward(torch.tensor(upstream))
    module = getattr(nn, name)(1)
    y, saved = module.forward(x)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected.detach().cpu().numpy(), rtol=4 * eps, atol=0)
    np.testing.assert_allclose(module.backward(upstream, saved), t.grad.cpu().numpy(), rtol=8 * eps, atol=4 * eps)


def test_an_upstream_gradient_that_is_not_finite_does_not_warn():
    x = normal(2, 3)
    upstream = np.array([[np.inf, 1.0, 2.0], [0.0, np.nan, 1.0]])
    for name in NAMES:
        t = torch.tensor(x, requires_grad=True)
        getattr(torch.nn, name)(-1)(t).backward(torch.tensor(upstream))
        module = getattr(nn, name)(-1)
        np.testing.assert_array_equal(
            np.isnan(module.backward(upstream, module.forward(x)[1])), np.isnan(t.grad.cpu().numpy())
        )


def test_log_softmax_keeps_what_the_log_of_a_softmax_loses():
    y = nn.LogSoftmax(0)(np.array([0.0, -1000.0, -2000.0]))
    assert y.tolist() == [0.0, -1000.0, -2000.0]
    small = nn.LogSoftmax(0)(np.array([40.0, 0.0]))
    assert small[1] == pytest.approx(-40, rel=1e-16)


def test_the_jacobian_is_diag_y_minus_y_yt():
    """The naive form: the matrix is built, and the gradient is its product with g."""
    x, g = 2 * normal(6), normal(6, seed=3)
    y = softmax(x, 0)
    jacobian = np.diag(y) - np.outer(y, y)
    np.testing.assert_allclose(softmax_backward(g, y, 0), jacobian @ g, rtol=1e-13)
    step = np.array([softmax(x + 1e-100j * e, 0).imag / 1e-100 for e in np.eye(6)]).T
    np.testing.assert_allclose(step, jacobian, rtol=1e-13, atol=1e-17)


def test_gradients_sum_to_zero_and_an_equal_upstream_gives_none():
    y = softmax(normal(4, 5), 1)
    assert np.abs(softmax_backward(normal(4, 5, seed=1), y, 1).sum(axis=1)).max() < 1e-15
    assert np.abs(softmax_backward(np.full((4, 5), 3.0), y, 1)).max() < 1e-15


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("dim", "shape", "error", "match"),
    [
        (2, (3, 4), IndexError, r"dim=2\).*\(3, 4\).*-2 to 1"),
        (-3, (3, 4), IndexError, r"dim=-3"),
        (1, (), IndexError, r"\(\).*-1 to 0"),
        (-2, (), IndexError, r"dim=-2"),
        (1.0, (3, 4), TypeError, r"dim=1\.0.*whole number"),
        (True, (3, 4), TypeError, r"dim=True.*whole number"),
    ],
)
def test_bad_dims(name, dim, shape, error, match):
    check_refused(along(name, dim), normal(*shape), error=error, match=f"{name}.*{match}")


@pytest.mark.parametrize("shape", [(3,), (3, 4), (1, 2, 3, 2, 2)], ids=str)
def test_softmax_2d_takes_pictures(shape):
    check_refused(lambda nn: nn.Softmax2d(), normal(*shape), error=ValueError, match=r"\(N, C, H, W\)")


def test_dim_may_be_an_integer_of_numpy():
    assert nn.Softmax(np.int64(1)).forward(normal(2, 3))[0].sum(axis=1) == pytest.approx([1, 1])


@pytest.mark.parametrize("name", [*NAMES, "Softmax2d"])
def test_integers_are_refused(name):
    module = nn.Softmax2d() if name == "Softmax2d" else getattr(nn, name)(0)
    with pytest.raises(TypeError, match=f"{name}.*floats, not int64"):
        module.forward(np.ones((2, 3, 4), int))


def test_given_a_dim_it_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.Softmax(dim=1)(normal(2, 3))
