"""One step of training against its twin: the loss, the gradients that stay, the parameters after it."""

import numpy as np
import pytest
import torch

import manual.networks as by_hand
import manual.objective
import manual.trainer
import torch_impl.networks as with_autograd
import torch_impl.objective
import torch_impl.trainer
from manual.optim import SGD
from parity_tests.parity import normal, probabilities

TOLERANCE = 64 * np.finfo(float).eps  # three steps of some ten roundings each, of numbers of order one


def test_three_steps(monkeypatch):
    """The second starts from gradients that have to be forgotten; none needs the gradient of the data."""
    hand, theirs = by_hand.MLP((4, 3, 2), dtype=np.float64), with_autograd.MLP((4, 3, 2), dtype=torch.float64)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in hand.state_dict().items()})
    objective = "squared_error", 0.5, "sum"
    ours = manual.trainer.Trainer(hand, manual.objective.Objective(*objective), SGD(hand.parameters(), lr=0.3))
    torchs = torch_impl.trainer.Trainer(
        theirs, torch_impl.objective.Objective(*objective), torch.optim.SGD(theirs.parameters(), lr=0.3)
    )
    asked = []
    right = by_hand.MLP.backward

    def backward(self, grad_output, saved, *, input_grad=True):
        asked.append(input_grad)
        return right(self, grad_output, saved, input_grad=input_grad)

    monkeypatch.setattr(by_hand.MLP, "backward", backward)
    for step in range(3):
        x, t = normal(5, 4, seed=step), probabilities(5, 2, seed=step)
        loss, other = ours.step(x, t), torchs.step(torch.tensor(x), torch.tensor(t))
        np.testing.assert_allclose(loss, other.cpu().numpy(), rtol=TOLERANCE)
        for p, q in zip(hand.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(p.grad, q.grad.cpu().numpy(), rtol=0, atol=TOLERANCE)
            np.testing.assert_allclose(p.data, q.detach().cpu().numpy(), rtol=0, atol=TOLERANCE)
    assert asked == [False] * 3


def test_evaluation_takes_another_objective_and_no_step():
    hand = by_hand.MLP((4, 2), dtype=np.float64)
    trainer = manual.trainer.Trainer(hand, manual.objective.Objective("squared_error"), SGD(hand.parameters()))
    before, x, t = hand.state_dict(), normal(5, 4), probabilities(5, 2)
    value = trainer.evaluate(x, t, manual.objective.Objective("cross_entropy", 3.0))
    y = hand(x)
    assert np.isclose(value, -3 * (t * np.log(y) + (1 - t) * np.log(1 - y)).mean(), rtol=1e-14)
    assert all(np.array_equal(before[name], array) for name, array in hand.state_dict().items())
    assert all(p.grad is None for p in hand.parameters())


@pytest.mark.parametrize("kind", ["squared_error", "cross_entropy_from_logits", "classes"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_batch_in_uneven_parts_has_the_gradient_of_the_whole(kind, reduction):
    """Five samples, then three, then one; of classes some do not count, and the last part has none that does."""
    hand, theirs = by_hand.MLP((4, 3, 2), logits=True, dtype=np.float64), with_autograd.MLP((4, 3, 2), logits=True)
    theirs.double().load_state_dict({name: torch.tensor(value) for name, value in hand.state_dict().items()})
    x, t = normal(9, 4), probabilities(9, 2)
    if kind == "classes":
        t = np.array([0, 1, -100, 1, 0, 1, 0, -100, -100])
    ours = manual.trainer.Trainer(hand, manual.objective.Objective(kind, 0.5, reduction), SGD(hand.parameters()))
    optimizer = torch.optim.SGD(theirs.parameters())
    torchs = torch_impl.trainer.Trainer(theirs, torch_impl.objective.Objective(kind, 0.5, reduction), optimizer)
    whole = ours.gradients(x, t)
    wanted = {name: p.grad.copy() for name, p in hand.named_parameters()}
    count = ours.objective.count(t)
    assert (
        count
        == torchs.objective.count(torch.tensor(t))
        == (1 if reduction == "sum" else 6 if kind == "classes" else 18)
    )
    assert type(count) is int
    ours.optimizer.zero_grad()
    parts = (slice(0, 5), slice(5, 8), slice(8, 9))
    shares = [ours.add_gradients(x[part], t[part], count) for part in parts]
    assert all(isinstance(share, np.ndarray) and share.dtype == x.dtype for share in shares)
    loss = sum(shares)
    other = sum(torchs.add_gradients(torch.tensor(x[part]), torch.tensor(t[part]), count) for part in parts)
    assert abs(loss - whole) <= TOLERANCE * abs(whole)
    assert abs(other.item() - whole) <= TOLERANCE * abs(whole)
    for (name, p), twin in zip(hand.named_parameters(), theirs.parameters(), strict=True):
        size = np.abs(wanted[name]).max()
        assert size > 0
        assert np.abs(p.grad - wanted[name]).max() <= TOLERANCE * size
        assert np.abs(twin.grad.cpu().numpy() - wanted[name]).max() <= TOLERANCE * size


def test_gradients_are_clipped_before_the_update_and_not_after():
    hand, theirs = by_hand.MLP((4, 3, 2), dtype=np.float64), with_autograd.MLP((4, 3, 2), dtype=torch.float64)
    theirs.load_state_dict({name: torch.tensor(value) for name, value in hand.state_dict().items()})
    x, t = normal(5, 4), probabilities(5, 2)
    ours = manual.trainer.Trainer(
        hand, manual.objective.Objective("squared_error"), SGD(hand.parameters(), lr=0.3), max_norm=0.01
    )
    torchs = torch_impl.trainer.Trainer(
        theirs, torch_impl.objective.Objective("squared_error"), torch.optim.SGD(theirs.parameters(), lr=0.3), 0.01
    )
    before = {name: value.copy() for name, value in hand.state_dict().items()}
    ours.step(x, t)
    torchs.step(torch.tensor(x), torch.tensor(t))
    moved = np.sqrt(sum(((p.data - before[name]) ** 2).sum() for name, p in hand.named_parameters()))
    assert moved == pytest.approx(0.3 * 0.01, rel=1e-3)  # 1e-6 / 0.01 short, by the formula
    for (name, p), twin in zip(hand.named_parameters(), theirs.parameters(), strict=True):
        assert np.abs(p.data - twin.detach().cpu().numpy()).max() <= TOLERANCE * np.abs(before[name]).max()


def test_parts_of_a_batch_in_which_nothing_counts_have_no_loss():
    """The mean of nothing is 0 / 0, in torch as well; a training stops at it and says so."""
    hand, theirs = by_hand.MLP((4, 2), logits=True, dtype=np.float64), with_autograd.MLP((4, 2), logits=True)
    x, t = normal(3, 4), np.full(3, -100)
    ours = manual.trainer.Trainer(hand, manual.objective.Objective("classes"), SGD(hand.parameters()))
    optimizer = torch.optim.SGD(theirs.parameters())
    torchs = torch_impl.trainer.Trainer(theirs.double(), torch_impl.objective.Objective("classes"), optimizer)
    assert np.isnan(ours.add_gradients(x, t, ours.objective.count(t)))
    assert torchs.add_gradients(torch.tensor(x), torch.tensor(t), torchs.objective.count(torch.tensor(t))).isnan()
    for p, twin in zip(hand.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_array_equal(p.grad, twin.grad.cpu().numpy())  # no target hands anything down
