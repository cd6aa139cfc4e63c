"""Flatten and Unflatten against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_exact, check_refused, normal


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


def test_repr():
    assert repr(nn.Flatten(2, -1)) == repr(torch.nn.Flatten(2, -1))


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


UNFLATTENED = [
    (1, (2, 3), (4, 6)), (-1, (2, -1), (4, 6)), (0, (2, 2), (4, 6)), (-2, (-1, 4), (4, 6)), (1, [3, 2], (4, 6)),
    (1, (6,), (4, 6)), (1, (-1,), (4, 6)), (1, (1, 2, 3), (4, 6, 5)), (0, (3, -1), (6,)), (1, (3, -1), (4, 0)),
    (1, (2, 0), (4, 0)), (0, (-1, 2), (0, 6)), (1, (-1,), (0, 6)), (1, torch.Size([2, 3]), (4, 6)),
]  # fmt: skip


@pytest.mark.parametrize(("dim", "sizes", "shape"), UNFLATTENED, ids=str)
def test_unflatten(dim, sizes, shape, dtype, device):
    check(lambda nn: nn.Unflatten(dim, sizes), normal(*shape), dtype=dtype, device=device)
    check_exact(lambda nn: nn.Unflatten(dim, sizes), normal(*shape), training=False)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 3), max_size=2), st.lists(st.integers(1, 3), min_size=1, max_size=3), st.data())
def test_unflatten_undoes_flatten(before, sizes, data):
    """At any axis, with any size left to be found."""
    shape, left = [*before, *sizes, 2], data.draw(st.integers(0, len(sizes) - 1))
    given = tuple(-1 if axis == left else size for axis, size in enumerate(sizes))
    dims = (len(before), len(before) + len(sizes) - 1)
    check(lambda nn: nn.Sequential(nn.Flatten(*dims), nn.Unflatten(-2, given)), normal(*shape))
    assert nn.Unflatten(dims[0], given)(nn.Flatten(*dims)(normal(*shape))).shape == tuple(shape)


@pytest.mark.parametrize(
    ("dim", "sizes", "shape", "error", "says"),
    [
        (1, (2, 4), (4, 6), ValueError, r"\(2, 4\) does not multiply up to 6, axis 1"),
        (-1, (4, -1), (4, 6), ValueError, r"\(4, -1\) does not multiply up to 6, axis 1"),
        (1, (0, -1), (4, 0), ValueError, r"\(0, -1\) does not multiply up to 0"),
        (1, (0, 2), (4, 6), ValueError, r"does not multiply up to 6"),
        (1, (12, -1), (4, 6), ValueError, r"does not multiply up to 6"),
        (1, (-1, -1), (4, 6), ValueError, r"at most one of them -1"),
        (1, (-2, -3), (4, 6), ValueError, r"not \(-2, -3\)"),
        (1, (-2, 3), (4, 6), ValueError, r"not \(-2, 3\)"),
        (1, (), (4, 1), ValueError, r"one size or more"),
        (2, (2, 3), (4, 6), IndexError, r"2 axes, and none is axis 2"),
        (-3, (2, 3), (4, 6), IndexError, r"none is axis -3"),
        (0, (1, 1), (), IndexError, r"0 axes"),
        (1, (2, 3.0), (4, 6), TypeError, r"tuple of integers, not \(2, 3\.0\)"),
        (1, 6, (4, 6), TypeError, r"tuple of integers, not 6"),
        (1.0, (2, 3), (4, 6), TypeError, r"number of an axis, not 1\.0"),
        (True, (2, 3), (4, 6), TypeError, r"number of an axis, not True"),
        ("a", (("b", 2), ("c", 3)), (4, 6), TypeError, r"number of an axis, not 'a'"),
    ],
)
def test_what_does_not_come_apart(dim, sizes, shape, error, says):
    check_refused(lambda nn: nn.Unflatten(dim, sizes), normal(*shape), error=error, match=says)


def test_unflatten_takes_floats_and_says_what_it_is():
    with pytest.raises(TypeError, match="Unflatten computes with floats, not int64"):
        nn.Unflatten(1, (1, 3)).forward(np.ones((2, 3), dtype=int))
    assert repr(nn.Unflatten(1, (2, -1))) == repr(torch.nn.Unflatten(1, (2, -1)))
