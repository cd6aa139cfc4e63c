"""Every function of one entry against torch, with every option."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.nn.activation.cases import ELEMENTWISE, build, exact, name_of
from parity_tests.parity import check, normal


@pytest.mark.parametrize("case", ELEMENTWISE, ids=name_of)
@pytest.mark.parametrize("shape", [(), (1,), (4, 5), (3, 0, 2), (2, 3, 1, 4)], ids=str)
def test_elementwise(case, shape, dtype, device):
    check(exact(case), 3 * normal(*shape), dtype=dtype, device=device)


@pytest.mark.parametrize("case", ELEMENTWISE, ids=name_of)
def test_elementwise_near_zero(case, dtype):
    check(exact(case), np.array([1e-8, -1e-8, 1e-3, -1e-3, 0.02, -0.02, 1.2, -2.0, 3.1]), dtype=dtype)


@pytest.mark.parametrize("case", ELEMENTWISE, ids=name_of)
def test_elementwise_far_out(case, dtype):
    check(exact(case), np.array([0.3, 9.0, -9.0, 21.5, -21.5, 40.25, -40.25, 95.0, -95.0]), dtype=dtype)


def test_tanh_in_float32_is_that_of_float64_rounded():
    x = np.concatenate([3 * normal(5000), 0.01 * normal(1000)]).astype(np.float32)
    assert np.array_equal(nn.Tanh()(x), np.tanh(x.astype(np.float64)).astype(np.float32))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(ELEMENTWISE),
    st.lists(st.integers(0, 3), max_size=3),
    st.integers(0, 99),
    st.booleans(),
    st.booleans(),
)
def test_elementwise_any_shape(case, shape, seed, narrow, training):
    x = 4 * normal(*shape, seed=seed)
    check(exact(case), x, dtype="float32" if narrow else "float64", seed=seed, training=training)


@pytest.mark.parametrize("case", ELEMENTWISE, ids=name_of)
def test_a_float64_argument_does_not_widen(case):
    name, *arguments = case
    wide = [np.float64(a) if isinstance(a, float) else a for a in arguments]
    module = getattr(nn, name)(*wide)
    y, saved = module.forward(np.float32([[-2.0, 0.3, 1.5]]))
    assert y.dtype == module.backward(np.ones_like(y), saved).dtype == np.float32


@pytest.mark.parametrize("case", ELEMENTWISE, ids=name_of)
@pytest.mark.parametrize(
    ("x", "says"), [(np.array([1, 2]), "floats, not int64"), ([1.0, 2.0], "not list")], ids=["integers", "list"]
)
def test_what_has_no_gradient_is_refused(case, x, says):
    with pytest.raises(TypeError, match=f"{case[0]}.*{says}"):
        build(case)(nn).forward(x)


def gradients(case, x):
    """The gradient by hand and torch's, of ones, in float64."""
    hand, theirs = build(case)(nn), build(case)(torch.nn)
    t = torch.tensor(x, requires_grad=True)
    theirs(t).sum().backward()
    return hand.backward(np.ones_like(x), hand.forward(x)[1]), t.grad.cpu().numpy()


def test_torchs_hardsigmoid_has_the_slope_of_float32():
    """So that it is not checked against that: 1/6 is 0.1666666716 there. In float32 it is right."""
    grad, theirs = gradients(("Hardsigmoid",), np.array([-1.0, 0.5, 2.0]))
    assert (grad == 1 / 6).all()
    assert (theirs == float(np.float32(1 / 6))).all()
    check(build(("Hardsigmoid",)), 3 * normal(4, 5), dtype="float32")


def test_torchs_celu_has_the_alpha_of_float32_in_its_backward():
    x = np.linspace(-3, -0.1, 30)
    grad, theirs = gradients(("CELU", 0.6), x)
    narrow = float(np.float32(0.6))
    np.testing.assert_allclose(grad, np.exp(x / 0.6), rtol=2e-15)
    np.testing.assert_allclose(theirs, 0.6 / narrow * np.exp(x / narrow), rtol=2e-15)
