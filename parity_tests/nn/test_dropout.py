"""Dropout against torch, which is given the same masks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_refused, normal


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("p", [0, 0.3, 0.5, 0.85, 1, 1.0])
@pytest.mark.parametrize("shape", [(3, 5), (7,), (2, 3, 4), (0, 5), (1,), ()], ids=str)
def test_dropout(shape, p, training, dtype, device):
    check(lambda nn: nn.Dropout(p), normal(*shape), training=training, dtype=dtype, device=device)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.floats(0, 1), st.lists(st.integers(0, 4), max_size=3), st.booleans(), st.integers(0, 99))
def test_any_p_and_shape(p, shape, training, seed):
    check(lambda nn: nn.Dropout(p), normal(*shape, seed=seed), training=training, seed=seed)


def test_each_layer_draws_its_own_mask(dtype):
    def network(nn):
        return nn.Sequential(nn.Linear(5, 6), nn.Dropout(0.4), nn.Linear(6, 4), nn.Dropout(0.25))

    check(network, normal(3, 5), dtype=dtype)


def test_the_mask_is_the_generators():
    layer, x = nn.Dropout(0.3, generator=np.random.default_rng(4)), normal(3, 5)
    y, (mask, *_) = layer.forward(x)
    kept = np.random.default_rng(4).random((3, 5)) >= 0.3
    assert np.array_equal(mask, kept)
    assert np.array_equal(y, np.where(kept, x / 0.7, 0 * x))
    assert not np.array_equal(layer(x), y), "one mask for ever"


def test_a_number_that_is_p_keeps():
    """Numbers are drawn from [0, 1): those below p have probability p, and p is not among them."""

    class Drawn:
        def random(self, shape):
            return np.array([0.25, 0.2499, 0.2501, 0.0])

    layer = nn.Dropout(0.25)
    layer.generator = Drawn()
    assert layer(np.full(4, 3.0)).tolist() == [4, 0, 4, 0]


def test_evaluation_and_p_0_draw_nothing():
    for layer in (nn.Dropout(0.3).eval(), nn.Dropout(0)):
        before = layer.generator.bit_generator.state
        x = normal(3, 5)
        y, saved = layer.forward(x)
        assert saved == (None, x.shape, x.dtype)
        assert y is x
        assert layer.backward(x, saved) is x
        assert layer.generator.bit_generator.state == before


def test_the_mean_stays_and_the_variance_is_as_stated():
    """Over 200,000 entries: the mean to 3 standard errors, the variance x^2 p / (1 - p) to 2 %."""
    p, x = 0.4, np.full(200_000, 1.5)
    y = nn.Dropout(p, generator=np.random.default_rng(0))(x)
    assert y.mean() == pytest.approx(1.5, abs=3 * y.std() / np.sqrt(x.size))
    assert y.var() == pytest.approx(1.5**2 * p / (1 - p), rel=0.02)


def test_a_generator_of_its_own_by_default():
    assert not np.array_equal(nn.Dropout()(np.ones(64)), nn.Dropout()(np.ones(64)))


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_what_is_not_finite_is_as_in_torch(p):
    """0 * inf is NaN, dropped or not: on the way there and on the way back."""
    x = np.array([np.inf, -np.inf, np.nan, -2.0] * 16)
    layer = nn.Dropout(p, generator=np.random.default_rng(0))
    y, saved = layer.forward(x)
    kept, *_ = saved
    assert set(y[~kept].astype(str)) == {"nan", "-0.0"}
    assert set(y[kept].astype(str)) == ({"inf", "-inf", "nan", "-4.0"} if p < 1 else set())
    assert np.array_equal(layer.backward(x, saved), y, equal_nan=True)
    torch.manual_seed(0)
    theirs = torch.nn.Dropout(p)(torch.tensor(x)).cpu().numpy()
    assert set(y.astype(str)) == set(theirs.astype(str))


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_p_is_a_probability(p):
    check_refused(lambda nn: nn.Dropout(p), normal(3, 5), error=ValueError, match="from 0 to 1, not")


def test_bad_input():
    with pytest.raises(NotImplementedError, match="inplace"):
        nn.Dropout(0.5, inplace=True)
    check_refused(lambda nn: nn.Dropout(), np.ones((3, 5), int), error=TypeError, match="floats, not int64")


def test_repr():
    assert repr(nn.Dropout(0.4)) == repr(torch.nn.Dropout(0.4))
