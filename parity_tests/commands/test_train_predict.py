"""train.py leaves a run folder, predict.py reads it, on either side; and what both refuse."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from handgrad import weights
from handgrad.experiment import Network
from parity_tests.commands.commands import ROOT, document, refused, run

FILES = [*("best.npz", "checkpoint.npz", "config.json", "metrics.jsonl", "previous.npz", "summary.json", "weights.npz")]
TWO_TWO_ONE = Network("two_two_one", (2, 2, 1))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with trained runs: people by each side and by both, and a virus perceptron."""
    from scripts import train

    folder = tmp_path_factory.mktemp("runs")
    for side in ("manual", "torch", "both"):
        assert train.main(["people", "--side", side, "--seed", "44", "--out", str(folder / side), "--json"]) == 0
    assert train.main(["virus", "--epochs", "2000", "--out", str(folder / "virus"), "--json"]) == 0
    return folder


def test_the_run_folder(runs):
    assert sorted(path.name for path in (runs / "manual").iterdir()) == FILES
    config = json.loads((runs / "manual" / "config.json").read_text())
    assert (config["experiment"], config["side"], config["seed"], config["epochs"]) == ("people", "manual", 44, 1000)
    lines = [json.loads(line) for line in (runs / "manual" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [*range(0, 1000, 10), 999]
    assert lines[-1]["loss"] == pytest.approx(0.002268250922782542, rel=1e-12)
    with np.load(runs / "manual" / "weights.npz", allow_pickle=False) as file:
        assert {name: file[name].shape for name in file} == {
            "0.weight": (2, 2), "0.bias": (2,), "2.weight": (1, 2), "2.bias": (1,),
        }  # fmt: skip
    assert sorted(path.name for path in (runs / "both").iterdir()) == ["manual", "torch"]


def test_weights_go_from_side_to_side_bit_for_bit(runs, tmp_path):
    for side in ("manual", "torch"):
        state = weights.load(runs / side / "weights.npz", TWO_TWO_ONE)
        weights.save(tmp_path / "again.npz", state)
        again = weights.load(tmp_path / "again.npz", TWO_TWO_ONE)
        assert all(
            np.array_equal(state[name], again[name]) and state[name].dtype == again[name].dtype for name in state
        )


def test_a_person_in_centimetres_and_kilograms(runs, capsys):
    status, out, _ = run(capsys, "predict", runs / "manual", "--height-cm", "180", "--weight-kg", "80")
    assert status == 0
    assert "(41.36980974790205, 4.866141732283467)" in out
    assert re.search(r"by hand +0\.03909456266018\d+ +M", out)
    assert re.search(r"with autograd +0\.03909456266018\d+ +M", out)
    assert "difference" in out


@pytest.mark.parametrize("run_of", ["manual", "torch", "both"])
def test_a_person_in_inches_and_pounds(runs, capsys, run_of):
    _, out, _ = run(capsys, "predict", runs / run_of, "--height-in", "63", "--weight-lb", "128", "--json")
    (row,) = document(out)["results"]
    assert row["inputs"] == [-7.0, -3.0]
    assert row["manual"] == pytest.approx(0.9510893031247124, rel=1e-12)
    assert row["difference"] < 1e-13
    assert row["label"] == "F"


@pytest.mark.parametrize("side", ["manual", "torch"])
def test_one_side_alone(runs, capsys, side):
    _, out, _ = run(capsys, "predict", runs / "manual", "--side", side, "--input", "155,68", "--json")
    (row,) = document(out)["results"]
    assert row[side] == pytest.approx(0.03909456266397728, rel=1e-12)
    assert "difference" not in row


def test_symptoms(runs, capsys):
    status, out, _ = run(capsys, "predict", runs / "virus", "--input", "1,0,0,1")
    assert status == 0
    assert "positive" in out
    assert "loss of smell 1" in out


def test_csv(runs, capsys, tmp_path):
    table = tmp_path / "people.csv"
    table.write_text("name,height,weight\nEmily,63,128\nFrank,68,155\n")
    _, out, _ = run(capsys, "predict", runs / "both", "--csv", table, "--json")
    rows = document(out)["results"]
    assert [row["label"] for row in rows] == ["F", "M"]
    assert rows[0]["given"] == [128.0, 63.0]


CSV = {
    "no column": ("height\n63\n", "weight"),
    "text": ("height,weight\n63,heavy\n", "line 2.*heavy"),
    "empty line": ("height,weight\n63,128\n\n68,155\n", "line 3"),
    "nan": ("height,weight\n63,nan\n", "line 2.*nan"),
    "no rows": ("height,weight\n", "no rows"),
    "nothing": ("", "empty|no "),
    "too few fields": ("height,weight\n63\n", "line 2"),
    "infinity": ("height,weight\n63,inf\n", "line 2.*inf"),
}


@pytest.mark.parametrize("case", CSV)
def test_bad_csv(runs, capsys, tmp_path, case):
    text, says = CSV[case]
    (tmp_path / "table.csv").write_text(text)
    assert re.search(says, refused(capsys, "predict", runs / "manual", "--csv", tmp_path / "table.csv"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give one of"),
        (["--height-cm", "180"], "needs both"),
        (["--height-cm", "180", "--weight-lb", "160"], "give one of"),
        (["--height-cm", "-5", "--weight-kg", "80"], "above 0"),
        (["--height-cm", "tall", "--weight-kg", "80"], "tall"),
        (["--height-cm", "nan", "--weight-kg", "80"], "finite"),
        (["--input", "1,2,3"], "needs 2: weight, height"),
        (["--input", "1,x"], "'x'"),
        (["--input", "1,"], "''"),
        (["--csv", "/nowhere.csv"], "nowhere"),
        (["--input", "128,63", "--device", "cuda:7"], "CUDA"),
        (["--input", "128,63", "--side", "left"], "manual"),
    ],
)
def test_wrong_use_of_predict(runs, capsys, arguments, says):
    assert re.search(says, refused(capsys, "predict", runs / "manual", *arguments))


def test_a_perceptron_asks_for_no_height(runs, capsys):
    message = refused(capsys, "predict", runs / "virus", "--height-cm", "180", "--weight-kg", "80")
    assert "does not ask for height" in message


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["people"], "--out"),
        (["nobody", "--out", "x"], "no experiment"),
        (["neuron", "--out", "x"], "forward only"),
        (["people", "--side", "left", "--out", "x"], "manual"),
        (["people", "--side", "torch", "--device", "cuda:5", "--out", "x"], "CUDA"),
        (["people", "--side", "manual", "--device", "cuda", "--out", "x"], "CPU alone"),
        (["people", "--device", "mps", "--side", "torch", "--out", "x"], "mps"),
    ],
)
def test_wrong_use_of_train(capsys, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert re.search(says, refused(capsys, "train", *arguments))
    assert list(tmp_path.iterdir()) == []


def test_train_prints_its_reports(capsys, tmp_path):
    status, out, _ = run(capsys, "train", "people", "--epochs", "40", "--side", "both", "--out", tmp_path / "run")
    assert status == 0
    assert re.search(r"manual +epoch +39 +loss 0\.\d+", out)
    assert re.search(r"torch +epoch +39 +loss 0\.\d+", out)


def test_a_full_disk_leaves_nothing_half_written(capsys, tmp_path, monkeypatch):
    def full(path, state):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("handgrad.weights.save", full)
    status, _, err = run(capsys, "train", "people", "--epochs", "2", "--out", tmp_path / "run")
    assert status == 2
    assert "No space left" in err
    assert list(tmp_path.iterdir()) == []


def test_a_negative_input_needs_no_equals_sign(runs, capsys):
    status, out, _ = run(capsys, "predict", runs / "manual", "--input", "-2,-1", "--json")
    assert status == 0
    assert document(out)["results"][0]["given"] == [-2.0, -1.0]


@pytest.mark.parametrize("values", ["1e308,1e308", "1e400,1", "1_0,2", "\u0663,1"])
def test_inputs_out_of_range_or_guessed(runs, capsys, values):
    status, out, err = run(capsys, "predict", runs / "manual", "--input", values)
    assert len(err.splitlines()) == (0 if status == 0 else 1)
    assert status == 2 or "nan" not in out


def test_a_person_beyond_all_numbers(runs, capsys):
    assert "finite" in refused(capsys, "predict", runs / "manual", "--height-cm", "1e308", "--weight-kg", "1e308")


def test_an_empty_folder_is_filled_in_place(capsys, tmp_path, monkeypatch):
    """The working directory, or one behind a link, stays what it is."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    monkeypatch.chdir(tmp_path / "empty")
    assert run(capsys, "train", "people", "--epochs", "2", "--out", ".")[0] == 0
    assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == FILES
    assert "kept as it is" in refused(capsys, "train", "people", "--out", tmp_path / "link")
    assert run(capsys, "train", "people", "--epochs", "2", "--out", tmp_path / "dangling")[0] == 0
    assert (tmp_path / "new" / "weights.npz").is_file()


def test_a_name_that_is_too_long(capsys, tmp_path):
    assert "too long" in refused(capsys, "train", "people", "--out", tmp_path / ("x" * 300))
    assert "too long" in refused(capsys, "predict", tmp_path / ("x" * 300), "--input", "1,2")


def test_a_link_that_leads_round_in_a_circle(capsys, tmp_path):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert "cannot be written" in refused(capsys, "train", "people", "--out", tmp_path / "circle")


def test_folders_made_on_the_way_are_taken_back(capsys, tmp_path, monkeypatch):
    from handgrad.training import Training

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "save", interrupted)
    assert run(capsys, "train", "people", "--out", tmp_path / "a" / "b" / "run")[0] == 130
    assert list(tmp_path.iterdir()) == []


def test_too_much_for_an_accelerators_memory_is_one_line(capsys, tmp_path, monkeypatch):
    """torch's own error, a RuntimeError, which no CPU raises."""
    import torch

    from handgrad.torch_side import TorchSide

    def full(self, rows):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(TorchSide, "step", full)
    status, _, err = run(capsys, "train", "people", "--side", "torch", "--out", tmp_path / "run")
    assert (status, err.count("\n")) == (2, 1)
    assert "the device has not enough memory for this" in err


def test_a_reader_who_goes_away_does_not_cost_the_run(tmp_path):
    command = f"{sys.executable} scripts/train.py people --epochs 300 --out {tmp_path / 'run'} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT)
    assert done.stderr == ""
    assert (tmp_path / "run" / "weights.npz").is_file()


def test_a_full_stdout_is_one_line():
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} scripts/compare.py --list > /dev/full"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert done.stderr == "compare.py: No space left on device\n"


def test_runs_of_two_experiments_are_not_mixed(runs, capsys, tmp_path):
    shutil.copytree(runs / "both" / "manual", tmp_path / "manual")
    shutil.copytree(runs / "virus", tmp_path / "torch")
    assert "different experiments" in refused(capsys, "predict", tmp_path, "--input", "1,2")


def test_weights_can_be_read_by_others(runs):
    assert (runs / "manual" / "weights.npz").stat().st_mode & 0o777 == 0o644


def test_the_best_weights_predict_as_well(capsys, tmp_path):
    """At this rate the loss goes up, so that they are the first."""
    assert run(capsys, "train", "trial_and_error", "--lr", "0.2", "--epochs", "4", "--out", tmp_path / "run")[0] == 0
    found = {}
    for which in ("last", "best"):
        state = np.load(tmp_path / "run" / ("best.npz" if which == "best" else "weights.npz"))
        _, out, _ = run(capsys, "predict", tmp_path / "run", "--input", "2", "--weights", which, "--json")
        found[which] = document(out)["results"][0]["manual"]
        assert found[which] == pytest.approx(2 * state["0.weight"].item(), rel=1e-15)
    assert found["best"] != found["last"]
    assert "best" in refused(capsys, "predict", tmp_path / "run", "--input", "2", "--weights", "first")
