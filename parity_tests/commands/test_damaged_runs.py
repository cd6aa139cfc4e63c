"""What predict.py says of a run folder that is damaged, foreign or a pickle: one line, exit status 2."""

import contextlib
import json
import re
import shutil
import zipfile

import numpy as np
import pytest

from handgrad import weights
from handgrad.errors import UsageError
from handgrad.experiment import Network
from parity_tests.commands.commands import refused


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of the people experiment, to be copied."""
    from scripts import train

    folder = tmp_path_factory.mktemp("runs") / "run"
    assert train.main(["people", "--epochs", "2", "--out", str(folder), "--json"]) == 0
    return folder


@pytest.fixture
def copy(run, tmp_path):
    """A run that a test may damage."""
    shutil.copytree(run, tmp_path / "run")
    return tmp_path / "run"


def damage_missing(path):
    path.unlink()


def damage_truncated(path):
    path.write_bytes(path.read_bytes()[:-40])


def damage_empty(path):
    path.write_bytes(b"")


def damage_text(path):
    path.write_text("not weights")


def damage_pickle(path):
    with path.open("wb") as file:
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)


def damage_pickle_within(path):
    with path.open("wb") as file:
        np.savez(file, **{"0.weight": np.array([{"a": 1}], dtype=object)})


def damage_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def damage_shapes(path):
    with path.open("wb") as file:
        np.savez(
            file,
            **{
                "0.weight": np.zeros((3, 2)),
                "0.bias": np.zeros(2),
                "2.weight": np.zeros((1, 2)),
                "2.bias": np.zeros(1),
            },
        )


def damage_architecture(path):
    with path.open("wb") as file:
        np.savez(file, **{"0.weight": np.zeros((1, 4)), "0.bias": np.zeros(1)})


def damage_nan(path):
    with path.open("wb") as file:
        np.savez(
            file,
            **{
                "0.weight": np.full((2, 2), np.nan),
                "0.bias": np.zeros(2),
                "2.weight": np.zeros((1, 2)),
                "2.bias": np.zeros(1),
            },
        )


def damage_integers(path):
    with path.open("wb") as file:
        np.savez(
            file,
            **{
                "0.weight": np.ones((2, 2), int),
                "0.bias": np.zeros(2),
                "2.weight": np.zeros((1, 2)),
                "2.bias": np.zeros(1),
            },
        )


def damage_archive(path):
    with zipfile.ZipFile(path, "w") as file:
        for name in ("0.weight", "0.bias", "2.weight", "2.bias"):
            file.writestr(f"{name}.npy", b"no array")


def damage_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damage_missing, "does not exist"),
        (damage_truncated, "readable|damaged"),
        (damage_empty, "readable|damaged"),
        (damage_text, "pickle or damaged"),
        (damage_pickle, "pickle"),
        (damage_pickle_within, "pickle"),
        (damage_array, "single array"),
        (damage_shapes, r"0\.weight has shape \(3, 2\).*needs \(2, 2\)"),
        (damage_architecture, "another architecture"),
        (damage_nan, "NaN"),
        (damage_integers, "int64"),
        (damage_archive, "pickle or damaged|readable"),
        (damage_folder, "readable"),
    ],
)
def test_damaged_weights(copy, capsys, damage, says):
    damage(copy / "weights.npz")
    assert re.search(says, refused(capsys, "predict", copy, "--input", "128,63"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "does not exist"),
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "format 1"),
        ('{"format": 99}', "format 1"),
        ('{"format": true}', "format 1"),
        ("[" * 100_000, "cannot be read"),
        ('{"format": 1}', "experiment is 'None'"),
    ],
)
def test_damaged_config(copy, capsys, text, says):
    if text is None:
        (copy / "config.json").unlink()
    else:
        (copy / "config.json").write_text(text)
    assert re.search(says, refused(capsys, "predict", copy, "--input", "128,63"))


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("network", "name"), "nosuch"),
        (("network", "name"), "neuron"),
        (("network", "name"), 3),
        (("network", "sizes"), []),
        (("network", "sizes"), [2, 2]),
        (("network", "sizes"), [2, -2, 1]),
        (("network", "sizes"), [2, True, 1]),
        (("network", "output"), "relu"),
        (("network", "bias"), "no"),
        (("network", "published"), "x"),
        (("network",), None),
        (("dtype",), "int64"),
        (("dtype",), "float16"),
        (("dtype",), None),
        (("side",), "gpu"),
        (("experiment",), 7),
        (("data",), []),
        (("data", "features"), None),
        (("data", "features"), ["weight"]),
        (("data", "features"), ["weight", "weight"]),
        (("data", "labels"), []),
        (("data", "labels"), ["M"]),
        (("data", "labels"), "MF"),
        (("data", "shift"), [1.0]),
        (("data", "shift"), [1.0, None]),
        (("data", "shift"), [1.0, "x"]),
        (("data", "scale"), [0.0, 1.0]),
        (("data", "units"), ["lb"]),
    ],
    ids=str,
)
def test_every_value_of_the_config_is_checked(copy, capsys, keys, value):
    """A shift of length 1 would be broadcast, and change the label without a word."""
    config = json.loads((copy / "config.json").read_text())
    part = config
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    (copy / "config.json").write_text(json.dumps(config))
    assert keys[-1] in refused(capsys, "predict", copy, "--input", "128,63")


def test_a_missing_shift_is_not_taken_for_none(copy, capsys):
    config = json.loads((copy / "config.json").read_text())
    del config["data"]["shift"]
    (copy / "config.json").write_text(json.dumps(config))
    assert "shift is 'missing'" in refused(capsys, "predict", copy, "--input", "128,63")


def test_an_extra_array_is_another_architecture(copy, capsys):
    with np.load(copy / "weights.npz") as file:
        arrays = dict(file)
    with (copy / "weights.npz").open("wb") as file:
        np.savez(file, **arrays, extra=np.zeros(1))
    assert "another architecture" in refused(capsys, "predict", copy, "--input", "128,63")


@pytest.mark.parametrize("byte", range(0, 900, 7))
def test_no_flipped_byte_is_read_as_other_weights(copy, capsys, byte):
    """Either one line and status 2, or the very weights that were saved."""
    path = copy / "weights.npz"
    with np.load(path) as file:
        before = dict(file)
    content = bytearray(path.read_bytes())
    content[byte % len(content)] ^= 0x55
    path.write_bytes(bytes(content))
    with contextlib.suppress(UsageError):
        after = weights.load(path, Network("two_two_one", (2, 2, 1)))
        assert all(np.array_equal(before[name], after[name]) for name in before)
