"""The conventions for the loss, on both sides: kind, factor, reduction, and their gradients."""

import inspect

import numpy as np
import pytest
import torch

import manual.objective as by_hand
import torch_impl.objective as with_autograd
from parity_tests.parity import check_module, integers, normal, probabilities

KINDS = ["squared_error", "cross_entropy", "cross_entropy_from_logits"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("factor", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_loss_and_gradients(kind, factor, reduction):
    y = normal(5, 2) if kind.endswith("logits") else probabilities(5, 2)
    t = probabilities(5, 2, seed=4)
    hand = by_hand.Objective(kind, factor, reduction)
    loss, saved = hand.forward(y, t)
    grad_y, grad_t = hand.backward(0.7, saved)
    tensors = [torch.tensor(array, requires_grad=True) for array in (y, t)]
    theirs = with_autograd.Objective(kind, factor, reduction)(*tensors)
    (0.7 * theirs).backward()
    np.testing.assert_allclose(loss, theirs.item(), rtol=1e-14)
    np.testing.assert_allclose(grad_y, tensors[0].grad.cpu().numpy(), rtol=1e-13)
    np.testing.assert_allclose(grad_t, tensors[1].grad.cpu().numpy(), rtol=1e-13)
    assert hand.backward(0.7, saved, input_grad=False)[0] is None


@pytest.mark.parametrize("samples", [(3,), (4, 3), (2, 4, 3)], ids=str)
@pytest.mark.parametrize(("factor", "reduction"), [(1.0, "mean"), (0.5, "sum"), (3.0, "mean")])
def test_classes(factor, reduction, samples, dtype, device):
    """Also a class at every position of a sequence; one of -100 does not count."""
    target = integers(*samples, below=5)
    target.flat[1] = -100
    for build in (
        lambda side: side.Objective("classes", factor, reduction),
        lambda side: side.Classes(reduction=reduction),
    ):
        both = build(by_hand), build(with_autograd)
        check_module(*both, normal(*samples, 5), target, dtype=dtype, device=device)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_signed_error(reduction):
    y, t = normal(5, 1), normal(5, 1, seed=4)
    expected = (y - t).sum() / (1 if reduction == "sum" else 5)
    assert by_hand.Objective("signed_error", 1.0, reduction)(y, t) == pytest.approx(expected, rel=1e-14)
    theirs = with_autograd.Objective("signed_error", 1.0, reduction)(torch.tensor(y), torch.tensor(t))
    assert theirs.item() == pytest.approx(expected, rel=1e-14)


def test_signed_error_is_0_where_nothing_is_right():
    """OR with 0.75 everywhere: the errors cancel, though half the squared error is 0.375."""
    y, t = np.full((4, 1), 0.75), np.array([[0.0], [1.0], [1.0], [1.0]])
    assert by_hand.Objective("signed_error", 1.0, "sum")(y, t) == 0.0
    assert by_hand.Objective("squared_error", 0.5, "sum")(y, t) == 0.375


def test_the_twins_have_the_same_defaults():
    for name in ("Objective", "SignedError"):
        hand, theirs = (inspect.signature(getattr(module, name)) for module in (by_hand, with_autograd))
        assert str(hand).replace(" -> None", "") == str(theirs).replace(" -> None", "")
