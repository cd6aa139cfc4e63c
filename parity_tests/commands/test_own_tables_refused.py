"""What is refused of a table of the user's, and of a run on one, in one line."""

import json
import re

import pytest

from parity_tests.commands.commands import refused, run
from parity_tests.commands.tables import write_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table, and a run that tells its three classes apart."""
    from scripts import train

    folder = tmp_path_factory.mktemp("own")
    write_table(folder / "some.csv")
    given = ["--csv", str(folder / "some.csv"), "--features", "age,height", "--target", "kind", "--epochs", "1"]
    assert train.main([*given, "--json", "--out", str(folder / "kind")]) == 0
    return folder


REFUSED = [
    ([], "give the name of an experiment"),
    (["--csv", "F"], "--csv needs --target"),
    (["--target", "two"], "--target says how a table is read; it goes with --csv"),
    (["people", "--scale", "none"], "--scale says how a table is read"),
    (["people", "--test", "0.1"], "a test part of their own, or none"),
    (["people", "--validation", "0.1"], "a share of 0.1 of 4 is none"),
    (["--csv", "F", "--target", "two", "--validation", "1"], "'1' is not a share from 0 to below 1"),
    (
        ["--csv", "F", "--target", "two", "--features", "age", "--validation", "0.5", "--test", "0.5"],
        "leave none of 60 to train on",
    ),
    (["--csv", "F", "--target", "two", "--features", "age", "--test", "0.001"], "a share of 0.001 of 60 is none"),
    (["--csv", "F", "--target", "two", "--text", "F"], "--csv and --text each name all samples"),
    (["--csv", "F", "--target", "two", "--published"], "--published and --cell change an experiment"),
    (["--csv", "F", "--target", "two", "--cell", "gru"], "--published and --cell change an experiment"),
    (["people", "--csv", "F", "--target", "two", "--inputs", "raw"], "for --csv there is --scale"),
    (["--csv", "F", "--target", "two", "--features", "age,age"], "'age,age' has a name twice"),
    (["--csv", "F", "--target", "two", "--features", "age,,"], "is no list of names"),
    (["--csv", "F", "--target", "two", "--features", "age,weight"], "has no column 'weight'"),
    (["--csv", "F", "--target", "two"], "line 2: kind is '[abc]'; it must be a finite number"),
    (
        ["--csv", "F", "--target", "two", "--classes", "yes,maybe", "--features", "age"],
        "label out of range: two is 'no'",
    ),
    (["people", "--csv", "F", "--target", "two", "--features", "age"], "has 2 inputs, but the table gives 1; name two"),
    (["people", "--csv", "F", "--target", "kind", "--features", "age"], "two classes apart, but kind has 3 classes"),
    (["people", "--csv", "F", "--target", "price", "--features", "age"], "two classes apart, but price is a number"),
    (["mlp", "--csv", "F", "--target", "price", "--features", "age"], "tells classes apart, but price is a number"),
    (["convnet", "--csv", "F", "--target", "two", "--features", "age"], "convnet on .*: it trains on no table"),
    (["gpt", "--csv", "F", "--target", "two", "--features", "age"], "it trains on no table"),
    (["alice", "--csv", "F", "--target", "two", "--features", "age"], "it trains on no table"),
]


@pytest.mark.parametrize(("arguments", "says"), REFUSED)
def test_wrong_use(folder, capsys, tmp_path, arguments, says):
    given = [str(folder / "some.csv") if argument == "F" else argument for argument in arguments]
    assert re.search(says, refused(capsys, "train", *given, "--out", tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []


def test_all_experiments_take_no_samples(folder, capsys):
    for option in ("--text", "--names", "--data"):
        assert "one experiment's name" in refused(capsys, "compare", "--all", option, folder / "some.csv")
    assert "give the name of one" in refused(capsys, "compare", "--all", "--csv", folder / "some.csv")


def test_columns_called_weight_and_height_are_in_units_that_nobody_knows(capsys, tmp_path):
    (tmp_path / "people.csv").write_text("weight,height,sex\n" + "60,160,F\n61,165,F\n80,180,M\n81,179,M\n" * 5)
    given = ("--csv", tmp_path / "people.csv", "--target", "sex", "--epochs", "1", "--out", tmp_path / "run")
    assert run(capsys, "train", *given)[0] == 0
    assert "use --input or --csv" in refused(capsys, "predict", tmp_path / "run", "--height-cm", 180, "--weight-kg", 80)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("target_scale", 0, "target_scale"),
        ("target_shift", "x", "target_shift"),
        ("target", 3, "target"),
        ("classes", ["a", "b"], "classes"),
        ("source", {"kind": "web"}, "source"),
        ("source", 5, "source"),
        ("source", {"kind": "csv", "path": 3}, "path"),
        ("source", {"kind": "csv", "block": 0}, "block"),
    ],
)
def test_a_config_that_no_run_has(folder, capsys, tmp_path, key, value, says):
    for path in (folder / "kind").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    found = json.loads((folder / "kind" / "config.json").read_text())
    found["data"][key] = value
    (tmp_path / "config.json").write_text(json.dumps(found))
    assert f"config.json: {says} is" in refused(capsys, "predict", tmp_path, "--input", "1,2")
