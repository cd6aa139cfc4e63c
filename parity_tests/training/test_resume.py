"""A run that was interrupted goes on and ends as if it had not been: to the bit on its own side, or on the other."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from handgrad import checkpoint, experiments, launch
from handgrad.processes import ALONE
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide
from handgrad.training import Training
from parity_tests.commands.commands import ROOT, refused
from parity_tests.training.runs import NUMBERS, as_in_a_terminal, differing, resumed, trained

SIDES = {"manual": ManualSide, "torch": TorchSide}
# Trainings that end in the middle of something: of an epoch, a schedule, an average of losses, a best.
RUNS = {
    "plain": ("people", "--epochs", "23"),
    "replacement": ("people", "--order", "replacement", "--batch-size", "3", "--epochs", "11"),
    "before": ("trial_and_error", "--batch-size", "1", "--epochs", "20"),
    "adam": (
        *("mlp", "--steps", "31", "--batch-size", "100", "--optimizer", "AdamW(amsgrad=True)", "--lr", "0.01"),
        *("--scheduler", "StepLR(step_size=1, gamma=0.5)", "--clip-norm", "0.5", "--evaluate-every", "4"),
    ),
    "momentum": (
        *("adults", "--epochs", "1", "--batch-size", "64", "--optimizer", "SGD(momentum=0.9, nesterov=True)"),
        *("--scheduler", "OneCycleLR(max_lr=0.5, total_steps=68)", "--accumulate", "3", "--weight-decay", "0.01"),
    ),
    # Rules that keep numbers of float32 beside parameters of float64, and a scheduler that counts in a dict.
    "nadam": (
        *("mlp", "--dtype", "float64", "--steps", "25", "--batch-size", "300", "--optimizer", "NAdam", "--lr", "0.01"),
        *("--scheduler", "MultiStepLR(milestones=[1, 3, 3], gamma=0.5)"),
    ),
    "asgd": ("mlp", "--dtype", "float64", "--steps", "25", "--batch-size", "300", "--optimizer", "ASGD(t0=3)"),
    "plateau": (
        *("adults", "--steps", "30", "--batch-size", "500", "--optimizer", "RMSprop", "--order", "shuffle"),
        *("--scheduler", "ReduceLROnPlateau(factor=0.5, patience=0, threshold=0.5)", "--report-every", "2"),
    ),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same runs without any interruption, trained when they are asked for."""
    folder = tmp_path_factory.mktemp("whole")

    def run(name, side):
        if not (folder / name / side).exists():
            assert trained(folder / name / side, *RUNS[name], "--side", side) == 0
        return folder / name / side

    return run


def interrupt(self, quiet):
    """Be killed as soon as the training begins."""
    raise KeyboardInterrupt


def interrupt_at(monkeypatch, side, number, signum=signal.SIGINT):
    """Let a signal come in the middle of the step of this number, counted from 1."""
    taken, step = [0], SIDES[side].step

    def interrupted(self, rows):
        taken[0] += 1
        if taken[0] == number:
            signal.raise_signal(signum)
        return step(self, rows)

    monkeypatch.setattr(SIDES[side], "step", interrupted)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", RUNS)
def test_interrupted_three_times_it_ends_the_same_to_the_bit(whole, name, side, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    for number, start in ((5, True), (1, False), (7, False)):
        with monkeypatch.context() as patch:
            interrupt_at(patch, side, number)
            status = trained(run, *RUNS[name], "--side", side) if start else resumed(run)
            assert status == 130
    assert "interrupted after step 13 of " in capsys.readouterr().err
    assert resumed(run) == 0
    assert differing(run, whole(name, side)) == []


def test_the_lines_that_came_after_the_checkpoint_are_written_anew(whole, tmp_path):
    """As after a kill: lines that the checkpoint does not know of, one cut short, and files half written."""
    run = tmp_path / "run"
    assert trained(run, *RUNS["plain"], "--epochs", "11") == 0
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 12, "loss": 0.5}\n{"epoch": 13, "lo')
    (run / ".checkpoint.npz.abc").write_bytes(b"half")
    assert resumed(run, "--epochs", "23") == 0
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 10, 20, 22]
    assert not list(run.glob(".*"))


@pytest.mark.parametrize("name", RUNS)
def test_it_goes_on_on_the_other_side_and_back(whole, name, tmp_path, monkeypatch):
    """By hand, then with autograd, then by hand: the numbers of a run by hand alone, but for rounding.

    Some thirty steps of these networks amplify rounding by less than 1e4; float32's unit is 1.2e-7.
    """
    run = tmp_path / "run"
    for number, side, start in ((6, "manual", True), (7, "torch", False)):
        with monkeypatch.context() as patch:
            interrupt_at(patch, side, number)
            arguments = ("--side", side)
            assert (trained(run, *RUNS[name], *arguments) if start else resumed(run, *arguments)) == 130
    assert resumed(run, "--side", "manual") == 0
    config = json.loads((run / "config.json").read_text())
    assert [(went["step"], went["side"]) for went in config["resumed"]] == [(6, "torch"), (13, "manual")]
    with np.load(run / "weights.npz") as found, np.load(whole(name, "manual") / "weights.npz") as wanted:
        assert set(found.files) == set(wanted.files)
        for key in wanted.files:
            assert found[key].dtype == wanted[key].dtype
            tolerance = 1e4 * np.finfo(wanted[key].dtype).eps * np.abs(wanted[key]).max()
            assert np.abs(found[key] - wanted[key]).max() <= tolerance, key
    # Autograd's side took its share of the steps: to the bit the runs are not the same, but in exact cases.
    lines, others = ((f / "metrics.jsonl").read_text().count("\n") for f in (run, whole(name, "manual")))
    assert lines == others


def test_a_finished_run_is_extended(whole, tmp_path):
    run = tmp_path / "run"
    assert trained(run, "adults", "--epochs", "1") == 0
    assert resumed(run) == 0
    assert resumed(run, "--epochs", "2") == 0
    assert trained(tmp_path / "straight", "adults", "--epochs", "2") == 0
    names = set(NUMBERS) - {"checkpoint.npz"}  # which says how many were asked for
    assert not names & set(differing(run, tmp_path / "straight"))


def test_both_sides_go_on(tmp_path, monkeypatch):
    """The first is finished by then, the second has not begun."""
    run, straight = tmp_path / "run", tmp_path / "straight"
    with monkeypatch.context() as patch:
        interrupt_at(patch, "torch", 3)
        assert trained(run, *RUNS["plain"], "--side", "both") == 130
    assert resumed(run) == 0
    assert trained(straight, *RUNS["plain"], "--side", "both") == 0
    assert [differing(run / side, straight / side) for side in SIDES] == [[], []]


@pytest.mark.parametrize("side", SIDES)
def test_killed_at_random_moments_it_ends_the_same_to_the_bit(tmp_path, request, side):
    """kill -9 as often as --kills says on both sides together, at moments that nobody has chosen."""
    kills = (request.config.getoption("--kills") + 1) // 2
    arguments = ("xor_hidden", "--side", side, "--epochs", "3000" if side == "manual" else "1500")
    arguments = (*arguments, "--checkpoint-every", "3")
    command = [sys.executable, "-m", "parity_tests.training.killed", str(kills), "7", str(tmp_path / "run"), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60 + 5 * kills)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["status"] == 0
    assert len(found["killed_at"]) == kills
    assert trained(tmp_path / "whole", *arguments) == 0
    assert differing(tmp_path / "run", tmp_path / "whole") == []


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs to go on with: people by hand, and both sides."""
    folder = tmp_path_factory.mktemp("runs")
    assert trained(folder / "people", "people", "--epochs", "3") == 0
    assert trained(folder / "steps", "people", "--steps", "3") == 0
    assert trained(folder / "both", "people", "--epochs", "3", "--side", "both") == 0
    return folder


@pytest.fixture(autouse=True)
def quiet_terminal(capsys):
    """Nothing that was printed before a test belongs to what it refuses, and Ctrl-C comes through."""
    capsys.readouterr()
    with as_in_a_terminal():
        yield


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("people", "--resume", "{people}"), "NAME: a run goes on with its own settings; leave it out"),
        (("--resume", "{people}", "--lr", "0.2"), "--lr: a run goes on with its own settings"),
        (("--resume", "{people}", "--batch-size", "2"), "--batch-size: a run goes on"),
        (("--resume", "{people}", "--out", "x"), "not allowed with"),
        (("--resume", "{people}", "--epochs", "2"), "has taken 12 steps already, more than the 8 asked for"),
        (("--resume", "{people}", "--steps", "20"), "this run was given the other of --epochs and --steps"),
        (("--resume", "{steps}", "--epochs", "20"), "this run was given the other of --epochs and --steps"),
        (("--resume", "{people}", "--side", "both"), "is a run of one side"),
        (
            ("--resume", "{both}", "--side", "torch"),
            "holds a run of each side; name one of them: --resume .*both/torch",
        ),
        (("--resume", "{nowhere}"), "nowhere does not exist; name a folder that train.py --out has left"),
        (("--resume", "{people}/weights.npz"), "is no checkpoint of train.py, but something else"),
        (("--resume", "{people}", "--device", "cuda"), "the manual side runs on the CPU alone"),
    ],
)
def test_what_it_refuses(run, capsys, arguments, says):
    import re

    places = {name: run / name for name in ("people", "steps", "both", "nowhere")}
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert re.search(says, refused(capsys, "train", *(argument.format(**places) for argument in arguments)))
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_other_samples_are_refused(run, capsys, monkeypatch):
    import handgrad.experiments._people as people

    monkeypatch.setitem(people.TABLE, "Bob", (161, 72, 0))
    assert "was trained on other samples" in refused(capsys, "train", "--resume", run / "people", "--epochs", "4")


def test_other_settings_of_another_version_are_refused(run, capsys, monkeypatch):
    from dataclasses import replace

    from handgrad import experiments

    changed = replace(experiments.get("people"), lr=0.2)
    monkeypatch.setattr(experiments, "get", lambda name: changed)
    message = refused(capsys, "train", "--resume", run / "people", "--epochs", "4")
    assert "was trained with lr 0.1, but this version of handgrad has 0.2" in message


def test_a_damaged_checkpoint_names_the_one_before_which_is_good(run, capsys, tmp_path):
    assert trained(tmp_path / "run", "people", "--epochs", "5", "--checkpoint-every", "7") == 0
    (tmp_path / "run" / "checkpoint.npz").write_bytes(b"PK damaged")
    capsys.readouterr()
    message = refused(capsys, "train", "--resume", tmp_path / "run")
    assert f"--resume {tmp_path / 'run' / 'previous.npz'}" in message
    assert resumed(tmp_path / "run" / "previous.npz") == 0
    assert trained(tmp_path / "whole", "people", "--epochs", "5", "--checkpoint-every", "7") == 0
    assert differing(tmp_path / "run", tmp_path / "whole") == []


def test_gone_on_from_the_one_before_and_killed_at_once_it_goes_on_from_there(tmp_path, monkeypatch, capsys):
    """Its lines are taken back by then: the checkpoint that knows of more of them must not count any longer."""
    run, arguments = tmp_path / "run", ("people", "--epochs", "5", "--report-every", "1", "--checkpoint-every", "7")
    assert trained(run, *arguments) == 0
    with monkeypatch.context() as patch:
        patch.setattr(Training, "run", interrupt)
        assert resumed(run / "previous.npz") == 130
    assert resumed(run) == 0
    assert trained(tmp_path / "whole", *arguments) == 0
    assert differing(run, tmp_path / "whole") == []


def test_interrupted_both_sides_are_to_be_gone_on_with(tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        interrupt_at(patch, "manual", 3)
        assert trained(tmp_path / "run", *RUNS["plain"], "--side", "both") == 130
    assert capsys.readouterr().err.endswith(f"go on with --resume {tmp_path / 'run'}\n")


def test_a_run_goes_on_where_it_was_or_says_that_it_cannot(tmp_path, capsys):
    """What was trained on a device is not gone on with elsewhere unless that is asked for."""
    assert trained(tmp_path / "run", "people", "--epochs", "2", "--side", "torch") == 0
    snapshot, rest = checkpoint.load(tmp_path / "run")
    assert rest["config"]["device"] == "cpu"
    rest["config"]["device"] = "cuda:0"
    size = rest.pop("metrics_size")
    checkpoint.save(tmp_path / "run", snapshot, {**rest, "metrics_size": size})
    capsys.readouterr()
    if not torch.cuda.is_available():
        assert "CUDA" in refused(capsys, "train", "--resume", tmp_path / "run", "--epochs", "3")
    assert resumed(tmp_path / "run", "--epochs", "3", "--device", "cpu") == 0
    assert resumed(tmp_path / "run", "--epochs", "4", "--side", "manual") == 0


def test_a_disk_that_is_full_at_the_start_names_the_folder_that_was_asked_for(tmp_path, monkeypatch, capsys):
    def fails(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("handgrad.files.os.replace", fails)
    message = refused(capsys, "train", "people", "--out", tmp_path / "run")
    assert message == f"train.py: {tmp_path / 'run'} cannot be written (No space left on device); train again\n"


@pytest.mark.parametrize("side", SIDES)
def test_generators_go_on_where_they_were(side, tmp_path):
    """What a module would draw next, also through a checkpoint's JSON and arrays."""
    experiment = experiments.get("char_rnn")
    data, state = experiment.data(), experiment.weights(0, experiment.network)
    one, other = (launch.build(side, experiment, data, state, ALONE) for _ in range(2))

    def draw(of):
        return of.network.rnn.generator.random(3) if side == "manual" else torch.rand(3, device="cpu").cpu().numpy()

    draw(one)
    checkpoint.save(tmp_path, one.snapshot(), {"generators": one.generators()})
    wanted = draw(one)
    assert not np.array_equal(draw(other), wanted)
    other.restore_generators(checkpoint.load(tmp_path)[1]["generators"])
    assert np.array_equal(draw(other), wanted)
