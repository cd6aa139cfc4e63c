"""Checkpoint files: exact, without pickles, whole or refused."""

import io
import json
import zipfile

import numpy as np
import pytest

from handgrad import checkpoint
from handgrad.both_sides import Snapshot
from handgrad.errors import UsageError

ODD = {
    "random": np.random.default_rng([1, 2]).bit_generator.state,
    "losses": [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, float("inf")],
    "best": {"loss": float("inf"), "step": 0},
    "nothing": None,
    "side": "manual",
}
SNAPSHOT = Snapshot(
    {"0.weight": np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32), "0.bias": np.array(-0.0)},
    {
        "state": {0: {"step": np.array(3.0, np.float32), "exp_avg": np.ones((3, 2)), "momentum_buffer": None}, 1: {}},
        "param_groups": [{"lr": np.float64(0.1), "betas": (0.9, 0.999), "amsgrad": False, "params": [0, 1]}],
    },
    {"milestones": {30: 1, 80: 2}, "_last_lr": [0.1], "best": float("inf")},
)


def equal(one, other):
    """Whether two structures are the same, to the bit and to the type of every key."""
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return (
            len(one) == len(other) and all(map(equal, one, other)) and isinstance(other, list) == isinstance(one, list)
        )
    return one == other and isinstance(other, type(one).__mro__[-2] if isinstance(one, np.generic) else type(one))


@pytest.fixture
def saved(tmp_path):
    checkpoint.save(tmp_path, SNAPSHOT, ODD)
    return tmp_path


def test_what_was_saved_comes_back_to_the_bit(saved):
    snapshot, rest = checkpoint.load(saved)
    assert equal(SNAPSHOT.network, snapshot.network)
    assert equal(SNAPSHOT.scheduler, snapshot.scheduler)
    assert equal(SNAPSHOT.optimizer["state"], snapshot.optimizer["state"])
    (before,), (after,) = SNAPSHOT.optimizer["param_groups"], snapshot.optimizer["param_groups"]
    assert before == after
    assert type(after["lr"]) is float  # torch takes an array for a learning rate that is a tensor
    assert equal(ODD, rest)


def test_the_same_gives_the_same_bytes(saved, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    checkpoint.save(other, *checkpoint.load(saved))
    assert (other / checkpoint.NAME).read_bytes() == (saved / checkpoint.NAME).read_bytes()


def test_every_array_lies_open(saved):
    with np.load(saved / checkpoint.NAME, allow_pickle=False) as file:
        assert {"meta", "network/0.weight", "optimizer/state/0/exp_avg"} <= set(file.files)
        assert json.loads(bytes(file["meta"]).decode())["format"] == checkpoint.FORMAT


def test_the_one_before_is_kept(saved):
    checkpoint.save(saved, SNAPSHOT, {**ODD, "side": "torch"})
    assert checkpoint.load(saved)[1]["side"] == "torch"
    assert checkpoint.load(saved / checkpoint.BEFORE)[1]["side"] == "manual"
    (saved / checkpoint.NAME).unlink()  # killed between the two renames
    assert checkpoint.load(saved)[1]["side"] == "manual"


def test_a_failure_while_writing_leaves_both(saved, monkeypatch):
    checkpoint.save(saved, SNAPSHOT, {**ODD, "side": "torch"})
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    def full(file, arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_arrays", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(saved, SNAPSHOT, ODD)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_no_damaged_byte_goes_unseen(saved):
    """300 bytes, each changed alone: refused in one sentence, or it was a byte that means nothing."""
    whole = (saved / checkpoint.NAME).read_bytes()
    good = checkpoint.load(saved)
    random = np.random.default_rng(5)
    refused: list[str] = []
    for at in random.choice(len(whole), 300, replace=False):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << random.integers(8)
        (saved / checkpoint.NAME).write_bytes(damaged)
        try:
            snapshot, rest = checkpoint.load(saved)
        except UsageError as error:
            refused.append(str(error))
        else:
            assert equal(good[0].network, snapshot.network)
            assert equal(good[1], rest)
    assert len(refused) > 200
    assert not any("\n" in message for message in refused)


@pytest.mark.parametrize("part", [0, 1, 100, 0.5, 0.99])
def test_one_that_is_cut_short(saved, part):
    whole = (saved / checkpoint.NAME).read_bytes()
    (saved / checkpoint.NAME).write_bytes(whole[: int(part * len(whole)) if isinstance(part, float) else part])
    with pytest.raises(UsageError, match=r"checkpoint\.npz .*; train again"):
        checkpoint.load(saved)


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def meta(**content):
    return np.frombuffer(json.dumps(content).encode(), np.uint8)


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("meta.npy", "not an array")
    return file.getvalue()


FOREIGN = {
    "weights": (npz(weight=np.ones(3)), "something else"),
    "another format": (npz(meta=meta(format="other", version=1)), "something else"),
    "numbers": (npz(meta=np.ones(3)), "something else"),
    "a pickle": (npz(meta=np.array([{}], dtype=object)), "pickle"),
    "one array": (b"\x93NUMPY", "pickle or damaged|readable"),
    "text": (b"hello", "pickle or damaged"),
    "another zip": (zipped(), "meta is no array"),
    "newer": (
        npz(meta=meta(format=checkpoint.FORMAT, version=2)),
        "version 2, but this handgrad reads up to 1: update",
    ),
    "empty": (
        npz(meta=meta(format=checkpoint.FORMAT, version=1, content={"pairs": []})),
        "lacks what a checkpoint has",
    ),
    "no content": (npz(meta=meta(format=checkpoint.FORMAT, version=1)), "lacks what a checkpoint has"),
    "arrays lost": (
        npz(meta=meta(format=checkpoint.FORMAT, version=1, content={"pairs": [["network", {"array": "x"}]]})),
        "lacks what a checkpoint has",
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign_ones_are_refused_and_the_one_before_is_named(saved, case):
    content, says = FOREIGN[case]
    checkpoint.save(saved, SNAPSHOT, ODD)
    (saved / checkpoint.NAME).write_bytes(content)
    with pytest.raises(UsageError, match=says) as caught:
        checkpoint.load(saved)
    if case != "newer":
        assert str(caught.value).endswith(f"--resume {saved / checkpoint.BEFORE}")
    assert equal(ODD, checkpoint.load(saved / checkpoint.BEFORE)[1])


def test_none_at_all(tmp_path):
    with pytest.raises(UsageError, match=r"does not exist; name a folder that train\.py --out has left"):
        checkpoint.load(tmp_path)
