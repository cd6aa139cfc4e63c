"""compare.py: what it prints, what it leaves, and what it refuses."""

import re

import numpy as np
import pytest

from handgrad import experiments
from handgrad.errors import UsageError
from manual.networks import TwoTwoOne
from parity_tests.commands.commands import document, refused, run, shell


def test_people_with_seed_44(capsys):
    status, out, _ = run(capsys, "compare", "people", "--seed", "44")
    assert status == 0
    assert re.search(r"Emily\s+0\.951\s.*\sF$", out, re.M)
    assert re.search(r"Frank\s+0\.039\s.*\sM$", out, re.M)
    assert 'Zhou, "Machine Learning for Beginners"' in out
    assert re.search(r"^ +0 +0\.357768907562423\d* +0\.357768907562423\d* ", out, re.M)
    for heading in ("First step", "Last step (of 4,000)", "Furthest apart over all steps"):
        assert heading in out
    for name in ("w1", "b3", "d_L_d_w1", "d_L_d_b3", "loss"):
        assert len(re.findall(rf"^  {name} ", out, re.M)) >= 2
    assert out.splitlines()[-1].startswith("IN PARITY at all 4,000 steps: the error by hand is at most 0.")


def test_seed_77_prints_the_tutorials_numbers_too(capsys):
    _, out, _ = run(capsys, "compare", "people", "--seed", "77")
    assert re.search(r"Emily\s+0\.951\s", out)
    assert re.search(r"Frank\s+0\.039\s", out)


def test_json(capsys):
    status, out, err = run(capsys, "compare", "people", "--epochs", "20", "--json")
    found = document(out)
    assert (status, err) == (0, "")
    assert (found["command"], found["experiment"], found["verdict"]) == ("compare", "people", "in parity")
    assert found["config"]["epochs"] == 20
    assert found["results"]["steps"] == 80
    assert [row["epoch"] for row in found["results"]["losses"]] == [0, 10, 19]
    assert [row["name"] for row in found["results"]["asked"]] == ["Emily", "Frank"]
    assert found["results"]["contradictory_rows"] == []


def test_out_of_parity_is_status_1(capsys, monkeypatch):
    right = TwoTwoOne.backward

    def backward(self, grad_output, saved, *, input_grad=True):
        result = right(self, grad_output, saved, input_grad=input_grad)
        self.w2.grad = np.asarray(2 * self.w2.grad)
        return result

    monkeypatch.setattr(TwoTwoOne, "backward", backward)
    status, out, _ = run(capsys, "compare", "people", "--epochs", "2")
    assert status == 1
    assert "OUT OF PARITY: step 0, d_L_d_w2 goes wrong first" in out.splitlines()[-1]
    assert re.search(r"d_L_d_w2 .* <- out of parity", out)


def test_a_diverged_training_keeps_json_valid(capsys):
    status, out, _ = run(capsys, "compare", "trial_and_error", "--lr", "1e3", "--epochs", "200", "--json")
    found = document(out)
    assert status in (0, 1)
    assert found["results"]["losses"][-1]["hand"] == "NaN"
    assert found["results"]["losses"][-1]["autograd"] == "NaN"


def test_list(capsys):
    status, out, _ = run(capsys, "compare", "--list")
    assert status == 0
    listed = [line.split()[0] for line in out.splitlines()]
    assert listed == experiments.names()
    assert set(listed) >= set(experiments.ORDER)
    assert len(document(run(capsys, "compare", "--list", "--json")[1])["results"]) == len(listed)


def test_all(capsys, monkeypatch):
    monkeypatch.setattr(experiments, "names", lambda: ["neuron", "alice", "trial_and_error"])
    status, out, _ = run(capsys, "compare", "--all", "--epochs", "3")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == ["neuron", "alice", "trial_and_error"]
    assert out.count("IN PARITY") == 3


def test_the_contradiction_is_found_in_the_data(capsys):
    _, out, _ = run(capsys, "compare", "virus", "--epochs", "50")
    assert re.search(r"warning +rows 3 and 6 have the same inputs and different targets", out)
    assert re.search(r"Weights, largest first: loss of smell", out)
    _, out, _ = run(capsys, "compare", "or_gate", "--epochs", "5")
    assert "warning" not in out


def test_published(capsys):
    status, out, _ = run(capsys, "compare", "or_worked", "--published")
    assert status == 0
    assert "PUBLISHED RULE, with its mistake" in out
    assert "-0.0689673045402823" in out


def test_settings_reach_the_training(capsys):
    options = ["--order", "replacement", "--inputs", "mean", "--dtype", "float32", "--lr", "0.5", "--epochs", "3"]
    config = document(run(capsys, "compare", "people", *options, "--json")[1])["config"]
    assert (config["order"], config["inputs"], config["dtype"]) == ("replacement", "mean", "float32")
    assert (config["lr"], config["epochs"]) == (0.5, 3)
    sized = document(run(capsys, "compare", "layered", "--sizes", "2,5,4,1", "--epochs", "2", "--json")[1])
    assert sized["config"]["network"]["sizes"] == [2, 5, 4, 1]


def test_out_leaves_both_runs(capsys, tmp_path):
    folder = tmp_path / "run"
    status, out, _ = run(capsys, "compare", "alice", "--out", folder, "--json")
    assert status == 0
    assert sorted(path.name for path in folder.iterdir()) == ["comparison.json", "manual", "torch"]
    assert (folder / "comparison.json").read_text() == out
    for side in ("manual", "torch"):
        assert sorted(p.name for p in (folder / side).iterdir()) == ["config.json", "metrics.jsonl", "weights.npz"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--list"),
        (["nobody"], "there is no experiment 'nobody'; choose one of neuron,"),
        (["people", "--list"], "one experiment, or --list"),
        (["people", "--epochs", "0"], "whole number above 0"),
        (["people", "--epochs", "many"], "'many' is not a whole number"),
        (["people", "--lr", "-1"], "above 0"),
        (["people", "--lr", "nan"], "above 0|finite"),
        (["people", "--seed", "-1"], "seed"),
        (["people", "--seed", "4294967296"], "4294967295"),
        (["people", "--order", "random"], "fixed"),
        (["people", "--dtype", "float16"], "float64"),
        (["people", "--inputs", "huge"], "shift, mean, raw"),
        (["alice", "--inputs", "raw"], "one form"),
        (["people", "--published"], "no published rule"),
        (["people", "--sizes", "2,3,1"], "fixed network"),
        (["xor", "--published", "--sizes", "2,4,1"], "one layer"),
        (["layered", "--sizes", "3,3,1"], r"2,\.\.\.,1"),
        (["layered", "--sizes", "2,0,1"], "above 0"),
        (["layered", "--sizes", "2,x,1"], "'x'"),
        (["neuron", "--epochs", "3"], "forward only"),
        (["people", "--device", "tpu"], "cuda"),
        (["people", "--device", "cuda:9"], "CUDA"),
        (["people", "--wrong"], "--wrong"),
        (["--all", "--published"], "--published"),
    ],
)
def test_wrong_use(capsys, arguments, says):
    assert re.search(says, refused(capsys, "compare", *arguments))


def test_a_folder_that_holds_something_is_kept(capsys, tmp_path):
    kept = tmp_path / "notes.txt"
    kept.write_text("mine")
    assert "kept as it is" in refused(capsys, "compare", "alice", "--out", tmp_path)
    assert "kept as it is" in refused(capsys, "compare", "alice", "--out", kept)
    assert kept.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_that_cannot_be_made(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(capsys, "compare", "alice", "--out", tmp_path / "file" / "run")
    assert refused(capsys, "compare", "alice", "--out", "/proc/nowhere/run")


def test_nothing_is_left_when_the_training_fails(capsys, tmp_path, monkeypatch):
    def fail(*_):
        raise UsageError("stopped half-way")

    monkeypatch.setattr("handgrad.comparison.run", fail)
    assert "stopped half-way" in refused(capsys, "compare", "alice", "--out", tmp_path / "deep" / "run")
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    assert not (tmp_path / "deep" / "run").exists()


def test_from_the_shell():
    done = shell("scripts/compare.py", "neuron")
    assert (done.returncode, done.stderr) == (0, "")
    assert "0.9990889488055994" in done.stdout
    assert shell("scripts/compare.py", "nobody").returncode == 2


def test_a_reader_who_stops_early_is_no_error():
    import subprocess
    import sys

    from parity_tests.commands.commands import ROOT

    line = f"{sys.executable} scripts/compare.py --list | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr == ""
    assert done.stdout.startswith("neuron ")
