"""How steps are taken: optimizers, schedulers, clipping and parts, on both sides and beside a loop written in torch."""

import json
import re

import numpy as np
import pytest
import torch
from torch import nn

import manual.trainer
import torch_impl.trainer
from handgrad import experiments
from handgrad.loop import Order
from parity_tests.commands.commands import refused
from parity_tests.training.runs import differing, resumed, trained

OPTIMIZERS = {
    "SGD(momentum=0.9, dampening=0.1)": 0.1,
    "ASGD": 0.1,
    "Adadelta": 1.0,
    "Adagrad(lr_decay=0.01)": 0.1,
    "Adam(betas=(0.8, 0.99))": 0.01,
    "AdamW(amsgrad=True)": 0.01,
    "Adamax": 0.01,
    "NAdam": 0.01,
    "RAdam": 0.01,
    "RMSprop(centered=True)": 0.01,
    "Rprop": 0.01,
}
SCHEDULERS = [
    "ConstantLR(factor=0.5, total_iters=2)",
    "CosineAnnealingLR(T_max=4, eta_min=0.01)",
    "CosineAnnealingWarmRestarts(T_0=2)",
    "CyclicLR(base_lr=0.01, max_lr=0.2, step_size_up=3, cycle_momentum=False)",
    "ExponentialLR(gamma=0.8)",
    "LinearLR(total_iters=3)",
    "MultiStepLR(milestones=[1, 3], gamma=0.3)",
    "OneCycleLR(max_lr=0.3, total_steps=40, cycle_momentum=False)",
    "PolynomialLR(total_iters=4)",
    "ReduceLROnPlateau(factor=0.5, patience=0, threshold=0.3)",
    "StepLR(step_size=2)",
]
MLP = ("mlp", "--dtype", "float64", "--batch-size", "180", "--epochs", "4", "--report-every", "1")
# 32 steps at most: free runs of this network part by some 1e3 roundings of its largest weight at worst.
APART = 1e4 * np.finfo(float).eps


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(folder):
    with np.load(folder / "weights.npz") as file:
        return {name: file[name] for name in file.files}


def assert_together(folder):
    """Assert that both sides' runs in a folder are the same but for rounding, and not where they began."""
    hand, autograd = (weights(folder / side) for side in ("manual", "torch"))
    start = experiments.get("mlp").weights(0, experiments.get("mlp").network)
    for name, value in hand.items():
        assert not np.array_equal(value, start[name])
        assert np.abs(value - autograd[name]).max() <= APART * np.abs(value).max(), name
    for one, other in zip(lines(folder / "manual"), lines(folder / "torch"), strict=True):
        assert one["lr"] == other["lr"]
        assert one["loss"] == pytest.approx(other["loss"], rel=APART)
        assert one["batch_loss"] == pytest.approx(other["batch_loss"], rel=APART)


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_every_optimizer_on_both_sides(tmp_path, rule):
    arguments = ("--optimizer", rule, "--lr", OPTIMIZERS[rule], "--side", "both")
    assert trained(tmp_path / "run", *MLP, *arguments) == 0
    assert_together(tmp_path / "run")


@pytest.mark.parametrize("side", ["manual", "torch"])
@pytest.mark.parametrize(
    "arguments",
    [*(("--optimizer", rule) for rule in OPTIMIZERS), *(("--scheduler", rule) for rule in SCHEDULERS)],
    ids=lambda arguments: arguments[1].partition("(")[0],
)
def test_a_run_with_it_goes_on_to_the_bit(tmp_path, arguments, side):
    """In float64, where a number that an optimizer keeps in float32 must stay one."""
    settings = ("people", "--batch-size", "3", "--lr", "0.01", *arguments, "--side", side, "--steps")
    assert trained(tmp_path / "whole", *settings, "13") == 0
    assert trained(tmp_path / "run", *settings, "5") == 0
    assert resumed(tmp_path / "run", "--steps", "13") == 0
    assert "weights.npz" not in differing(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("rule", SCHEDULERS)
@pytest.mark.parametrize("every", ["epoch", "step"])
def test_every_scheduler_on_both_sides(tmp_path, rule, every):
    arguments = ("--scheduler", rule, "--schedule-every", every, "--evaluate-every", "1")
    assert trained(tmp_path / "run", *MLP, *arguments, "--side", "both") == 0
    assert_together(tmp_path / "run")
    assert len({line["lr"] for line in lines(tmp_path / "run" / "manual")}) > 1


@pytest.mark.cpu_only("the same bits are promised there")
def test_all_of_it_beside_a_loop_written_in_torch(tmp_path):
    """The torch side's run is that of a loop as torch's tutorials write it, to the bit."""
    arguments = ("--optimizer", "AdamW(betas=(0.8, 0.99))", "--lr", "0.01", "--weight-decay", "0.1")
    arguments = (*arguments, "--clip-norm", "0.3", "--scheduler", "StepLR(step_size=2, gamma=0.5)")
    assert trained(tmp_path / "run", *MLP, *arguments, "--side", "torch") == 0

    experiment = experiments.get("mlp")
    data, start = experiment.data(), experiment.weights(0, experiment.network)
    network = nn.Sequential(nn.Linear(64, 32), nn.Sigmoid(), nn.Linear(32, 10)).double()
    network.load_state_dict({name: torch.tensor(value) for name, value in start.items()})
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, betas=(0.8, 0.99), weight_decay=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    inputs, targets = torch.tensor(data.inputs), torch.tensor(data.targets)
    random, losses, norms = np.random.default_rng([0, 1]), [], []
    for _ in range(4):
        rows = torch.tensor(random.permutation(len(inputs)))
        for batch in rows.split(180):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(inputs[batch]), targets[batch])
            loss.backward()
            norms.append(nn.utils.clip_grad_norm_(network.parameters(), 0.3).item())
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
    assert min(norms) < 0.3 < max(norms)  # some were clipped
    found = weights(tmp_path / "run")
    assert all(np.array_equal(found[name], value.cpu().numpy()) for name, value in network.state_dict().items())
    said = [line["batch_loss"] for line in lines(tmp_path / "run")]
    assert said == pytest.approx([np.mean(losses[i : i + 8]) for i in range(0, 32, 8)], rel=1e-14)


@pytest.mark.parametrize("side", ["manual", "torch"])
@pytest.mark.parametrize("name", ["mlp", "gpt", "adults"])
def test_a_batch_in_parts_is_the_same_step(tmp_path, monkeypatch, side, name):
    """Seven parts of 30 samples, 4 or 5 each: but for rounding the run of whole batches."""
    arguments = (name, "--dtype", "float64", "--batch-size", "30", "--steps", "6", "--side", side, "--lr", "0.05")
    arguments = (*arguments, "--optimizer", "SGD")
    assert trained(tmp_path / "whole", *arguments) == 0
    trainer, sizes = {"manual": manual.trainer.Trainer, "torch": torch_impl.trainer.Trainer}[side], []
    add = trainer.add_gradients
    spy = lambda self, inputs, targets, count: sizes.append(len(inputs)) or add(self, inputs, targets, count)  # noqa: E731
    monkeypatch.setattr(trainer, "add_gradients", spy)
    assert trained(tmp_path / "parts", *arguments, "--accumulate", "7") == 0
    assert sizes == 6 * [5, 5, 4, 4, 4, 4, 4]
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    for key, value in whole.items():
        assert np.abs(value - parts[key]).max() <= APART * np.abs(value).max(), key
    one, other = (lines(tmp_path / run)[-1] for run in ("whole", "parts"))
    assert one["batch_loss"] == pytest.approx(other["batch_loss"], rel=APART)


def test_steps_end_in_the_middle_of_an_epoch(tmp_path):
    assert trained(tmp_path / "run", "mlp", "--batch-size", "100", "--steps", "20", "--evaluate-every", "6") == 0
    assert [(line["epoch"], line["step"]) for line in lines(tmp_path / "run")] == [
        *((0, 6), (0, 12), (0, 15), (1, 18), (1, 20)),
    ]
    order = Order(experiments.get("mlp"), 1437)
    assert order.steps_per_epoch == 45


def test_the_best_weights_are_those_of_the_least_validation_loss(tmp_path):
    """The least loss over what is trained on stands in another line."""
    arguments = (*MLP[:-4], "--report-every", "1", "--validation", "0.2", "--lr", "20", "--seed", "1")
    assert trained(tmp_path / "run", *arguments, "--epochs", "12") == 0
    found = lines(tmp_path / "run")
    least = {name: int(np.argmin([line[name] for line in found])) for name in ("loss", "validation_loss")}
    assert least["loss"] != least["validation_loss"] < 11
    best = found[least["validation_loss"]]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["best"] == {"loss": best["validation_loss"], "step": best["step"]}
    assert trained(tmp_path / "shorter", *arguments, "--epochs", best["epoch"] + 1) == 0
    assert (tmp_path / "run" / "best.npz").read_bytes() == (tmp_path / "shorter" / "weights.npz").read_bytes()


def test_the_best_weights_are_kept(tmp_path):
    """A rate that is far too large: the loss goes up and down, and the best is not the last."""
    assert trained(tmp_path / "run", *MLP, "--lr", "30") == 0
    losses = [line["loss"] for line in lines(tmp_path / "run")]
    best = int(np.argmin(losses))
    assert best < 3
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["best"] == {"loss": losses[best], "step": 8 * (best + 1)}
    assert trained(tmp_path / "shorter", *MLP, "--lr", "30", "--epochs", best + 1) == 0
    assert (tmp_path / "run" / "best.npz").read_bytes() == (tmp_path / "shorter" / "weights.npz").read_bytes()


@pytest.mark.parametrize("side", ["manual", "torch"])
def test_the_same_seed_gives_the_same_bits(tmp_path, side):
    for run in ("one", "other"):
        assert trained(tmp_path / run, "char_rnn", "--steps", "8", "--side", side) == 0
    names = ("weights.npz", "best.npz", "metrics.jsonl", "summary.json", "checkpoint.npz", "config.json")
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--optimizer", "Sgd"), "--optimizer Sgd: there is none of this name; choose one of ASGD, SGD, .*RAdam"),
        (("--optimizer", "Optimizer"), "there is none of this name"),
        (("--optimizer", "Adam(lr=1)"), "the learning rate has an option of its own, --lr"),
        (("--optimizer", "Adam(beta=1)"), "Adam got an unexpected keyword argument 'beta'"),
        (("--optimizer", "SGD(momentum=-1)"), "momentum is -1, but"),
        (("--optimizer", "SGD(0.9)"), "is not written as in 'Adam"),
        (("--optimizer", "SGD(momentum=print)"), "is not written as in 'Adam"),
        (("--optimizer", "os.system('x')"), "is not written as in 'Adam"),
        (("--optimizer", "SGD("), "is not written as in 'Adam"),
        (("--optimizer", "SGD(momentum=0.9, momentum=0.8)"), "has an option twice"),
        (("--optimizer", "SGD(momentum=0.9, dampening='x')"), "SGD: dampening='x' is of no kind that it takes"),
        (("--scheduler", "StepLR(step_size=2, gamma='x')"), "StepLR: gamma='x' is of no kind that it takes"),
        (("--scheduler", "StepLR(step_size=2, gamma=None)"), "StepLR: gamma=None is of no kind that it takes"),
        (("--scheduler", "MultiStepLR(milestones=['a'])"), r"MultiStepLR: milestones=\['a'\] is of no kind"),
        (("--scheduler", "ExponentialLR(gamma=1j)"), "ExponentialLR: gamma=1j is of no kind that it takes"),
        (
            ("--epochs", "5", "--scheduler", "OneCycleLR(max_lr=0.1, total_steps=19)"),
            "its one cycle has 19 steps, but it is to take 20, one every step; begin with total_steps=20, or",
        ),
        (
            (
                "--steps",
                "9",
                "--scheduler",
                "OneCycleLR(max_lr=1, epochs=1, steps_per_epoch=1)",
                "--schedule-every",
                "epoch",
            ),
            "its one cycle has 1 steps, but it is to take 2, one every epoch",
        ),
        (("--optimizer", "Muon"), "--optimizer Muon: .*matri"),
        (("--optimizer", "SGD(foreach=True)"), "foreach"),
        (("--optimizer", "Rprop", "--weight-decay", "0.1"), "Rprop has no weight decay"),
        (("--scheduler", "LambdaLR"), "cannot be written as an option; choose one of"),
        (("--scheduler", "StepLR"), "StepLR missing 1 required positional argument: 'step_size'"),
        (("--scheduler", "CosineAnnealingLR(T_max=0)"), "T_max is 0"),
        (("--schedule-every", "step"), "there is no scheduler; add --scheduler"),
        (("--steps", "3", "--epochs", "2"), "both say when to end"),
        (("--clip-norm", "0"), "not a number above 0"),
        (("--accumulate", "0"), "not a whole number above 0"),
        (("--batch-size", "-1"), "not a whole number above 0"),
        (("--checkpoint-every", "x"), "not a whole number above 0"),
    ],
)
def test_what_it_refuses(tmp_path, capsys, arguments, says):
    assert re.search(says, refused(capsys, "train", "people", *arguments, "--out", tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []


def test_a_cycle_as_long_as_the_training_is_taken_to_its_end_and_not_beyond(tmp_path, capsys):
    one = ("--scheduler", "OneCycleLR(max_lr=0.1, total_steps=20)")
    assert trained(tmp_path / "run", "people", "--epochs", "5", *one, "--side", "both") == 0
    for command in (
        ("train", "--resume", tmp_path / "run", "--epochs", "6"),
        ("compare", "people", "--epochs", "6", *one),
    ):
        capsys.readouterr()
        assert "its one cycle has 20 steps, but it is to take 24" in refused(capsys, *command)


@pytest.mark.parametrize("every", ["epoch", "step"])
def test_a_scheduler_that_looks_at_the_loss_is_given_the_one_that_the_run_goes_by(tmp_path, every):
    """Of the validation part there is none here: it is the loss over all samples, at the end of each epoch or step."""
    arguments = ("--scheduler", "ReduceLROnPlateau(factor=0.5, patience=0, threshold=0.5)", "--schedule-every", every)
    assert trained(tmp_path / "run", *MLP, *arguments, "--lr", "3", "--evaluate-every", "1") == 0
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=3.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.5)
    rates = []
    for line in lines(tmp_path / "run"):
        rates.append(optimizer.param_groups[0]["lr"])
        if every == "step" or line["step"] % 8 == 0:
            scheduler.step(line["loss"])
    assert [line["lr"] for line in lines(tmp_path / "run")] == rates
    assert len(set(rates)) > 2
