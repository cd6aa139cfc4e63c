"""Flatten against torch."""

import numpy as np
import pytest

from manual import nn
from parity_tests.parity import check, normal


@pytest.mark.parametrize(
    ("dims", "shape"),
    [
        ((), (3, 4, 5)), ((0,), (3, 4)), ((1, 2), (3, 4, 5, 2)), ((-2, -1), (3, 4, 5)), ((), (3, 0, 5)),
        ((), (0, 3, 5)), ((0, 0), (6,)),
    ],
    ids=str,
)  # fmt: skip
def test_flatten(dims, shape, dtype, device):
    check(lambda nn: nn.Flatten(*dims), normal(*shape), dtype=dtype, device=device)


def test_flatten_a_scalar_as_torch_does():
    check(lambda nn: nn.Flatten(0), normal())


def test_axes_that_do_not_fit():
    with pytest.raises(IndexError, match="axis 2"):
        nn.Flatten(2).forward(np.ones((2, 3)))
    with pytest.raises(ValueError, match="behind"):
        nn.Flatten(2, 1).forward(np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="behind"):
        nn.Flatten(-1, 1).forward(np.ones((2, 3, 4)))
    with pytest.raises(IndexError, match="axis 1"):
        nn.Flatten().forward(np.ones(3))
    with pytest.raises(IndexError, match="axis 5"):  # of two, the first is named, as torch does
        nn.Flatten(5, 7).forward(np.ones((2, 3)))


def test_integers_are_refused():
    with pytest.raises(TypeError, match="Flatten computes with floats, not int64"):
        nn.Flatten().forward(np.ones((2, 3), dtype=int))
