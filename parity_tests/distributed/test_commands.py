"""train.py in several processes: one speaks and writes, and the end of one is told by another."""

import json

import numpy as np
import pytest

from parity_tests.commands.commands import shell
from parity_tests.distributed.commands import EPOCHS, LONG, WHOLE
from parity_tests.distributed.forked import in_a_process
from parity_tests.training.runs import trained

# Relative, of 600 steps that each differ by rounding: 0.8 eps were measured at most, since descent forgets it again.
ALLOWED = 8 * np.finfo(float).eps


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("trainings")


@pytest.fixture(scope="module")
def launched(folder):
    """{name: exit statuses, stdout and stderr, each by rank}."""
    return json.loads(in_a_process("commands", "run", folder))


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def apart(one, other):
    """The largest relative difference of two runs' metrics and weights."""
    found = []
    for mine, theirs in zip(lines(one), lines(other), strict=True):
        assert list(mine) == list(theirs)
        found += [abs(mine[key] - theirs[key]) / max(abs(theirs[key]), 1e-3) for key in mine]
    weights, others = (np.load(run / "weights.npz") for run in (one, other))
    return max(found + [np.abs(weights[name] - others[name]).max() / np.abs(others[name]).max() for name in others])


def told(launched, name):
    """What was printed to stderr, which must be one line of one process."""
    spoken = [text for text in launched[name]["err"] if text]
    assert len(spoken) == 1, launched[name]
    assert spoken[0].count("\n") == 1, spoken
    return spoken[0]


def test_two_processes_train_as_one_does(launched, folder, tmp_path):
    assert launched["whole"]["statuses"] == [0, 0]
    assert launched["whole"]["err"] == ["", ""]
    main, other = launched["whole"]["out"]
    assert other == ""
    assert [line[:18] for line in main.splitlines()].count("manual  epoch     ") == main.count("torch   epoch")
    assert trained(tmp_path / "alone", "people", *WHOLE) == 0
    for side in ("manual", "torch"):
        assert apart(folder / "whole" / side, tmp_path / "alone" / side) <= ALLOWED
        config = json.loads((folder / "whole" / side / "config.json").read_text())
        assert "2 processes" in config["computed_on"]


def test_torchrun_itself(tmp_path):
    arguments = ["people", "--batch-size", "3", "--epochs", "20", "--side", "torch"]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = shell(*launcher, "scripts/train.py", *arguments, "--out", str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr
    assert "train.py:" not in done.stderr
    assert done.stdout.count(f"{tmp_path / 'two'}: weights.npz after step 40") == 1
    assert trained(tmp_path / "alone", *arguments) == 0
    assert apart(tmp_path / "two", tmp_path / "alone") <= ALLOWED


@pytest.mark.parametrize(
    ("name", "world", "said"),
    [("exists", 2, "exists already"), ("mistyped", 2, "unrecognized"), ("diverged", 3, "the training diverged")],
)
def test_an_error_is_told_once(name, world, said, launched):
    assert launched[name]["statuses"] == [2] * world
    assert said in told(launched, name)


def test_a_signal_to_one_interrupts_all_at_the_same_step(launched):
    assert launched["interrupted"]["statuses"] == [143] * 3
    assert "and saved; go on with --resume" in told(launched, "interrupted")
    assert launched["interrupted"]["err"][0]  # by the main process, although another was asked


@pytest.mark.parametrize(("name", "statuses"), [("killed", [2, -9]), ("main killed", [-9, 2, 2])])
def test_the_others_end_when_one_is_killed(name, statuses, launched, folder):
    assert launched[name]["statuses"] == statuses
    line = told(launched, name)
    assert "another process of this training has ended or does not answer; this one stops after step" in line
    assert line.endswith(f"go on with --resume {folder / name}\n")


@pytest.mark.parametrize("name", ["interrupted", "killed", "main killed"])
def test_the_run_goes_on_with_fewer_processes(name, launched, folder, tmp_path):
    assert not any(launched[f"{name}, resumed"]["statuses"]), launched[f"{name}, resumed"]
    arguments = [EPOCHS if argument == "100000" else argument for argument in LONG]
    assert trained(tmp_path / "alone", *arguments, "--side", "torch" if name == "killed" else "manual") == 0
    assert apart(folder / name, tmp_path / "alone") <= ALLOWED
