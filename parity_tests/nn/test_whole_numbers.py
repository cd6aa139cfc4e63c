"""Sizes are whole numbers: no bool, no float; NumPy's are taken, and shown as Python's."""

import numpy as np
import pytest
import torch

from manual import nn
from parity_tests.parity import normal

SIZES = {  # what is given, in the place of None
    "Linear": [(None, 3), (3, None)],
    "Bilinear": [(None, 2, 3), (2, None, 3), (2, 3, None)],
    "Conv1d": [(None, 3, 1), (3, None, 1), (3, 2, None), (1, 1, 1, None)],
    "ConvTranspose2d": [(None, 3, 1), (3, None, 1), (3, 2, None), (1, 1, 1, None)],
    "MaxPool1d": [(None,)],
    "AvgPool2d": [(None,)],
    "AdaptiveAvgPool1d": [(None,)],
    "AdaptiveMaxPool2d": [(None,), ((None, 2),)],
    "ZeroPad1d": [(None,)],
    "BatchNorm1d": [(None,)],
    "InstanceNorm2d": [(None,)],
    "GroupNorm": [(None, 4), (1, None)],
    "LayerNorm": [(None,), ((2, None),)],
    "RMSNorm": [(None,)],
    "LocalResponseNorm": [(None,)],
    "PReLU": [(None,)],
    "Embedding": [(None, 3), (3, None)],
    "RNN": [(None, 3), (3, None), (3, 3, None)],
    "LSTM": [(3, 2, 1, True, False, 0.0, False, None)],
    "LSTMCell": [(None, 3), (3, None)],
    "MultiheadAttention": [(None, 1), (4, None)],
}
CASES = [(name, sizes) for name, each in SIZES.items() for sizes in each]


def filled(sizes, value):
    """Return the sizes with `value` for None, inside tuples too."""
    return tuple(filled(size, value) if isinstance(size, tuple) else value if size is None else size for size in sizes)


@pytest.mark.parametrize("wrong", [True, 2.0, np.float64(2), "2"], ids=repr)
@pytest.mark.parametrize(("name", "sizes"), CASES, ids=str)
def test_what_is_no_whole_number(name, sizes, wrong):
    with pytest.raises(TypeError, match=f"{name}.*(is no whole number|is an integer)"):
        getattr(nn, name)(*filled(sizes, wrong))


@pytest.mark.parametrize(("name", "sizes"), CASES, ids=str)
def test_numpys_numbers_are_shown_as_pythons(name, sizes):
    hand, theirs = getattr(nn, name)(*filled(sizes, np.int64(1))), getattr(torch.nn, name)(*filled(sizes, 1))
    assert repr(hand) == repr(theirs).replace("NonDynamicallyQuantizableLinear", "Linear")
    assert "np." not in repr(hand)


@pytest.mark.parametrize(
    ("name", "shape"), [("Linear", (2, 4)), ("BatchNorm1d", (2, 4)), ("AdaptiveAvgPool1d", (2,)), ("LayerNorm", (2, 4))]
)
def test_messages_show_pythons_numbers(name, shape):
    sizes = (np.int64(5), np.int64(5))[: 2 if name == "Linear" else 1]
    with pytest.raises(ValueError, match=f"{name} takes") as raised:
        getattr(nn, name)(*sizes).forward(normal(*shape).astype(np.float32))
    assert "np." not in str(raised.value)
    with pytest.raises(ValueError, match=r"=-1|-1,\)") as raised:
        getattr(nn, name)(*(np.int64(-1) for _ in sizes))
    assert "np." not in str(raised.value)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: nn.Linear(2.0, 3), TypeError, "in_features=2.0 is no whole number; give one$"),
        (lambda: nn.MaxPool2d(2.0), TypeError, "is no whole number; give one, or a tuple of 2$"),
        (lambda: nn.MaxPool2d((1, 2, 3)), ValueError, "has 3 numbers; give one number, or 2$"),
        (lambda: nn.MaxPool2d((1, 0)), ValueError, "has a number below 1; give 1 or above$"),
    ],
)
def test_what_is_said(make, error, says):
    with pytest.raises(error, match=says):
        make()


@pytest.mark.parametrize("value", [[1.0], "a", 1j])
def test_a_padding_value_is_a_number(value):
    with pytest.raises(TypeError, match=r"ConstantPad1d: value=.* is no number"):
        nn.ConstantPad1d(1, value)


def test_no_padding_value_is_zero():
    x = normal(1, 1, 2)
    for value in (None, True, np.float64(2), 3):
        expected = torch.nn.ConstantPad1d(1, value)(torch.tensor(x)).cpu().numpy()
        np.testing.assert_array_equal(nn.ConstantPad1d(1, value)(x), expected)
    assert nn.ConstantPad1d(1, np.array(2.0))(x)[0, 0, 0] == 2  # torch refuses an array


@pytest.mark.parametrize("init", [None, [0.25], "a"])
def test_a_slope_starts_as_a_number(init):
    for side in (nn, torch.nn):
        with pytest.raises(TypeError, match=r"PReLU: init=.* is no number|fill_"):
            side.PReLU(1, init)
