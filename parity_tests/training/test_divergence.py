"""A training whose numbers are no longer finite: the step and the tensor are named, the weights before it kept."""

import json
import re

import numpy as np
import pytest

import manual.trainer
import torch_impl.trainer
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide
from parity_tests.commands.commands import run
from parity_tests.training.runs import trained

SIDES = {"manual": ManualSide, "torch": TorchSide}


def state_of(folder):
    with np.load(folder / "weights.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("unread", [True, False])
@pytest.mark.parametrize("scheduler", [(), ("--scheduler", "ExponentialLR(gamma=0.5)", "--report-every", "1")])
def test_the_first_tensor_that_is_not_finite_is_named(tmp_path, monkeypatch, capsys, side, unread, scheduler):
    """A hidden layer's output overflows in step 8, found at once, or only where an accelerator's losses are read.

    The samples are blown up before that step, so that the repetition meets them as well: its weights are kept. It
    begins at the last line, behind which a scheduler has set another rate.
    """
    if unread:
        monkeypatch.setattr(SIDES[side], "at_once", False)
    steps = []
    before = SIDES[side].step

    def stepped(self, rows):
        steps.append(self.state())
        if len(steps) == 8:
            self.inputs[rows] *= 1e308
            self.inputs[rows] *= 10
        return before(self, rows)

    monkeypatch.setattr(SIDES[side], "step", stepped)
    folder = tmp_path / "run"
    arguments = ("mlp", "--dtype", "float64", "--batch-size", "400", "--side", side, *scheduler, "--out", folder)
    status, _, err = run(capsys, "train", *arguments, "--json")
    assert status == 2
    assert re.fullmatch(
        r"train\.py: the training diverged: at step 8 \(epoch 1\) network\.input is the first tensor that is not finite"
        rf"; {folder}/weights\.npz keeps the weights before it; lower --lr 0\.5\n",
        err,
    )
    kept = state_of(folder)
    assert all(np.array_equal(kept[name], steps[7][name]) for name in steps[7])


@pytest.mark.parametrize("side", SIDES)
def test_an_update_that_overflows(tmp_path, capsys, side):
    """Finite gradients times a learning rate of 1e308: the step's loss was finite, its weights are not."""
    folder = tmp_path / "run"
    arguments = ("trial_and_error", "--lr", "1e308", "--epochs", "9", "--side", side, "--out", folder)
    status, _, err = run(capsys, "train", *arguments, "--json")
    assert status == 2
    assert re.search(r"at step 1 \(epoch 0\) after the update, 0\.weight is the first tensor", err), err
    assert state_of(folder)["0.weight"].item() == 3.0


@pytest.mark.parametrize("side", SIDES)
def test_a_gradient_that_overflows_behind_a_finite_loss(tmp_path, monkeypatch, capsys, side):
    """Planted in the backward alone, from step 5 on. The loss stays finite: a sigmoid of infinity is 1."""
    trainer = {"manual": manual.trainer.Trainer, "torch": torch_impl.trainer.Trainer}[side]
    assert trained(tmp_path / "right", "layered", "--epochs", "5", "--report-every", "1", "--side", side) == 0
    capsys.readouterr()
    losses = [
        json.loads(line)["batch_loss"] for line in (tmp_path / "right" / "metrics.jsonl").read_text().splitlines()
    ]
    assert losses == sorted(losses, reverse=True)
    right = trainer.gradients

    def gradients(self, inputs, targets):
        loss = right(self, inputs, targets)
        if loss <= losses[4]:
            parameter = dict(self.network.named_parameters())["0.bias"]
            parameter.grad[0] = float("inf")
        return loss

    monkeypatch.setattr(trainer, "gradients", gradients)
    folder = tmp_path / "run"
    status, _, err = run(capsys, "train", "layered", "--epochs", "9", "--side", side, "--out", folder, "--json")
    assert status == 2
    assert "at step 5 (epoch 4) the gradient of 0.bias is the first tensor that is not finite" in err
    assert all(np.isfinite(value).all() for value in state_of(folder).values())


def test_the_run_before_a_divergence_can_be_gone_on_with(tmp_path, capsys):
    """It diverges again, to the same words: the checkpoint is of a good state."""
    arguments = ("trial_and_error", "--lr", "0.2", "--epochs", "3000", "--out", tmp_path / "run", "--json")
    first = run(capsys, "train", *arguments)
    assert first[0] == 2
    assert run(capsys, "train", "--resume", tmp_path / "run", "--json") == first


@pytest.mark.parametrize(("at_once", "most"), [(True, 1), (False, 100)])
def test_losses_are_read_at_once_or_a_hundred_together(tmp_path, monkeypatch, at_once, most):
    """Reading one waits for an accelerator; a loss that is not finite is found after so many steps all the same."""
    sizes, read = [], ManualSide.read
    monkeypatch.setattr(ManualSide, "read", lambda self, losses: sizes.append(len(losses)) or read(self, losses))
    monkeypatch.setattr(ManualSide, "at_once", at_once)
    arguments = ("people", "--epochs", "60", "--report-every", "60", "--checkpoint-every", "1000")
    assert trained(tmp_path / "run", *arguments) == 0
    # Lines stand at the ends of the first epoch and of the last, after 4 and 240 steps.
    assert [size for size in sizes if size] == (240 * [1] if at_once else [4, most, most, 36])


@pytest.mark.parametrize("every", ["epoch", "step"])
def test_steps_are_repeated_at_the_rates_that_they_had(tmp_path, capsys, every):
    """A learning rate that grows tenfold with every report: at the rate before, nothing would overflow."""
    arguments = ("people", "--batch-size", "4", "--report-every", "1", "--lr", "1e290", "--schedule-every", every)
    arguments = (*arguments, "--scheduler", "ExponentialLR(gamma=1e10)", "--epochs", "9", "--out", tmp_path / "run")
    status, _, err = run(capsys, "train", *arguments, "--json")
    assert status == 2
    assert re.search(r"at step \d \(epoch \d\) after the update, \w+ is the first tensor", err), err
