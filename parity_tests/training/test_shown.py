"""What a training shows: plain lines into a pipe, a bar on a terminal; and what a run folder says of its making."""

import json
import os
import pty
import subprocess
import sys
import termios

import numpy as np
import pytest

from handgrad.environment import environment, revision
from parity_tests.commands.commands import ROOT, run
from parity_tests.commands.tables import write_table
from parity_tests.training.runs import resumed, trained

COMMAND = [sys.executable, "scripts/train.py", "people", "--epochs", "300"]


def on_a_terminal(command):
    """Run a command with stderr on a terminal of its own; return stdout and what the terminal has been sent."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        os.close(theirs)
        sent = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            sent += part
        out = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    return out, sent.decode()


def test_a_pipe_gets_plain_lines(tmp_path):
    done = subprocess.run([*COMMAND, "--out", str(tmp_path / "run")], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""
    assert "\r" not in done.stdout
    shown = [line for line in done.stdout.splitlines() if line.startswith("manual  epoch")]
    assert len(shown) == 11
    assert shown[-1].startswith("manual  epoch     299  loss 0.")


@pytest.mark.parametrize(
    ("epochs", "every", "shown"),
    [(9, 1, 9), (11, 1, 11), (15, 1, 15), (19, 1, 19), (24, 1, 13), (30, 2, 16), (300, 1, 11)],
)
def test_about_ten_lines_are_shown_however_many_are_written(tmp_path, capsys, epochs, every, shown):
    arguments = ("people", "--epochs", epochs, "--report-every", every, "--out", tmp_path / "run")
    out = run(capsys, "train", *arguments)[1]
    assert sum(line.startswith("manual  epoch") for line in out.splitlines()) == shown


def test_a_terminal_gets_a_bar_and_the_same_lines(tmp_path):
    pytest.importorskip("tqdm")
    out, sent = on_a_terminal([*COMMAND, "--out", str(tmp_path / "run")])
    plain = subprocess.run([*COMMAND, "--out", str(tmp_path / "other")], cwd=ROOT, capture_output=True, text=True)
    assert out.replace("/run:", "/other:") == plain.stdout
    assert "manual" in sent
    assert "/1200" in sent
    assert sent.rstrip(" ").endswith("\r")  # the bar is taken away at the end


def test_json_shows_nothing_else(tmp_path):
    out, sent = on_a_terminal([*COMMAND, "--json", "--out", str(tmp_path / "run")])
    assert sent == ""
    found = json.loads(out)["results"]["manual"]
    assert found["summary"]["train"]["accuracy"] == 1.0
    assert found["metrics"][-1]["step"] == 1200


def test_the_folder_says_all_that_is_needed_to_repeat_it(tmp_path, capsys):
    assert trained(tmp_path / "run", "adults", "--steps", "3", "--side", "torch", "--optimizer", "Adam(eps=1e-6)") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["optimizer"] == {"name": "Adam", "eps": 1e-6}
    assert config["computed_on"].startswith("PyTorch on cpu")
    assert "TF32 off" in config["computed_on"]
    assert (config["steps"], config["seed"], config["order"]) == (3, 0, "shuffle")
    made = config["environment"]
    assert made == environment()
    assert made["numpy"] == np.__version__
    assert made["python"] == ".".join(map(str, sys.version_info[:3]))
    assert made["torch"].startswith("2.")
    assert "openblas" in made["blas"].lower() or made["blas"]
    assert set(made["threads"]) == {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
    capsys.readouterr()
    assert run(capsys, "predict", tmp_path / "run", "--input", "150,65")[0] == 0


def test_the_revision_is_that_of_the_project_alone(tmp_path):
    def git(*arguments):
        identity = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
        return subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    assert revision(tmp_path) is None
    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    assert revision(tmp_path) == git("rev-parse", "HEAD")
    (tmp_path / "file").write_text("two")
    assert revision(tmp_path) == git("rev-parse", "HEAD") + " with changes"
    (tmp_path / "inside").mkdir()
    assert revision(tmp_path / "inside") is None


def test_deterministic_is_asked_for_once_and_kept(tmp_path):
    """A run that goes on is as deterministic as it was."""
    import torch

    try:
        assert trained(tmp_path / "run", "people", "--epochs", "2", "--side", "torch", "--deterministic") == 0
        torch.use_deterministic_algorithms(False)
        assert resumed(tmp_path / "run", "--epochs", "3") == 0
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["device"]["deterministic"]
    assert config["options"] == {"name": "people", "epochs": 3, "deterministic": True}


def test_a_zero_that_was_given_is_told(tmp_path):
    write_table(tmp_path / "table.csv")
    given = {"csv": str(tmp_path / "table.csv"), "target": "two", "features": "age,height", "epochs": 1}
    given |= {"validation": 0.0, "test": 0.0, "seed": 0}
    arguments = [part for name, value in given.items() for part in (f"--{name}", value)]
    assert trained(tmp_path / "run", *arguments) == 0
    options = json.loads((tmp_path / "run" / "config.json").read_text())["options"]
    assert options == {**given, "csv": {"path": given["csv"]}, "features": ["age", "height"]}
