"""What predict.py says of a run folder that is damaged, foreign or a pickle: one line, exit status 2."""

import re
import shutil
import zipfile

import numpy as np
import pytest

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
        ('{"format": 1}', "not of a run"),
        ('{"format": 1, "network": {"name": "mlp", "sizes": 3}}', "not of a run"),
    ],
)
def test_damaged_config(copy, capsys, text, says):
    if text is None:
        (copy / "config.json").unlink()
    else:
        (copy / "config.json").write_text(text)
    assert re.search(says, refused(capsys, "predict", copy, "--input", "128,63"))
