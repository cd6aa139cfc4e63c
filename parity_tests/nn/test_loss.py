"""The losses against torch, for both of their inputs."""

import numpy as np
import pytest
import torch

from manual import nn
from manual.nn.loss import _at_least
from manual.objective import SignedError
from parity_tests.parity import check, normal, probabilities

REDUCTIONS = ["none", "sum", "mean"]
SHAPES = [(5, 3), (7,), (), (2, 3, 4), (1, 1)]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_mse(reduction, shape, dtype, device):
    check(
        lambda nn: nn.MSELoss(reduction=reduction), normal(*shape), normal(*shape, seed=3), dtype=dtype, device=device
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bce(reduction, shape, dtype, device):
    inputs = probabilities(*shape), probabilities(*shape, seed=3)
    check(lambda nn: nn.BCELoss(reduction=reduction), *inputs, dtype=dtype, device=device)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bce_with_logits(reduction, shape, dtype, device):
    inputs = 3 * normal(*shape), probabilities(*shape, seed=3)
    check(lambda nn: nn.BCEWithLogitsLoss(reduction=reduction), *inputs, dtype=dtype, device=device)


def both(name, input, target):
    """Return loss and both gradients, entry by entry, of both sides."""
    hand = getattr(nn, name)(reduction="none")
    with np.errstate(over="raise", invalid="raise"):
        loss, saved = hand.forward(input, target)
        grads = hand.backward(np.ones_like(input), saved)
    tensors = [torch.tensor(array, requires_grad=True) for array in (input, target)]
    theirs = getattr(torch.nn, name)(reduction="none")(*tensors)
    theirs.backward(torch.ones_like(theirs))
    return (loss, *grads), (theirs.detach().numpy(), *(tensor.grad.numpy() for tensor in tensors))


def test_bce_at_the_ends_of_its_range(dtype):
    """At 0 and 1 the logarithm is kept at -100 and the denominator at 1e-12, where torch keeps them."""
    p = np.array([0, 1e-30, 1e-13, 1e-6, 0.5, 1 - 1e-6, 1], dtype=dtype)
    t = np.array([0.2, 1.0, 0.3, 0.0, 1.0, 0.4, 0.6], dtype=dtype)
    for hand, theirs in zip(*both("BCELoss", p, t), strict=True):
        assert np.allclose(hand, theirs, rtol=8 * np.finfo(dtype).eps, atol=0)


def test_bce_with_logits_far_out(dtype):
    x = np.array([-1e4, -800, -90, -1e-30, 0, 1e-30, 90, 800, 1e4], dtype=dtype)
    t = np.linspace(0, 1, 9).astype(dtype)
    for hand, theirs in zip(*both("BCEWithLogitsLoss", x, t), strict=True):
        assert np.isfinite(hand).all()
        assert np.allclose(hand, theirs, rtol=8 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("name", ["MSELoss", "BCELoss", "BCEWithLogitsLoss"])
class TestBadInput:
    def test_shapes_are_never_broadcast(self, name):
        with pytest.raises(ValueError, match=r"\(4, 1\).*\(4,\)"):
            getattr(nn, name)().forward(np.full((4, 1), 0.5), np.full(4, 0.5))

    def test_dtypes(self, name):
        with pytest.raises(TypeError, match="float32"):
            getattr(nn, name)().forward(np.full(4, 0.5), np.full(4, 0.5, dtype=np.float32))
        with pytest.raises(TypeError, match="floats, not int64"):
            getattr(nn, name)().forward(np.full(4, 0.5), np.ones(4, dtype=int))
        with pytest.raises(TypeError, match=f"{name} computes with floats, not int64"):
            getattr(nn, name)().forward(np.ones(4, dtype=int), np.full(4, 0.5))

    def test_arguments(self, name):
        with pytest.raises(ValueError, match="'avg' is not a reduction"):
            getattr(nn, name)(reduction="avg")
        for argument in ("size_average", "reduce"):
            with pytest.raises(NotImplementedError, match=argument):
                getattr(nn, name)(**{argument: True})

    def test_mean_of_nothing_is_nan_as_in_torch(self, name):
        empty = np.empty((0, 2))
        loss = getattr(nn, name)()(empty, empty)
        assert np.isnan(loss)
        assert np.isnan(getattr(torch.nn, name)()(torch.tensor(empty), torch.tensor(empty)).item())


def test_bce_refuses_what_is_no_probability():
    with pytest.raises(ValueError, match="BCEWithLogitsLoss"):
        nn.BCELoss().forward(np.array([1.5]), np.array([1.0]))
    with pytest.raises(ValueError, match="BCEWithLogitsLoss"):
        nn.BCELoss().forward(np.array([-0.5]), np.array([1.0]))


@pytest.mark.parametrize("argument", ["weight", "pos_weight"])
def test_unsupported_arguments_are_named(argument):
    with pytest.raises(NotImplementedError, match=argument):
        nn.BCEWithLogitsLoss(**{argument: np.ones(2)})
    with pytest.raises(NotImplementedError, match="weight"):
        nn.BCELoss(weight=np.ones(2))


def test_bce_with_logits_keeps_small_losses():
    """log(1 + e^-40) would be log(1) = 0; log1p keeps all digits."""
    loss = nn.BCEWithLogitsLoss(reduction="none")(np.array([40.0, -40.0]), np.array([1.0, 0.0]))
    assert loss == pytest.approx([np.exp(-40), np.exp(-40)], rel=1e-15)


def test_the_gradient_of_a_mean_of_nothing_is_empty():
    empty = np.empty((0, 2))
    for name in ("MSELoss", "BCELoss", "BCEWithLogitsLoss"):
        module = getattr(nn, name)()
        _, saved = module.forward(empty, empty)
        assert [grad.shape for grad in module.backward(1.0, saved)] == [(0, 2), (0, 2)]


@pytest.mark.parametrize("name", ["MSELoss", "BCELoss", "BCEWithLogitsLoss"])
@pytest.mark.parametrize("upstream", [0.7, np.float64(0.7), np.array(0.7)], ids=["Python's", "NumPy's", "an array"])
def test_gradients_have_the_inputs_dtype_whatever_is_handed_down(name, upstream):
    input, target = (probabilities(3, 2, seed=seed).astype(np.float32) for seed in (0, 1))
    module = getattr(nn, name)()
    _, saved = module.forward(input, target)
    assert [grad.dtype for grad in module.backward(upstream, saved)] == [np.float32, np.float32]


def test_bce_with_logits_is_its_formula():
    """Bit for bit: max(x, 0) - t x + log(1 + e^-|x|)."""
    x, t = 2 * normal(2000), probabilities(2000)
    formula = np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))
    assert np.array_equal(nn.BCEWithLogitsLoss(reduction="none")(x, t), formula)


@pytest.mark.parametrize("step", [1e-100j, -1e-100j])
def test_the_ends_of_a_range_take_a_complex_step(step):
    """0 and 1 are probabilities, and a number at the floor is kept, however the imaginary part points."""
    nn.BCELoss().forward(np.array([0.0, 1.0]) + step, np.array([0.5, 0.5], complex))
    assert _at_least(np.array([-100 + step]), -100).imag == step.imag


def test_the_signed_error_is_an_array():
    value, _ = SignedError().forward(normal(4, 2), normal(4, 2, seed=1))
    assert isinstance(value, np.ndarray)
