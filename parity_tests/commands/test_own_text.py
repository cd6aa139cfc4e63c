"""Text and names of the user's: a network that fits them, trained and compared, and what it writes, on both sides."""

import json

import numpy as np
import pytest

from handgrad.saved_run import Run
from parity_tests.commands.commands import document, refused, run

NETWORKS = ("char_rnn", "gpt")
VERSE = "der hölzerne tisch steht am fenster;\nam fenster steht der krug.\n"
NAMES = ("Ana-Lia", "Bo", "Çelik", "Ana", "D’Arcy", "Edda", "Falk", "Gro", "Ida", "Jo") * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A text, a list of names, and a run of both sides of each network on each."""
    from scripts import train

    folder = tmp_path_factory.mktemp("own")
    (folder / "text.txt").write_text(VERSE * 20, encoding="utf-8")
    (folder / "names.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    for name in NETWORKS:
        for kind, more in (("text", ["--block", "16"]), ("names", [])):
            given = [f"--{kind}", str(folder / f"{kind}.txt"), *more, "--epochs", "2", "--side", "both", "--json"]
            assert train.main([name, *given, "--out", str(folder / f"{name}_{kind}")]) == 0
    return folder


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_fits_itself_to_the_text(folder, name):
    config = json.loads((folder / f"{name}_text" / "manual" / "config.json").read_text(encoding="utf-8"))
    characters = sorted(set(VERSE))
    assert config["data"]["classes"] == characters
    assert config["network"]["options"]["vocabulary"] == len(characters)
    assert config["network"]["sizes"][0] == config["network"]["sizes"][-1] == len(characters)
    assert config["network"]["options"].get("block_size", 16) == 16
    assert config["data"]["source"]["kind"] == "text"
    config = json.loads((folder / f"{name}_names" / "torch" / "config.json").read_text(encoding="utf-8"))
    assert config["data"]["classes"] == ["\n", *sorted(set("".join(NAMES)))]
    assert config["network"]["options"].get("block_size", 8) == 8


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", ["text", "names"])
def test_both_sides_in_parity(folder, capsys, name, kind):
    status, out, _ = run(capsys, "compare", name, f"--{kind}", folder / f"{kind}.txt", "--epochs", "1")
    lines = out.splitlines()
    assert (status, lines[-1][:9]) == (0, "IN PARITY")
    count = {"text": "characters in", "names": "30 names"}[kind]
    assert any(line.startswith(f"  samples   {kind}.txt: ") and count in line for line in lines)
    heading = {"text": "Text written", "names": "Names drawn"}[kind]
    at = next(number for number, line in enumerate(lines) if line.startswith(heading))
    assert lines[at + 1].replace("by hand       ", "") == lines[at + 2].replace("with autograd ", "")


def test_another_cell_on_the_text(folder, capsys):
    given = ("--text", folder / "text.txt", "--cell", "lstm", "--epochs", "1", "--json")
    status, out, _ = run(capsys, "compare", "char_rnn", *given)
    options = document(out)["config"]["network"]["options"]
    assert (status, options["cell"], options["vocabulary"]) == (0, "lstm", len(set(VERSE)))


@pytest.mark.parametrize("name", NETWORKS)
def test_both_sides_write_the_same_text(folder, capsys, name):
    """Four times as long as a sequence of the training: the GPT sees a window of it."""
    status, out, _ = run(capsys, "sample", folder / f"{name}_text", "--length", "64", "--count", "3", "--json")
    found = document(out)
    assert (status, found["verdict"], found["config"]["length"]) == (0, "the same text", 64)
    for row in found["results"]:
        assert list(row) == ["manual", "torch"]
        assert row["manual"] == row["torch"]
        assert len(row["manual"]) == 64
        assert set(row["manual"]) <= set(VERSE)
    _, out, _ = run(capsys, "sample", folder / f"{name}_text", "--length", "20", "--start", "hölz")
    assert out.startswith("hölz")
    assert out.splitlines()[-1] == "by hand and with autograd, same weights, same draws: the same 1 piece of text"


@pytest.mark.parametrize("name", NETWORKS)
def test_both_sides_write_the_same_names(folder, capsys, name):
    status, out, _ = run(capsys, "sample", folder / f"{name}_names", "--count", "20", "--json")
    assert status == 0
    for row in document(out)["results"]:
        assert row["manual"] == row["torch"]
        assert set(row["manual"]) <= set("".join(NAMES))
        assert len(row["manual"]) <= 7
        assert row["new"] == (row["manual"] not in NAMES)


def test_new_is_said_only_while_the_list_is_the_one_that_was_read(capsys, tmp_path):
    file = tmp_path / "names.txt"
    file.write_text("\n".join(NAMES))
    assert run(capsys, "train", "char_rnn", "--names", file, "--epochs", "1", "--out", tmp_path / "run")[0] == 0
    _, out, _ = run(capsys, "sample", tmp_path / "run", "--count", "5")
    assert all(line.endswith(("  new", "  of the list")) for line in out.splitlines()[:5])
    file.write_text("\n".join(NAMES) + "\nKai")
    _, out, _ = run(capsys, "sample", tmp_path / "run", "--count", "5", "--json")
    assert {row["new"] for row in document(out)["results"]} == {None}
    file.unlink()
    status, out, _ = run(capsys, "sample", tmp_path / "run", "--count", "5")
    assert status == 0
    assert "new" not in out


def test_text_that_differs_is_shown(folder, capsys, monkeypatch):
    from handgrad import sides

    right = sides.predict
    monkeypatch.setattr(sides, "predict", lambda *arguments: -right(*arguments))
    _, out, _ = run(capsys, "sample", folder / "char_rnn_text", "--length", "30")
    assert "\nwith autograd:\n" in out
    assert "1 of 1 piece of text differ" in out


def test_a_text_that_is_learnt_by_heart_is_written(capsys, tmp_path):
    """What is drawn comes from what was learnt, in the right order: near temperature 0 the verse itself."""
    (tmp_path / "text.txt").write_text("abcdefghij" * 60)
    given = ("--text", tmp_path / "text.txt", "--block", "10", "--epochs", "60", "--out", tmp_path / "run")
    assert run(capsys, "train", "char_rnn", *given)[0] == 0
    _, out, _ = run(capsys, "sample", tmp_path / "run", "--temperature", "0.01", "--length", "15", "--start", "ab")
    assert out.splitlines()[0] == "abcdefghijabcdefg"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["people", "--text", "F"], "people reads no text; it is for char_rnn and gpt"),
        (["mlp", "--names", "F"], "mlp reads no text"),
        (["--text", "F"], "give the name of an experiment"),
        (["gpt", "--block", "8"], "--block cuts running text"),
        (["gpt", "--names", "F", "--block", "8"], "--block cuts running text"),
        (["gpt", "--text", "F", "--block", "1025"], "at most 1024 characters"),
        (["gpt", "--text", "F", "--block", "900"], "less than two of 900"),
        (["gpt", "--text", "F", "--block", "0"], "above 0"),
        (["gpt", "--text", "F", "--names", "F"], "--text and --names each name all samples"),
        (["gpt", "--text", "F", "--validation", "0.001"], "is none; give --validation a larger one"),
        (["gpt", "--text", "F", "--inputs", "raw"], "leave it out"),
        (["gpt", "--text", "/nowhere.txt"], "--text /nowhere.txt cannot be read"),
    ],
)
def test_wrong_use(folder, capsys, tmp_path, arguments, says):
    given = [str(folder / "text.txt") if argument == "F" else argument for argument in arguments]
    assert says in refused(capsys, "train", *given, "--out", tmp_path / "run")


def test_what_sample_refuses(folder, capsys):
    text, names = folder / "gpt_text", folder / "gpt_names"
    assert "--start has 'X', which the text" in refused(capsys, "sample", text, "--start", "amX")
    assert "--length is for a run of running text" in refused(capsys, "sample", names, "--length", "9")
    assert "--start is for a run of running text" in refused(capsys, "sample", names, "--start", "An")
    assert "at most 100,000" in refused(capsys, "sample", text, "--length", "100001")
    assert "at most 100,000" in refused(capsys, "sample", text, "--length", "1000", "--count", "101")
    assert "sample.py lets it write" in refused(capsys, "predict", text, "--input", "1")


def test_a_config_whose_characters_are_not_the_networks(folder, capsys, tmp_path):
    for path in (folder / "gpt_text" / "manual").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["data"]["source"]["block"] = 17
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "does not fit its characters" in refused(capsys, "sample", tmp_path)
    config["data"]["classes"].append("x")
    config["network"]["sizes"][-1] += 1
    config["data"]["source"]["block"] = 16
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert "does not fit its characters" in refused(capsys, "sample", tmp_path)


def test_what_was_learnt_is_what_the_config_says(folder):
    """A run that is read back has the characters in the order of the network's rows."""
    saved = Run(folder / "gpt_text" / "manual")
    assert saved.data.classes == tuple(sorted(set(VERSE)))
    assert np.isfinite(saved.state["wte.weight"]).all()
    assert saved.state["wte.weight"].shape[0] == len(saved.data.classes)
