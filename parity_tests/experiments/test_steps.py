"""However steps are taken, both sides take them in lockstep; and a mistake in how they are taken is found."""

from dataclasses import replace

import pytest

import manual.trainer
from handgrad import experiments
from handgrad.comparison import compare
from handgrad.experiment import Optimizer, Scheduler
from handgrad.sides import ManualSide
from manual.optim.lr_scheduler import StepLR
from parity_tests.commands.commands import document, refused, run

WAYS = {
    "clipped": {"max_norm": 0.01},
    "in parts": {"accumulate": 3, "batch_size": 4},
    "scheduled": {"scheduler": Scheduler("CosineAnnealingLR", (("T_max", 5),))},
    "every step": {"scheduler": Scheduler("OneCycleLR", (("max_lr", 0.3), ("total_steps", 60)), "step")},
    "all": {
        "optimizer": Optimizer("AdamW", (("weight_decay", 0.1),)),
        "scheduler": Scheduler("StepLR", (("step_size", 3),)),
        "max_norm": 0.1,
        "accumulate": 2,
        "batch_size": 3,
    },
}


def experiment(name, way):
    return replace(experiments.get(name), epochs=12, report_every=6, **WAYS[way])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["people", "or_gate", "xor", "layered"])
def test_the_tutorials_networks(name, way, device):
    asked = experiment(name, way)
    asked = replace(asked, batch_size=min(asked.batch_size or 4, len(asked.data().inputs)))
    found = compare(asked, device)
    assert found.ok, found.lockstep.failure
    assert found.apart < 1e-13


@pytest.mark.parametrize("way", ["in parts", "all"])
@pytest.mark.parametrize("name", ["mlp", "convnet", "char_rnn", "gpt"])
def test_the_named_networks(name, way, device):
    asked = replace(experiments.get(name), **WAYS[way])
    few = asked.data()
    few = replace(few, inputs=few.inputs[:11], targets=few.targets[:11])
    found = compare(replace(asked, data=lambda: few, epochs=2), device)
    assert found.ok, found.lockstep.failure


def test_clipping_that_is_wrong_is_found(monkeypatch):
    right = manual.trainer.clip_grad_norm_
    monkeypatch.setattr(manual.trainer, "clip_grad_norm_", lambda p, norm: right(p, norm * (1 + 1e-12)))
    found = compare(experiment("people", "clipped"))
    assert not found.ok
    assert found.lockstep.failure.name in found.hand.shapes()  # the gradients are right, the update is not


def test_parts_that_weigh_each_part_the_same_are_found(monkeypatch):
    """The mean of the parts' means: with 2, 1 and 1 of four samples it is not the mean."""

    def share(self, rows, count):
        return self.trainer.add_gradients(self.inputs[rows], self.targets[rows], 3 * len(rows))

    monkeypatch.setattr(ManualSide, "_share", share)
    found = compare(experiment("people", "in parts"))
    assert not found.ok
    assert found.lockstep.failure.step == 0


def test_a_scheduler_that_is_wrong_is_found(monkeypatch):
    monkeypatch.setattr(StepLR, "ratio", lambda self, t: 0.1 if t == 3 else 1.0)
    found = compare(experiment("people", "all"))
    assert not found.ok
    assert (found.lockstep.failure.name, found.lockstep.failure.step) == ("lr", 12)
    assert "the schedulers set" in found.lockstep.failure.reason


def test_the_command(capsys):
    arguments = ("people", "--epochs", "6", "--optimizer", "Adam(eps=1e-6)", "--clip-norm", "0.5", "--batch-size", "3")
    status, out, _ = run(capsys, "compare", *arguments, "--accumulate", "2", "--report-every", "2", "--json")
    found = document(out)
    assert (status, found["verdict"]) == (0, "in parity")
    config = found["config"]
    assert (config["max_norm"], config["batch_size"], config["accumulate"]) == (0.5, 3, 2)
    assert config["optimizer"] == {"name": "Adam", "eps": 1e-6}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("people", "--scheduler", "ReduceLROnPlateau"), "looks at a loss, which parts; use it with train.py"),
        (("people", "--batch-size", "5"), "--batch-size 5: there are 4 samples; give at most that many"),
        (("people", "--trace", "--clip-norm", "1"), "leave out --accumulate and --clip-norm"),
        (("or_gate", "--published", "--clip-norm", "1"), "by plain steps; leave out how steps are taken"),
        (("neuron", "--batch-size", "1"), "nothing is trained: leave out --batch-size"),
        (("--all", "--clip-norm", "1"), "--clip-norm goes with one experiment's name"),
    ],
)
def test_what_it_refuses(capsys, arguments, says):
    assert says in refused(capsys, "compare", *arguments)
