"""Sigmoid and Softplus against torch, and where float arithmetic ends."""

import warnings

import numpy as np
import pytest
import torch

from manual import nn
from manual.nn.activation import sigmoid, softplus
from parity_tests.parity import check, normal


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 0), (2, 3, 4, 5)], ids=str)
def test_sigmoid(shape, dtype, device):
    check(lambda nn: nn.Sigmoid(), 4 * normal(*shape), dtype=dtype, device=device)


def test_sigmoid_neither_overflows_nor_leaves_the_range(dtype):
    x = np.array([-np.inf, -1e4, -745.2, -710, -88.8, -36.7, -0.0, 0.0, 36.7369, 88.8, 1e4, np.inf], dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, saved = nn.Sigmoid().forward(x)
        grad = nn.Sigmoid().backward(np.ones_like(x), saved)
    assert y.dtype == dtype
    assert ((y >= 0) & (y <= 1)).all()
    assert (grad >= 0).all()
    expected = torch.sigmoid(torch.tensor(x)).cpu().numpy()
    assert np.allclose(y, expected, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)
    assert y[0] == 0.0
    assert y[-1] == 1.0
    assert y[6] == y[7] == 0.5


def test_sigmoid_is_one_from_36_7369_on():
    assert sigmoid(np.array([36.7369])) == 1.0
    assert sigmoid(np.array([36.7367])) < 1.0


def test_nan_stays_nan():
    assert np.isnan(sigmoid(np.array([np.nan, 0.0]))).tolist() == [True, False]


def test_sigmoid_takes_a_complex_step():
    x = np.array([-800.0, -3.0, 0.0, 3.0, 800.0])
    step = sigmoid(x + 1e-100j).imag / 1e-100
    y = sigmoid(x)
    assert np.allclose(step, y * (1 - y), rtol=1e-13, atol=0)


def test_integers_are_refused():
    with pytest.raises(TypeError, match="floats, not int64"):
        nn.Sigmoid().forward(np.array([1, 2]))


def test_sigmoid_is_its_formula_where_that_does_not_overflow():
    """Bit for bit: 1 / (1 + e^-x) from 0 on, e^x / (1 + e^x) below."""
    x = 20 * np.abs(normal(2000))
    x[:1000] /= 20
    assert np.array_equal(sigmoid(x), 1 / (1 + np.exp(-x)))
    assert np.array_equal(sigmoid(-x), np.exp(-x) / (1 + np.exp(-x)))


def test_softplus_is_its_formula_on_each_side():
    """Bit for bit: x + log(1 + e^-x) from 0 on, log(1 + e^x) below."""
    x = 20 * np.abs(normal(2000))
    x[:1000] /= 20
    assert np.array_equal(softplus(x), x + np.log1p(np.exp(-x)))
    assert np.array_equal(softplus(-x), np.log1p(np.exp(-x)))


def test_the_threshold_of_softplus_is_a_number_of_the_inputs_precision():
    """float32's 0.1 is above 0.1 in float64, and not above its own 0.1, wherever the threshold came from."""
    x = np.array([0.1], np.float32)
    assert (
        nn.Softplus(1.0, np.float64(0.1))(x)
        == softplus(x)
        == torch.nn.Softplus(1.0, 0.1)(torch.tensor(x)).cpu().numpy()
    )
