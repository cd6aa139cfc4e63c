"""The digits, and folders of IDX files: right, missing, damaged."""

import gzip
import hashlib
import struct
import sys

import numpy as np
import pytest

from handgrad.data.images import digits, idx_folder
from handgrad.errors import UsageError


def idx(array):
    array = np.asarray(array, dtype=np.uint8)
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    """MNIST's four files, with 6 and 4 images of 3 x 5 pixels; two of them packed."""
    random = np.random.default_rng(3)
    arrays = {
        "train-images-idx3-ubyte": random.integers(0, 256, (6, 3, 5)),
        "train-labels-idx1-ubyte": np.array([3, 1, 4, 1, 5, 9]),
        "t10k-images-idx3-ubyte": random.integers(0, 256, (4, 3, 5)),
        "t10k-labels-idx1-ubyte": np.array([2, 6, 5, 3]),
    }
    for name, array in arrays.items():
        if name.startswith("t10k"):
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (tmp_path / name).write_bytes(idx(array))
    return tmp_path, arrays


def test_digits():
    data = digits()
    assert data.inputs.shape == (1437, 1, 8, 8)
    assert data.test_inputs.shape == (360, 1, 8, 8)
    assert data.inputs.min() == 0
    assert data.inputs.max() == 1
    assert set(data.targets) == set(data.test_targets) == set(range(10))
    assert np.array_equal(digits().inputs, data.inputs)
    together = {image.tobytes() for image in data.inputs} & {image.tobytes() for image in data.test_inputs}
    assert not together, "an image is both trained on and held out"


def test_digits_belong_to_their_images():
    """A mean image of each class, drawn from the training, tells most held-out digits apart."""
    data = digits()
    means = np.stack([data.inputs[data.targets == k].mean(axis=0) for k in range(10)])
    distance = ((data.test_inputs[:, None] - means) ** 2).sum(axis=(2, 3, 4))
    assert (distance.argmin(axis=1) == data.test_targets).mean() > 0.85


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UsageError, match=r"scikit-learn, which is not installed.*\[data\]"):
        digits()


def test_a_folder_of_idx_files(folder):
    path, arrays = folder
    data = idx_folder(path)
    assert data.inputs.shape == (6, 1, 3, 5)
    assert np.array_equal(data.inputs[:, 0] * 255, arrays["train-images-idx3-ubyte"])
    assert np.array_equal(data.test_inputs[:, 0], arrays["t10k-images-idx3-ubyte"] / 255)
    assert data.targets.tolist() == [3, 1, 4, 1, 5, 9]
    assert data.test_targets.tolist() == [2, 6, 5, 3]
    assert data.targets.dtype == np.int64


def test_a_file_is_missing(folder):
    path, _ = folder
    (path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(UsageError, match=r"no train-labels-idx1-ubyte and no train-labels-idx1-ubyte\.gz"):
        idx_folder(path)
    with pytest.raises(UsageError, match="has no train-images"):
        idx_folder(path / "nowhere")


RIGHT = idx(np.zeros((6, 3, 5)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no IDX file"),
        (RIGHT[:3], "no IDX file"),
        (RIGHT[:12], "no IDX file"),
        (RIGHT[:-1], "6 x 3 x 5 bytes, but is damaged"),
        (RIGHT + b"x", "damaged"),
        (b"\x00\x00\x0d" + RIGHT[3:], "no IDX file"),  # floats
        (idx(np.zeros(6)), "no IDX file of bytes with 3 axes"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "damaged"),  # 2^96 bytes
    ],
)
def test_damaged_images(folder, content, says):
    path, _ = folder
    (path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(UsageError, match=says):
        idx_folder(path)


@pytest.mark.parametrize(
    "content", [b"no gzip at all", gzip.compress(RIGHT)[:-9], gzip.compress(RIGHT)[:30] + b"x" * 9]
)
def test_damaged_gzip(folder, content):
    path, _ = folder
    (path / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(UsageError, match=r"cannot be read|damaged"):
        idx_folder(path)


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("train-labels-idx1-ubyte", np.zeros(5), "6 train images but 5 labels"),
        ("train-images-idx3-ubyte", np.zeros((6, 4, 5)), r"\(4, 5\) and of \(3, 5\)"),
    ],
)
def test_files_that_do_not_fit(folder, name, array, says):
    path, _ = folder
    (path / name).write_bytes(idx(array))
    with pytest.raises(UsageError, match=says):
        idx_folder(path)


@pytest.mark.parametrize("largest", [1, 25, 255])
def test_as_many_classes_as_the_largest_label_says(folder, largest):
    path, _ = folder
    for part, count in (("train-labels-idx1-ubyte", 6), ("t10k-labels-idx1-ubyte", 4)):
        (path / part).write_bytes(idx(np.arange(count) % 2))
    (path / "t10k-labels-idx1-ubyte.gz").unlink()
    (path / "t10k-labels-idx1-ubyte").write_bytes(idx([0, 1, largest, 0]))
    data = idx_folder(path)
    assert data.classes == tuple(map(str, range(largest + 1)))
    assert data.test_targets.max() == largest


def test_a_single_class(folder):
    path, _ = folder
    (path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(6)))
    (path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(4))))
    with pytest.raises(UsageError, match="every label is 0, a single class"):
        idx_folder(path)


def test_the_source_has_the_digest_of_each_file(folder):
    path, _ = folder
    data = idx_folder(path)
    assert data.source["path"] == str(path)
    packed = hashlib.sha256((path / "t10k-labels-idx1-ubyte.gz").read_bytes()).hexdigest()
    assert data.source["sha256"]["t10k-labels"] == packed
    assert len(set(data.source["sha256"].values())) == 4


def test_no_images_at_all(folder):
    path, _ = folder
    (path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((0, 3, 5))))
    (path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(0)))
    with pytest.raises(UsageError, match="no images"):
        idx_folder(path)


def test_images_without_pixels(folder):
    path, _ = folder
    for name, count in (("train", 6), ("t10k", 4)):
        (path / f"{name}-images-idx3-ubyte").write_bytes(idx(np.zeros((count, 0, 0))))
    with pytest.raises(UsageError, match="none with a pixel"):
        idx_folder(path)
