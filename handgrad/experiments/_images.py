"""What the experiments on images share: the digits at hand, or a folder of IDX files."""

from dataclasses import replace
from pathlib import Path

from handgrad.data import Data
from handgrad.data.images import idx_folder


def flat(data: Data) -> Data:
    """Return the same samples with every image as one row of pixels."""
    assert data.test_inputs is not None
    rows, test_rows = (images.reshape(len(images), -1) for images in (data.inputs, data.test_inputs))
    return replace(data, inputs=rows, test_inputs=test_rows)


def flat_folder(folder: Path) -> Data:
    """Return the images of an IDX folder as rows of pixels."""
    return flat(idx_folder(folder))
