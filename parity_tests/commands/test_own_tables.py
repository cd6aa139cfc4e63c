"""A table of the user's: trained, compared and asked on both sides, and repeated from the record in its run folder."""

import argparse
import json
import re

import numpy as np
import pytest

from handgrad import checkpoint, experiments, launch, weights
from handgrad.both_sides import Snapshot
from handgrad.cli import Parser, add_training_options, chosen
from handgrad.data.csv_file import read
from handgrad.data.source import fingerprint, recorded
from handgrad.data.split import Shares, split
from handgrad.saved_run import Run
from parity_tests.commands.commands import document, refused, run
from parity_tests.commands.tables import write_table

TARGETS = {"kind": ("a", "b", "c"), "two": ("no", "yes"), "price": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table of 60 rows whose targets follow from its features, and a run of both sides for each of three targets."""
    from scripts import train

    folder = tmp_path_factory.mktemp("own")
    write_table(folder / "some.csv")
    for target in TARGETS:
        arguments = ["--epochs", "60", "--side", "both", "--json", "--out", str(folder / target)]
        assert train.main([*asked(folder, target), *arguments]) == 0
    return folder


def asked(folder, target):
    return ["--csv", str(folder / "some.csv"), "--features", "age,height", "--target", target]


def config(folder, target="kind"):
    return json.loads((folder / target / "manual" / "config.json").read_text())


def test_the_line_that_says_what_was_read(folder, capsys, tmp_path):
    given = ("--csv", folder / "some.csv", "--features", "age,height", "--target", "two", "--epochs", "1")
    counts = [read(folder / "some.csv", (), ("two",)).texts["two"].count(label) for label in ("no", "yes")]
    wanted = (
        f"some.csv: 60 rows, 2 features (age, height), 2 classes (no {counts[0]}, yes {counts[1]}), "
        "no contradictory rows; 48 to train, 6 to validate, 6 to test"
    )
    _, out, _ = run(capsys, "train", *given, "--out", tmp_path / "a")
    assert out.splitlines()[0] == wanted
    _, out, _ = run(capsys, "train", *given, "--out", tmp_path / "b", "--json")
    assert document(out)["config"]["read"] == wanted
    _, out, _ = run(capsys, "compare", *given)
    assert f"  samples   {wanted}" in out.splitlines()
    _, out, _ = run(capsys, "compare", *given, "--json")
    assert document(out)["config"]["read"] == wanted


@pytest.mark.parametrize("target", TARGETS)
def test_both_sides_in_parity(folder, capsys, dtype, target):
    given = ("--features", "age,height", "--target", target, "--epochs", "5", "--dtype", dtype)
    status, out, _ = run(capsys, "compare", "--csv", folder / "some.csv", *given)
    assert status == 0
    assert "IN PARITY at all 10 steps" in out.splitlines()[-1]


def test_classes_are_told_apart(folder, capsys):
    status, out, _ = run(capsys, "predict", folder / "kind", "--input", "20,1.5", "--json")
    (row,) = document(out)["results"]
    assert status == 0
    assert row["label"] == "a"
    for side in ("manual", "torch"):
        assert list(row[side]) == ["a", "b", "c"]
        assert sum(row[side].values()) == pytest.approx(1, abs=1e-15)
        assert max(row[side], key=row[side].get) == "a"
    assert row["difference"] == max(abs(row["manual"][k] - row["torch"][k]) for k in "abc") < 1e-13
    _, out, _ = run(capsys, "predict", folder / "kind", "--input", "20,1.5")
    assert re.search(r"by hand +a: a 0\.\d+, b 0\.\d+, c 0\.\d+\n +with autograd +a: a 0\.", out)


def test_the_probabilities_are_softmax_of_the_logits(folder, capsys):
    """Worked out from the weights alone, without either side."""
    saved = Run(folder / "kind" / "manual")
    x = saved.data.normalise(np.array([[33.0, 1.2]]))
    hidden = 1 / (1 + np.exp(-(x @ saved.state["0.weight"].T + saved.state["0.bias"])))
    logits = (hidden @ saved.state["2.weight"].T + saved.state["2.bias"])[0]
    _, out, _ = run(capsys, "predict", folder / "kind", "--input", "33,1.2", "--json")
    found = list(document(out)["results"][0]["manual"].values())
    np.testing.assert_allclose(found, np.exp(logits) / np.exp(logits).sum(), rtol=1e-13)


def test_a_number_comes_in_its_units(folder, capsys):
    """The price is 1000 + 20 age + 100 height, some 1,400 to 2,200: no scaled number lies there."""
    status, out, _ = run(capsys, "predict", folder / "price", "--csv", folder / "some.csv", "--json")
    rows = document(out)["results"]
    assert status == 0
    wanted = read(folder / "some.csv", ("price",)).numbers[:, 0]
    for side in ("manual", "torch"):
        found = np.array([row[side] for row in rows])
        assert np.sqrt(((found - wanted) ** 2).mean()) < 0.4 * wanted.std()
    assert {row["label"] for row in rows} == {""}
    _, out, _ = run(capsys, "predict", folder / "price", "--input", "30,1.5")
    assert re.search(r"by hand +price 1[67]\d\d\.\d+\n +with autograd +price 1[67]", out)


def test_compare_tells_the_error_in_its_units(folder, capsys):
    given = ("--features", "age,height", "--target", "price", "--epochs", "60")
    _, out, _ = run(capsys, "compare", "--csv", folder / "some.csv", *given)
    found = re.findall(
        r"to (\w+) +\((\d+)\): by hand ([\d.]+), with autograd ([\d.]+); always .*: ([\d.]+)$", out, re.M
    )
    assert [(part, count) for part, count, *_ in found] == [("train", "48"), ("validate", "6"), ("test", "6")]
    price = read(folder / "some.csv", ("price",)).numbers
    assert float(found[0][4]) == pytest.approx(price.std(), rel=0.2)
    assert all(0 < float(hand) < float(always) for _, _, hand, _, always in found)


def test_two_classes_have_one_probability(folder, capsys):
    _, out, _ = run(capsys, "predict", folder / "two", "--input", "30,1.9", "--json")
    (row,) = document(out)["results"]
    assert row["label"] == "yes"
    assert 0.5 < row["manual"] < 1
    assert row["difference"] < 1e-13


@pytest.mark.parametrize("target", TARGETS)
def test_a_run_goes_on_with_the_same_samples(folder, tmp_path, capsys, target):
    """The same rows, parts and constants, read anew: bit for bit the weights of a run that was never interrupted."""
    part = tmp_path / "part"
    assert run(capsys, "train", *asked(folder, target), "--epochs", "20", "--out", part, "--json")[0] == 0
    assert run(capsys, "train", "--resume", part, "--epochs", "60", "--json")[0] == 0
    state, found = Run(folder / target / "manual").state, Run(part).state
    assert all(np.array_equal(state[name], found[name]) for name in state)
    assert json.loads((part / "config.json").read_text())["data"] == config(folder, target)["data"]


def test_a_run_on_a_table_that_has_changed_is_not_gone_on_with(folder, tmp_path, capsys):
    table = tmp_path / "some.csv"
    table.write_bytes((folder / "some.csv").read_bytes())
    given = (
        "--csv",
        table,
        "--target",
        "price",
        "--features",
        "age,height",
        "--epochs",
        "2",
        "--out",
        tmp_path / "run",
    )
    assert run(capsys, "train", *given)[0] == 0
    table.write_text(table.read_text() + table.read_text().splitlines()[-1] + "\n")
    assert f"{table} is not as it was" in refused(capsys, "train", "--resume", tmp_path / "run", "--epochs", "3")
    table.unlink()
    again = ("--resume", tmp_path / "run", "--epochs", "3")
    assert f"{table} does not exist" in refused(capsys, "train", *again)
    assert run(capsys, "train", *again, "--csv", folder / "some.csv")[0] == 0  # it had moved there
    assert "not trained on such a file" in refused(capsys, "train", *again, "--text", folder / "some.csv")


def test_names_with_commas_and_signs_read_the_same_samples_again(tmp_path, monkeypatch):
    """The options of a run, as its checkpoint keeps them, asked from another folder."""
    parser = Parser()
    parser.add_argument("name", nargs="?")
    add_training_options(parser)
    (tmp_path / "odd.csv").write_text('"a, b",-c,-t\n' + '1,2,1\n3,4,"2, or 3"\n6,5,1\n7,9,"2, or 3"\n' * 4)
    for given in (
        ["--csv=odd.csv", '--features="a, b",-c', "--target=-t", "--task=classes", "--scale=none"],
        ["--csv=odd.csv", "--target=-t", '--classes="2, or 3",1,4', "--validation=0", "--seed=5"],
        ["char_rnn", "--text=odd.csv", "--block=2", "--seed=9"],
        ["gpt", "--names=odd.csv", "--test=0.3"],
        ["people", "--validation=0.5", "--seed=3"],
        ["people"],
    ):
        monkeypatch.chdir(tmp_path)
        options = parser.parse_args(given)
        data = chosen(options).data()
        kept = checkpoint.packed(launch.kept(options), "", {})
        monkeypatch.chdir("/")
        rest = {"config": {"options": checkpoint.unpacked(json.loads(json.dumps(kept)), {})}}
        saved = launch.Saved(tmp_path, tmp_path / checkpoint.NAME, Snapshot({}, {}, {}), rest)
        again = chosen(argparse.Namespace(**saved.options)).data()
        assert fingerprint(again) == fingerprint(data)
        assert recorded(again) == recorded(data)
        for what in ("shift", "scale", "classes", "labels"):
            assert getattr(again, what) == getattr(data, what)


def test_a_named_experiment_on_the_table(folder, capsys):
    """Its network, loss and schedule; only the sizes fit themselves to the table."""
    table = ("--csv", folder / "some.csv", "--epochs", "3", "--json")
    for name, target, features, sizes in (
        ("people", "two", "age,height", [2, 2, 1]),
        ("or_gate", "two", "age,height,noise", [3, 1]),
        ("layered", "two", "age,height,noise", [3, 2, 1]),
        ("mlp", "two", "age,height", [2, 32, 2]),
        ("mlp", "kind", "age", [1, 32, 3]),
        ("trial_and_error", "price", "age", [1, 1]),
    ):
        status, out, _ = run(capsys, "compare", name, *table, "--target", target, "--features", features)
        found = document(out)
        own = experiments.get(name)
        assert (status, found["verdict"], found["config"]["network"]["sizes"]) == (0, "in parity", sizes)
        assert found["config"]["loss"] == vars(own.loss)
        assert (found["config"]["lr"], found["config"]["batch_size"]) == (own.lr, own.batch_size)
        assert "samples" in found["results"]["title"]


def test_constants_of_a_tutorial_are_kept_where_they_fit(folder, capsys, tmp_path):
    table = ("--csv", folder / "some.csv", "--target", "two", "--epochs", "1", "--lr", "1e-300", "--json")
    for features in ("age,height", "age,height,noise"):
        run(capsys, "train", "or_gate", *table, "--features", features, "--out", tmp_path / features)
    own = experiments.get("or_gate")
    state = Run(tmp_path / "age,height").state
    assert all(np.array_equal(state[name], values) for name, values in own.weights(0, own.network).items())
    drawn = Run(tmp_path / "age,height,noise")
    assert all(np.array_equal(drawn.state[name], values) for name, values in weights.normal(0, drawn.network).items())


def test_hidden_layers_of_other_sizes(folder, capsys):
    table = ("--csv", folder / "some.csv", "--target", "kind", "--features", "age,height", "--epochs", "2")
    _, out, _ = run(capsys, "compare", *table, "--sizes", "2,5,4,3", "--json")
    assert document(out)["config"]["network"]["sizes"] == [2, 5, 4, 3]
    assert "the data needs 2,...,3" in refused(capsys, "compare", *table, "--sizes", "2,5,1")


def test_samples_of_an_experiment_held_out_to_validate(capsys):
    _, out, _ = run(capsys, "compare", "mlp", "--validation", "0.25", "--epochs", "1")
    assert "1,078 to train, 359 to validate, 360 to test" in out
    assert "on those to validate (359): by hand 0." in out


def test_which_samples_are_held_out_is_the_seeds():
    parser = Parser()
    parser.add_argument("name", nargs="?")
    add_training_options(parser)
    whole = experiments.get("adults").data()
    for seed in (0, 3):
        data = chosen(parser.parse_args(["adults", "--validation", "0.2", "--seed", str(seed)])).data()
        rows = split(len(whole.inputs), Shares(0.2, 0, seed), "")
        np.testing.assert_array_equal(data.validation_inputs, whole.inputs[rows.validation])
        np.testing.assert_array_equal(data.targets, whole.targets[rows.train])
        np.testing.assert_array_equal(data.test_inputs, whole.test_inputs)
