"""PReLU, whose slopes are learned, and RReLU, whose slopes are drawn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_exact, check_refused, integers, normal


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


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("shape", [(), (2,)], ids=str)
def test_without_an_axis_of_channels_there_is_one(shape, number):
    says = rf"\(N, {number}, \.\.\.\).*axis 1"
    check_refused(lambda nn: nn.PReLU(number), normal(*shape), error=ValueError, match=says)


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


def test_the_slopes_gradient_from_an_infinite_one_at_zero():
    """0 * inf is NaN: 0 belongs to the side of the slope, as in torch."""
    for x in (0.0, -0.0):
        theirs, hand = torch.nn.PReLU().double(), nn.PReLU(dtype=np.float64)
        theirs(torch.tensor([x, 1.0], dtype=torch.double)).backward(torch.tensor([np.inf, 1.0]))
        hand.backward(np.array([np.inf, 1.0]), hand.forward(np.array([x, 1.0]))[1])
        assert np.isnan(hand.weight.grad)
        assert theirs.weight.grad.isnan()


def test_the_slope_of_a_number_without_axes():
    check(lambda nn: nn.PReLU(), np.array(-1.3))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("bounds", [(), (0.2, 0.7), (-0.5, 0.25), (0.4, 0.4), (1.5, 2.0)], ids=str)
@pytest.mark.parametrize("shape", [(), (5,), (4, 3), (0, 3), (2, 3, 4)], ids=str)
def test_rrelu(shape, bounds, training, dtype, device):
    check(lambda nn: nn.RReLU(*bounds), 2 * normal(*shape), dtype=dtype, device=device, training=training)


def test_rrelu_draws_a_slope_for_every_entry_and_none_in_evaluation():
    x = np.array([-2.0, 3.0, -1.0, 0.0, -0.0])
    drawn = np.random.default_rng(5)
    module = nn.RReLU(0.2, 0.6, generator=np.random.default_rng(5))
    slopes = 0.2 + 0.4 * drawn.random(5)
    y, saved = module.forward(x)
    np.testing.assert_allclose(y, np.where(x > 0, x, slopes * x), rtol=1e-15)
    np.testing.assert_allclose(module.backward(np.ones(5), saved), np.where(x > 0, 1, slopes), rtol=1e-15)
    np.testing.assert_allclose(module.eval()(x), np.where(x > 0, x, 0.4 * x), rtol=1e-15)
    np.testing.assert_allclose(module.train()(x[:1]), (0.2 + 0.4 * drawn.random(1)) * x[:1], rtol=1e-15)
    assert 0.125 <= nn.RReLU()(np.array([-1.0]))[0] * -1 < 1 / 3


@pytest.mark.parametrize("training", [True, False])
def test_rrelu_takes_torchs_side_at_zero_and_its_numbers_at_the_ends(training):
    """Against torch's own: with lower = upper nothing is left to chance."""
    x = np.array([0.0, -0.0, np.inf, -np.inf, -1e300, 1e300, np.nan])
    theirs, t = torch.nn.RReLU(0.3, 0.3).train(training), torch.tensor(x, requires_grad=True)
    expected = theirs(t)
    expected.backward(torch.full_like(t, 2))
    hand = nn.RReLU(0.3, 0.3).train(training)
    y, saved = hand.forward(x)
    np.testing.assert_array_equal(y, expected.detach().cpu().numpy())
    np.testing.assert_array_equal(hand.backward(np.full_like(x, 2), saved), t.grad.cpu().numpy())
    assert np.isnan(nn.RReLU(0, 0)(np.array([-np.inf])))


@pytest.mark.parametrize(
    ("layer", "slope"), [(nn.RReLU().eval(), (1 / 8 + 1 / 3) / 2), (nn.RReLU(0.4, 0.4), 0.4)], ids=["eval", "train"]
)
@pytest.mark.parametrize("step", [1e-100, -1e-100])
def test_rrelu_takes_a_complex_step_at_zero(step, layer, slope):
    y, r = layer.forward(np.array([0.0 + 1j * step, -1.0 + 1j * step]))
    assert r.dtype == np.float64
    np.testing.assert_allclose(y.imag / step, slope, rtol=1e-15)


def test_rrelu_refuses():
    check_refused(lambda nn: nn.RReLU(0.5, 0.4), normal(3), error=ValueError, match=r"lower=0.5, upper=0.4")
    with pytest.raises(NotImplementedError, match="RReLU does not support inplace="):
        nn.RReLU(inplace=True)
    with pytest.raises(TypeError, match="RReLU computes with floats"):
        nn.RReLU().forward(np.ones(3, int))
    assert repr(nn.RReLU()) == repr(torch.nn.RReLU())
    assert nn.RReLU(np.float64(0.1), np.float64(0.2)).forward(np.float32([-1]))[0].dtype == np.float32
