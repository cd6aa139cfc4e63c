"""Clipping of gradients against torch's."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from manual.nn import utils

INF, NAN = np.inf, np.nan
NAMES = ["clip_grad_norm_", "clip_grad_value_", "get_total_norm", "clip_grads_with_norm_"]


def twins(grads, dtype="float64"):
    """Return parameters of both sides with these gradients, None for one that has none."""
    grads = [None if g is None else np.asarray(g, dtype) for g in grads]
    hand = [nn.Parameter(np.ones(() if g is None else g.shape, dtype)) for g in grads]
    theirs = [torch.nn.Parameter(torch.tensor(p.data)) for p in hand]
    for p, q, g in zip(hand, theirs, grads, strict=True):
        p.grad, q.grad = g, None if g is None else torch.tensor(g)
    return hand, theirs


def same(hand, theirs, dtype="float64"):
    for p, q in zip(hand, theirs, strict=True):
        assert (p.grad is None) == (q.grad is None)
        if p.grad is not None:
            assert p.grad.dtype == np.dtype(dtype)
            assert isinstance(p.grad, np.ndarray)
            np.testing.assert_allclose(p.grad, q.grad.cpu().numpy(), rtol=8 * np.finfo(dtype).eps, atol=0)


def random_grads(seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(size=(3, 2)), None, random.normal(size=()), 5 * random.normal(size=(2, 1, 3)), np.zeros(4)]


@pytest.mark.parametrize("name", NAMES)
def test_arguments_are_torchs(name):
    ours, theirs = (inspect.signature(getattr(where, name)).parameters.values() for where in (utils, torch.nn.utils))
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


@pytest.mark.parametrize("max_norm", [0.0, 0.7, 1e9])
@pytest.mark.parametrize("norm_type", [1, 2, 3, 0.5, 0, INF, -INF, -1, "inf"])
def test_clip_grad_norm(norm_type, max_norm, dtype):
    hand, theirs = twins(random_grads(), dtype)
    seen = [p.grad for p in hand]
    copies = [None if g is None else g.copy() for g in seen]
    total = utils.clip_grad_norm_(iter(hand), max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert isinstance(total, np.ndarray)
    assert total.dtype == np.dtype(dtype)
    assert float(total) == pytest.approx(expected.item(), rel=float(8 * np.finfo(dtype).eps))
    same(hand, theirs, dtype)
    assert all(g is None or np.array_equal(g, c) for g, c in zip(seen, copies, strict=True))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.floats(0.3, 6) | st.sampled_from([1, 2, INF]), st.floats(0, 20), st.integers(0, 99))
def test_any_norm(norm_type, max_norm, seed):
    hand, theirs = twins(random_grads(seed))
    total = utils.clip_grad_norm_(hand, max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert float(total) == pytest.approx(expected.item(), rel=1e-14)
    for p, q in zip(hand, theirs, strict=True):
        if p.grad is not None:
            np.testing.assert_allclose(p.grad, q.grad.cpu().numpy(), rtol=1e-14)


@pytest.mark.parametrize("norm_type", [1, 2, 3, 0.5, 0, INF, -INF, -1, -2])
@pytest.mark.parametrize(
    "grad", [[NAN, 1, 2], [INF, 1, 2], [-INF, INF, 0], [1e200, 3, 1e-200], [0, 0, 0], [-0.0, 1, 1]]
)
def test_the_ends_of_the_range(norm_type, grad):
    hand, theirs = twins([grad])
    total = utils.clip_grad_norm_(hand, 1.0, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, 1.0, norm_type)
    np.testing.assert_allclose(total, expected.item(), rtol=1e-14)
    same(hand, theirs)


def test_gradients_at_max_norm_shrink_too():
    """By 1e-6 / max_norm, torch's constant in the denominator."""
    hand, theirs = twins([[3.0, 4.0]])
    assert utils.clip_grad_norm_(hand, 5.0) == 5
    torch.nn.utils.clip_grad_norm_(theirs, 5.0)
    same(hand, theirs)
    assert hand[0].grad.tolist() == [3 * (5 / 5.000001), 4 * (5 / 5.000001)]


@pytest.mark.parametrize("bad", [INF, NAN])
def test_error_if_nonfinite(bad):
    hand, theirs = twins([[bad, 1.0], [2.0]])
    for where, parameters in ((utils, hand), (torch.nn.utils, theirs)):
        with pytest.raises(RuntimeError, match=r"norm of .*gradients"):
            where.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
        assert [float(entry) for entry in parameters[1].grad] == [2.0]
    hand, _ = twins([[3.0, 4.0]])
    assert utils.clip_grad_norm_(hand, 1.0, error_if_nonfinite=True) == 5


def test_no_gradients():
    for grads in ([], [None], [None, None]):
        hand, theirs = twins(grads)
        total, expected = utils.clip_grad_norm_(hand, 1.0), torch.nn.utils.clip_grad_norm_(theirs, 1.0)
        assert (str(total), total.dtype.name, total.shape) == (str(expected.item()), "float32", ())
        utils.clip_grad_value_(hand, 1.0)


def test_empty_gradients():
    for norm_type in (0, 1, 2, 3):
        hand, theirs = twins([np.ones((0, 2)), [3.0, 4.0]])
        total = utils.clip_grad_norm_(hand, 1.0, norm_type)
        assert float(total) == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, 1.0, norm_type).item(), rel=1e-15)
        same(hand, theirs)
    for norm_type in (INF, -INF, -1):
        hand, theirs = twins([np.ones((0, 2)), [3.0, 4.0]])
        with pytest.raises(ValueError, match="an empty gradient has no norm of order"):
            utils.clip_grad_norm_(hand, 1.0, norm_type)
        with pytest.raises(RuntimeError, match="empty tensor"):
            torch.nn.utils.clip_grad_norm_(theirs, 1.0, norm_type)


def test_one_parameter_and_one_array():
    hand, theirs = twins([[3.0, 4.0]])
    assert utils.clip_grad_norm_(hand[0], 1.0) == torch.nn.utils.clip_grad_norm_(theirs[0], 1.0) == 5
    same(hand, theirs)
    assert utils.get_total_norm(np.array([3.0, 4.0])) == utils.get_total_norm([np.array([[3.0], [4.0]])]) == 5
    assert utils.get_total_norm(np.array([3.0, 4.0]), 0) == 1  # the number of arrays that are not all 0
    assert utils.get_total_norm(iter([np.array([3.0]), np.array([4.0])]), 1) == 7
    with pytest.raises(RuntimeError):
        utils.get_total_norm([np.array([INF])], error_if_nonfinite=True)


def test_two_dtypes():
    hand, theirs = twins([[3.0, 4.0]])
    single, other = twins([[12.0]], "float32")
    total = utils.clip_grad_norm_(hand + single, 1.0)
    expected = torch.nn.utils.clip_grad_norm_(theirs + other, 1.0)
    assert float(total) == expected.item() == 13
    same(hand, theirs)
    same(single, other, "float32")


def test_a_norm_that_is_known():
    hand, theirs = twins(random_grads())
    utils.clip_grads_with_norm_(hand, 2.0, 10.0)
    torch.nn.utils.clip_grads_with_norm_(theirs, 2.0, torch.tensor(10.0, dtype=torch.float64))
    same(hand, theirs)


@pytest.mark.parametrize("clip_value", [0, 0.3, 2])
def test_clip_grad_value(clip_value, dtype):
    grads = [*random_grads(), [NAN, INF, -INF, -0.0, 0.3, -0.3]]
    hand, theirs = twins(grads, dtype)
    first = hand[0].grad
    kept = first.copy()
    utils.clip_grad_value_(hand, np.float64(clip_value))
    torch.nn.utils.clip_grad_value_(theirs, clip_value)
    for p, q in zip(hand, theirs, strict=True):
        if p.grad is not None:
            assert p.grad.dtype == np.dtype(dtype)
            assert isinstance(p.grad, np.ndarray)
            assert np.array_equal(p.grad, q.grad.cpu().numpy(), equal_nan=True)
    assert np.array_equal(first, kept)
    utils.clip_grad_value_(hand[0], 0.1)
    assert np.abs(hand[0].grad).max() <= np.float32(0.1)


def test_foreach_and_what_is_no_parameter():
    hand, _ = twins([[3.0, 4.0]])
    for call in (
        lambda **k: utils.clip_grad_norm_(hand, 1.0, **k),
        lambda **k: utils.clip_grad_value_(hand, 1.0, **k),
        lambda **k: utils.get_total_norm([hand[0].grad], **k),
        lambda **k: utils.clip_grads_with_norm_(hand, 1.0, 5.0, **k),
    ):
        with pytest.raises(NotImplementedError, match="does not support foreach="):
            call(foreach=True)
        call(foreach=False)
    for call in (utils.clip_grad_norm_, utils.clip_grad_value_):
        with pytest.raises(TypeError, match=r"network\.parameters"):
            call([np.ones(3)], 1.0)
