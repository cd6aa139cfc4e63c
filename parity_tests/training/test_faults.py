"""What can go wrong while a run is trained: interruptions, numbers that are not finite, folders and disks."""

import json
import re
import resource
import shutil
import signal
import subprocess
import sys

import pytest

from handgrad import checkpoint
from handgrad.runs import RunFolder
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide
from handgrad.training import Training
from parity_tests.commands.commands import ROOT, refused, run
from parity_tests.training.runs import as_in_a_terminal, differing, resumed, trained

SIDES = {"manual": ManualSide, "torch": TorchSide}


@pytest.fixture(autouse=True)
def terminal():
    with as_in_a_terminal():
        yield


def at_step(monkeypatch, side, number, happens):
    """Let something happen just before a side takes its step of this number, counted from 1; it is given the side."""
    taken, step = [0], SIDES[side].step

    def stepped(self, rows):
        taken[0] += 1
        if taken[0] == number:
            happens(self)
        return step(self, rows)

    monkeypatch.setattr(SIDES[side], "step", stepped)


# ---------------------------------------------------------------------- asked to end


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_asked_to_end_it_finishes_the_step_and_saves(tmp_path, monkeypatch, capsys, signum, status):
    folder = tmp_path / "run"
    at_step(monkeypatch, "manual", 9, lambda side: signal.raise_signal(signum))
    found, out, err = run(capsys, "train", "people", "--epochs", "5", "--out", folder, "--json")
    assert (found, out) == (status, "")
    assert err == f"train.py: interrupted after step 9 of 20 and saved; go on with --resume {folder}\n"
    assert checkpoint.load(folder)[1]["order"]["step"] == 9
    assert signal.getsignal(signum) is not None
    assert not (folder / "summary.json").exists()


def test_asked_twice_it_ends_at_once(tmp_path, monkeypatch, capsys):
    """The second Ctrl-C does not wait for the step; the checkpoint before is whole."""

    def twice(side):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    at_step(monkeypatch, "manual", 9, twice)
    arguments = ("people", "--epochs", "5", "--checkpoint-every", "4")
    status, _, err = run(capsys, "train", *arguments, "--out", tmp_path / "run")
    assert (status, err) == (130, "train.py: interrupted\n")
    monkeypatch.undo()
    assert checkpoint.load(tmp_path / "run")[1]["order"]["step"] == 8
    assert resumed(tmp_path / "run") == 0
    assert trained(tmp_path / "whole", *arguments) == 0
    assert differing(tmp_path / "run", tmp_path / "whole") == []


def test_asked_at_the_last_step_it_is_done(tmp_path, monkeypatch, capsys):
    at_step(monkeypatch, "manual", 20, lambda side: signal.raise_signal(signal.SIGINT))
    assert run(capsys, "train", "people", "--epochs", "5", "--out", tmp_path / "run")[0] == 0
    assert (tmp_path / "run" / "summary.json").exists()


def test_asked_at_the_last_step_of_one_side_the_other_does_not_begin(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    at_step(monkeypatch, "manual", 20, lambda side: signal.raise_signal(signal.SIGINT))
    status, _, err = run(capsys, "train", "people", "--epochs", "5", "--side", "both", "--out", folder)
    assert status == 130
    assert err == f"train.py: interrupted when the manual side was done; go on with --resume {folder}\n"
    assert checkpoint.load(folder / "torch")[1]["order"]["step"] == 0
    assert resumed(folder) == 0
    assert (folder / "torch" / "summary.json").exists()


def test_in_the_background_of_a_shell_ctrl_c_is_for_somebody_else(tmp_path, monkeypatch):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    at_step(monkeypatch, "manual", 9, lambda side: signal.raise_signal(signal.SIGINT))
    assert trained(tmp_path / "run", "people", "--epochs", "5") == 0


def test_the_handlers_are_put_back(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert trained(tmp_path / "run", "people", "--epochs", "2") == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


# ---------------------------------------------------------------------- folders and disks


def test_a_folder_that_is_removed_while_training(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    at_step(monkeypatch, "manual", 9, lambda side: shutil.rmtree(folder))
    status, _, err = run(capsys, "train", "people", "--out", folder, "--json")
    assert (status, err) == (2, f"train.py: {folder} was removed while training; nothing of this run is left\n")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_while_training(tmp_path, monkeypatch, capsys):
    """From the tenth step on nothing can be written; the checkpoint before is whole and the run goes on from it."""
    folder = tmp_path / "run"
    arguments = ("people", "--epochs", "5", "--checkpoint-every", "3")

    def full(side):
        def fails(*arguments):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("handgrad.files.os.replace", fails)

    at_step(monkeypatch, "manual", 10, full)
    status, _, err = run(capsys, "train", *arguments, "--out", folder, "--json")
    assert status == 2
    assert err == f"train.py: {folder} cannot be written (No space left on device); its last checkpoint is whole\n"
    monkeypatch.undo()
    assert checkpoint.load(folder)[1]["order"]["step"] == 9
    assert not list(folder.glob(".*"))
    assert resumed(folder) == 0
    assert trained(tmp_path / "whole", *arguments) == 0
    assert differing(folder, tmp_path / "whole") == []


def test_a_limit_on_files_is_one_line(tmp_path):
    """A process that may write no file above 20 kB: the metrics of this run are longer."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    command = [sys.executable, "scripts/train.py", "people", "--out", str(tmp_path / "run"), "--report-every", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, preexec_fn=limit, timeout=100)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert re.search(r"cannot be written \(File too large\); its last checkpoint is whole", done.stderr)
    assert resumed(tmp_path / "run") == 0


def test_a_checkpoint_of_a_folder_without_settings(tmp_path, capsys):
    assert trained(tmp_path / "run", "people", "--epochs", "2") == 0
    capsys.readouterr()
    (tmp_path / "run" / "config.json").unlink()
    assert "has no config.json" in refused(capsys, "train", "--resume", tmp_path / "run")


def test_metrics_that_were_cut_by_somebody_else(tmp_path, capsys):
    assert trained(tmp_path / "run", "people", "--epochs", "2") == 0
    capsys.readouterr()
    (tmp_path / "run" / "metrics.jsonl").write_text("")
    assert "lacks lines that the checkpoint knows of" in refused(capsys, "train", "--resume", tmp_path / "run")


@pytest.mark.parametrize(
    ("name", "before", "after", "says"),
    [
        ("metrics.jsonl", '{"epoch"', 'x"epoch"', "has a line that is no report; put back what train.py has left"),
        ("metrics.jsonl", '{"epoch": 0,', "5\n           ", "has a line that is no report"),
        ("config.json", "}\n", ', "resumed": 5}\n', "resumed is 5, but train.py writes a list there"),
        ("config.json", "{", "[", "cannot be read"),
    ],
)
def test_files_that_were_changed_by_hand(tmp_path, capsys, name, before, after, says):
    assert trained(tmp_path / "run", "people", "--epochs", "2") == 0
    path = tmp_path / "run" / name
    head, found, tail = path.read_text().rpartition(before)
    assert found
    path.write_text(head + after + tail)
    capsys.readouterr()
    assert says in refused(capsys, "train", "--resume", tmp_path / "run", "--epochs", "3")


def test_two_processes_do_not_train_into_one_folder(tmp_path, capsys):
    """The second one is refused before it has changed anything, also where it would train another side of both."""
    assert trained(tmp_path / "run", "people", "--epochs", "2", "--side", "both") == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capsys.readouterr()
    with RunFolder(tmp_path / "run" / "torch").alone():
        message = refused(capsys, "train", "--resume", tmp_path / "run", "--epochs", "3")
        assert f"another process trains into {tmp_path / 'run' / 'torch'} already" in message
        assert {path: path.read_bytes() for path in (tmp_path / "run" / "torch").iterdir()}.items() <= before.items()
    assert resumed(tmp_path / "run", "--epochs", "3") == 0


def test_best_npz_knows_no_more_than_the_checkpoint(tmp_path, monkeypatch, capsys):
    """Killed after step 7, each of them the best so far; the run goes on from step 4, and has no more than that."""
    arguments = ("xor_hidden", "--evaluate-every", "1", "--checkpoint-every", "4")
    at_step(
        monkeypatch, "manual", 8, lambda side: (signal.raise_signal(signal.SIGINT), signal.raise_signal(signal.SIGINT))
    )
    assert run(capsys, "train", *arguments, "--steps", "20", "--out", tmp_path / "run")[0] == 130
    monkeypatch.undo()
    assert resumed(tmp_path / "run", "--steps", "4") == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["best"]["step"] == 4
    assert (tmp_path / "run" / "best.npz").read_bytes() == (tmp_path / "run" / "weights.npz").read_bytes()


def test_a_batch_of_more_than_there_are(tmp_path, capsys):
    message = refused(capsys, "train", "people", "--batch-size", "5", "--out", tmp_path / "run")
    assert "--batch-size 5: there are 4 samples to train on; give at most that many" in message
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_written_by_the_clock(tmp_path, monkeypatch):
    """Without --checkpoint-every: after half a minute, which passes here with every look at the clock."""
    saved = []
    save = Training.save
    monkeypatch.setattr(Training, "save", lambda self: (saved.append(self.order.step), save(self)))
    monkeypatch.setattr("handgrad.training.time.monotonic", iter(range(0, 10**6, 11)).__next__)
    assert trained(tmp_path / "run", "people", "--epochs", "3") == 0
    assert saved[0] == 0
    assert saved[-1] == 12
    assert 3 <= len(saved) <= 7
