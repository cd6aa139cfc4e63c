"""Images with a class each: scikit-learn's handwritten digits, and IDX files such as MNIST's."""

import gzip
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from handgrad.data.source import file_digest
from handgrad.data.table import Data
from handgrad.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]

HELD_OUT = 5  # of the digits, every so many after shuffling are held out
UNSIGNED_BYTE = 8  # IDX's code for the only type that these files have
PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")


def digits() -> Data:
    """Return 1,797 handwritten digits of 8 x 8 pixels, shuffled once (seed 0), one of five held out.

    They are the test set of UCI's "Optical Recognition of Handwritten Digits", which scikit-learn brings along. A
    pixel counts 0 to 16 and is divided by 16. Raises UsageError where scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError(
            "the digits come with scikit-learn, which is not installed: pip install -c constraints.txt -e '.[data]'"
        ) from None
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    images = found.images[order][:, None] / 16  # (N, 1, 8, 8)
    classes = found.target[order].astype(np.int64)
    held = np.arange(len(order)) % HELD_OUT == 0
    return images_data(images[~held], classes[~held], images[held], classes[held])


def idx_folder(folder: Path) -> Data:
    """Return the images in a folder of IDX files, as MNIST and Fashion-MNIST come: 60,000 to train on, 10,000 held out.

    The folder holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
    t10k-labels-idx1-ubyte, each as it is or as .gz; a pixel counts 0 to 255 and is divided by 255. There are as many
    classes as the largest label says, 256 at most. Raises UsageError for a file that is missing, damaged, or does not
    fit the others.
    """
    images, labels, test_images, test_labels = (_part(folder, part) for part in PARTS)
    for name, pixels, classes in (("train", images, labels), ("t10k", test_images, test_labels)):
        if len(pixels) != len(classes):
            raise UsageError(f"{folder}: {len(pixels)} {name} images but {len(classes)} labels; the files do not fit")
    if images.shape[1:] != test_images.shape[1:]:
        raise UsageError(f"{folder}: images of {images.shape[1:]} and of {test_images.shape[1:]} pixels do not fit")
    if not images.size or not test_images.size:
        raise UsageError(f"{folder}: there are no images in it, or none with a pixel")
    count = int(max(labels.max(), test_labels.max())) + 1
    if count < 2:
        raise UsageError(f"{folder}: every label is 0, a single class; training needs two or more")
    pixels, test_pixels = (part[:, None] / 255 for part in (images, test_images))
    data = images_data(pixels, labels.astype(np.int64), test_pixels, test_labels.astype(np.int64), count)
    digests = {part: file_digest(_path(folder, part)) for part in PARTS}
    return replace(data, source={"kind": "idx", "path": str(folder.absolute()), "sha256": digests})


def images_data(images: Array, classes: Array, test_images: Array, test_classes: Array, count: int = 10) -> Data:
    """Return images (N, 1, height, width) and classes (N,), of which there are `count`, as samples."""
    return Data(
        inputs=images,
        targets=classes,
        features=("pixel",),
        test_inputs=test_images,
        test_targets=test_classes,
        classes=tuple(map(str, range(count))),
    )


def _part(folder: Path, part: str) -> Array:
    path = _path(folder, part)
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            return read_idx(file.read(), _axes(part), path)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} cannot be read ({error}); fetch it again") from None


def _axes(part: str) -> int:
    return 3 if part.endswith("images") else 1


def _path(folder: Path, part: str) -> Path:
    name = f"{part}-idx{_axes(part)}-ubyte"
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UsageError(f"{folder} has no {name} and no {name}.gz; name a folder with MNIST's four files")


def read_idx(content: bytes, axes: int, path: Path) -> Array:
    """Return the array in an IDX file: two zeros, the type, the number of axes, their sizes (big-endian), the bytes."""
    head = 4 + 4 * axes
    if content[:4] != bytes([0, 0, UNSIGNED_BYTE, axes]) or len(content) < head:
        raise UsageError(f"{path} is no IDX file of bytes with {axes} axes; fetch it again")
    shape = struct.unpack(f">{axes}I", content[4:head])
    if len(content) - head != np.prod(shape, dtype=object):
        raise UsageError(f"{path} should hold {' x '.join(map(str, shape))} bytes, but is damaged; fetch it again")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)
