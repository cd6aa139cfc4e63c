"""What the constructors take, refuse and show."""

import numpy as np
import pytest
import torch

from manual import nn
from manual.nn import activation
from parity_tests.nn.activation.cases import ELEMENTWISE, build, name_of

INPLACE = [
    *("ReLU", "LeakyReLU", "ELU", "CELU", "SELU", "SiLU", "Mish", "ReLU6", "Hardtanh", "Hardsigmoid", "Hardswish"),
    *("Threshold",),
]


@pytest.mark.parametrize("name", INPLACE)
def test_inplace_is_refused(name):
    given = {"threshold": 1.0, "value": 0.0} if name == "Threshold" else {}
    getattr(nn, name)(**given, inplace=False)
    with pytest.raises(NotImplementedError, match=f"{name} does not support inplace="):
        getattr(nn, name)(**given, inplace=True)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda nn: nn.Hardtanh(1.0, 1.0), ValueError, r"Hardtanh\(min_val=1.0, max_val=1.0\)"),
        (lambda nn: nn.Softshrink(-0.1), ValueError, r"Softshrink\(lambd=-0.1\)"),
        (lambda nn: nn.CELU(0.0), ValueError, "divides by alpha"),
        (lambda nn: nn.GELU("exact"), ValueError, r"'exact'.*'none' or 'tanh'"),
    ],
)
def test_what_torch_refuses_is_refused(make, error, match):
    with pytest.raises((AssertionError, RuntimeError)):
        make(torch.nn)(torch.ones(3))
    with pytest.raises(error, match=match):
        make(nn)


def test_bounds_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="must be above"):
        nn.Hardtanh(1.0, np.nan)
    with pytest.raises(ValueError, match="0 or above"):
        nn.Softshrink(np.nan)


@pytest.mark.parametrize("old", ["min_value", "max_value"])
def test_the_old_names_of_hardtanh_are_refused(old):
    with pytest.raises(NotImplementedError, match=old):
        nn.Hardtanh(**{old: 0.5})


@pytest.mark.parametrize("case", ELEMENTWISE, ids=name_of)
def test_repr_is_torchs(case):
    """But that numbers show as the floats they are."""
    floats = tuple(float(argument) if isinstance(argument, int) else argument for argument in case)
    assert repr(build(case)(nn)) == repr(build(floats)(torch.nn))


@pytest.mark.parametrize(
    "case", [("Softmax", 1), ("Softmin",), ("LogSoftmax", -1), ("Softmax2d",), ("GLU", 1), ("PReLU", 3)], ids=name_of
)
def test_repr_of_axes_and_channels_is_torchs(case):
    assert repr(build(case)(nn)) == repr(build(case)(torch.nn))


@pytest.mark.parametrize("function", ["Sigmoid", "Softplus", "ReLU", "SiLU", "GELU"])
def test_functions_are_what_the_modules_compute(function):
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(getattr(activation, function.lower())(x), getattr(nn, function)()(x))
    np.testing.assert_array_equal(activation.gelu(x, "tanh"), nn.GELU("tanh")(x))
    np.testing.assert_array_equal(activation.softmax(x, 1), nn.Softmax(1)(x))


def test_the_base_says_what_is_missing():
    class Half(activation.Elementwise):
        pass

    with pytest.raises(NotImplementedError, match="Half has no function"):
        Half().forward(np.ones(2))
    with pytest.raises(NotImplementedError, match="Half has no gradient"):
        Half().backward(np.ones(2), np.ones(2))
