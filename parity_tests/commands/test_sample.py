"""sample.py lets a run write names; what it refuses; and the options of the experiments on images and names."""

import json
from dataclasses import replace

import numpy as np
import pytest

from handgrad import experiments, runs
from handgrad.data.names import read
from handgrad.saved_run import Run
from parity_tests.commands.commands import document, refused, run
from parity_tests.data.test_images import idx


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs as train.py leaves them, of networks that were not trained, and one that was, a little."""
    from scripts import train

    folder = tmp_path_factory.mktemp("runs")
    for name in ("gpt", "char_rnn", "convnet", "mlp"):
        experiment = experiments.get(name)
        state = experiment.weights(3, experiment.network)
        (folder / name).mkdir()
        runs.write(folder / name, "manual", experiment, experiment.data(), [], state)
    few = replace(experiments.get("char_rnn"), epochs=1, batch_size=400)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments, "get", lambda name: few)
        assert train.main(["char_rnn", "--side", "both", "--out", str(folder / "trained"), "--json"]) == 0
    return folder


@pytest.mark.parametrize("name", ["gpt", "char_rnn", "trained"])
def test_both_sides_write_the_same(folder, capsys, name):
    status, out, _ = run(capsys, "sample", folder / name, "--count", "7", "--seed", "5")
    assert status == 0
    *names, last = out.splitlines()
    assert len(names) == 7
    assert last == "by hand and with autograd, same weights, same draws: the same 7 names"


def test_json(folder, capsys):
    _, out, _ = run(capsys, "sample", folder / "trained", "--count", "4", "--json", "--temperature", "0.5")
    found = document(out)
    assert (found["command"], found["experiment"], found["verdict"]) == ("sample", "char_rnn", "the same names")
    assert found["config"]["temperature"] == 0.5
    for row in found["results"]:
        assert row["manual"] == row["torch"]
        assert row["new"] == (row["manual"] not in set(read()))


def test_one_side_alone(folder, capsys):
    found = []
    for side in ("manual", "torch"):
        _, out, _ = run(capsys, "sample", folder / "gpt", "--side", side, "--count", "3", "--json")
        found.append([row[side] for row in document(out)["results"]])
    assert found[0] == found[1]
    _, out, _ = run(capsys, "sample", folder / "gpt", "--side", "manual", "--count", "3")
    assert len(out.splitlines()) == 3


def test_names_that_differ_are_shown(folder, capsys, monkeypatch):
    """A side that computes something else is not passed over."""
    from handgrad import sides

    right = sides.predict
    monkeypatch.setattr(sides, "predict", lambda *arguments: -right(*arguments))
    _, out, _ = run(capsys, "sample", folder / "trained", "--count", "5")
    assert "of 5 names differ" in out
    assert "with autograd: " in out


def test_what_it_refuses(folder, capsys):
    assert "writes no names; train.py char_rnn" in refused(capsys, "sample", folder / "convnet")
    assert "does not exist" in refused(capsys, "sample", folder / "nowhere")
    assert "above 0" in refused(capsys, "sample", folder / "gpt", "--temperature", "0")
    assert "at most 100,000" in refused(capsys, "sample", folder / "gpt", "--count", "100001")
    refused(capsys, "sample", folder / "gpt", "--temperature", "nan")
    refused(capsys, "sample", folder / "gpt", "--count", "0")


def test_predict_has_no_table_for_them(folder, capsys):
    assert "sample.py" in refused(capsys, "predict", folder / "gpt", "--input", "1")
    assert "no table" in refused(capsys, "predict", folder / "mlp", "--input", "1")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("n_head", 5, "there is no such network"),
        ("n_embd", 0, "n_embd is '0'"),
        ("n_embd", 10**9, "n_embd is"),
        ("n_embd", "32", "n_embd is"),
        ("n_layer", 3, "another architecture"),
        ("vocabulary", 28, r"needs \(28, 32\)"),
        ("more", 1, "options is"),
    ],
)
def test_a_config_that_fits_no_network(folder, capsys, tmp_path, option, value, says):
    copy = tmp_path / "run"
    copy.mkdir()
    for path in (folder / "gpt").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    config = json.loads((copy / "config.json").read_text())
    config["network"]["options"][option] = value
    (copy / "config.json").write_text(json.dumps(config))
    import re

    assert re.search(says, refused(capsys, "sample", copy))


def test_a_cell_that_is_none(folder, capsys, tmp_path):
    assert "char_rnn has rnn, gru, lstm" in refused(capsys, "compare", "char_rnn", "--cell", "elman")
    assert "gpt has no recurrent cell" in refused(capsys, "compare", "gpt", "--cell", "gru")


# ---------------------------------------------------------------------- images from a folder


@pytest.fixture
def images(tmp_path):
    random = np.random.default_rng(0)
    for part, count in (("train", 24), ("t10k", 8)):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(random.integers(0, 256, (count, 9, 9))))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(count) % 10))
    return tmp_path


@pytest.mark.parametrize(("name", "sizes"), [("mlp", [81, 32, 10]), ("convnet", [81, 10])])
def test_the_network_fits_itself_to_the_images(images, capsys, name, sizes):
    status, out, _ = run(capsys, "compare", name, "--data", images, "--epochs", "1", "--json")
    found = document(out)
    assert status == 0
    assert found["config"]["network"]["sizes"] == sizes
    assert "24 samples" in found["results"]["source"]


@pytest.mark.parametrize(("name", "sizes"), [("mlp", [81, 32, 27]), ("convnet", [81, 27])])
def test_images_of_more_than_ten_classes(images, capsys, tmp_path, name, sizes):
    """As EMNIST's letters, 1 to 26: the network has an output for each number up to the largest."""
    (images / "train-labels-idx1-ubyte").write_bytes(idx(np.arange(24) + 3))
    status, out, _ = run(capsys, "compare", name, "--data", images, "--epochs", "1", "--json")
    found = document(out)
    assert (status, found["config"]["network"]["sizes"]) == (0, sizes)
    assert "32 images of " in found["config"]["read"]
    assert "27 classes (0 1, 1 1" in found["config"]["read"]
    given = ("--data", images, "--validation", "0.25", "--epochs", "1", "--side", "both")
    status, out, _ = run(capsys, "train", name, *given, "--out", tmp_path / "run")
    assert "18 to train, 6 to validate, 8 to test" in out.splitlines()[0]
    saved = Run(tmp_path / "run" / "torch")
    assert saved.data.classes == tuple(map(str, range(27)))
    assert saved.data.source["kind"] == "idx"
    assert len(set(saved.data.source["sha256"].values())) == 4
    assert "no table" in refused(capsys, "predict", tmp_path / "run", "--input", "1")


def test_data_that_does_not_go_with_it(images, capsys):
    assert "gpt has its own samples" in refused(capsys, "compare", "gpt", "--data", images)
    assert "has no train-images" in refused(capsys, "compare", "mlp", "--data", images / "nowhere")
    (images / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((24, 9, 8))))
    (images / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((8, 9, 8))))
    assert "square images" in refused(capsys, "compare", "convnet", "--data", images)
    assert "one experiment's name" in refused(capsys, "compare", "--all", "--data", images)
