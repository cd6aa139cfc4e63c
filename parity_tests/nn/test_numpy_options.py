"""Options that are NumPy's numbers, as `np.linspace` gives them, change no dtype."""

import numpy as np
import pytest

from manual import nn
from manual.nn.attention import scaled_dot_product_attention
from parity_tests.parity import normal

LAYERS = {
    "batch norm": lambda number: nn.BatchNorm1d(3, eps=number, momentum=number),
    "instance norm": lambda number: nn.InstanceNorm1d(3, eps=number, momentum=number, track_running_stats=True),
    "group norm": lambda number: nn.GroupNorm(1, 3, eps=number),
    "layer norm": lambda number: nn.LayerNorm(2, eps=number),
    "rms norm": lambda number: nn.RMSNorm(2, eps=number),
    "local response norm": lambda number: nn.LocalResponseNorm(np.int64(2), alpha=number, beta=number, k=number),
    "dropout": lambda number: nn.Dropout(number),
    "rrelu": lambda number: nn.RReLU(number, number),
}


@pytest.mark.parametrize("number", [np.float64(0.5), np.int64(1)], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, number):
    layer = LAYERS[name](number)
    x = normal(4, 3, 2).astype(np.float32)
    for _ in range(2):
        y, saved = layer.forward(x)
        assert y.dtype == layer.backward(x, saved).dtype == np.float32
    assert {value.dtype for value in layer.state_dict().values()} <= {np.dtype(np.float32), np.dtype(np.int64)}


def test_attention():
    half, x = np.float64(0.5), normal(2, 3, 4).astype(np.float32)
    layer = nn.MultiheadAttention(4, 2, dropout=half)
    (y, weights), _ = layer.forward(x, x, x)
    assert y.dtype == weights.dtype == np.float32
    assert scaled_dot_product_attention(x, x, x, scale=half)[0].dtype == np.float32
    for attention in (nn.NaiveAttention, nn.TiledAttention):
        y = attention(scale=np.float64(0.3))(x, x, x)
        assert y.dtype == np.float32
        assert np.array_equal(y, attention(scale=0.3)(x, x, x)), "computed in float64 in between"


def test_a_threshold_in_the_dtype_of_the_input():
    """0.1 is another number in float32 than in float64; the input is held against its own."""
    x = np.array([0.1, 0.2], np.float32)
    assert nn.Threshold(np.float64(0.1), 7.0)(x).tolist() == nn.Threshold(0.1, 7.0)(x).tolist() == [7.0, x[1]]


def test_linear_cross_entropy():
    loss = nn.LinearCrossEntropy(3, 5, label_smoothing=np.float64(0.5))
    assert loss.forward(normal(2, 3).astype(np.float32), np.array([0, 4]))[0].dtype == np.float32


def test_multi_margin_loss():
    loss = nn.MultiMarginLoss(p=np.int64(2))
    value, saved = loss.forward(normal(4, 3).astype(np.float32), np.array([0, 1, 2, 0]))
    assert value.dtype == loss.backward(1.0, saved)[0].dtype == np.float32
