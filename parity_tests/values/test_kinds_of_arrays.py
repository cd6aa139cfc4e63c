"""What is an array by name but computes otherwise is refused by every class; what only lies elsewhere is not."""

import numpy as np
import pytest

import manual.nn
from parity_tests.values.cases import CASES

# Those that look up rows take arrays of indices, which have a check of their own.
FLOATS = [name for name, case in CASES.items() if case.inputs[0].dtype.kind == "f"]


def single(case):
    """Return the inputs in float32, where they are floats."""
    return [x.astype(np.float32) if x.dtype.kind == "f" else x for x in case.inputs]


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("name", FLOATS)
def test_masked_arrays_and_matrices_are_refused(name):
    module, (x, *others) = CASES[name].build(manual.nn), single(CASES[name])
    with pytest.raises(TypeError, match=r"no MaskedArray: fill what is masked with a number, x\.filled\(0\)"):
        module.forward(np.ma.masked_invalid(x), *others)
    with pytest.raises(TypeError, match=r"not matrix: write np\.asarray"):
        module.forward(np.asmatrix(x.reshape(-1, 1)), *others)


def test_arrays_in_files_are_taken(tmp_path):
    x = np.memmap(tmp_path / "x", np.float32, "w+", shape=(3, 4))
    x[:] = 1
    layer = manual.nn.Linear(4, 2)
    assert (layer(x) == layer(np.ones((3, 4), np.float32))).all()
