"""AdaptiveAvgPool and AdaptiveMaxPool in one, two and three dimensions against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_exact, check_refused, normal

KINDS = ["AdaptiveAvgPool", "AdaptiveMaxPool"]
SIZES = {
    1: [1, 2, 3, 6, 7, 11, (4,)],
    2: [1, 3, [2, 3], (4, 6), (9, 1), (None, 2), (3, None), (None, None)],
    3: [1, 2, (2, 1, 3), (None, 2, None)],
}
SHAPES = {1: (7,), 2: (4, 6), 3: (3, 2, 4)}


def pool(kind, axes, *arguments, **options):
    return lambda nn: getattr(nn, f"{kind}{axes}d")(*arguments, **options)


@pytest.mark.parametrize(("axes", "size"), [(axes, size) for axes in (1, 2, 3) for size in SIZES[axes]], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_sizes(kind, axes, size, dtype, device):
    x = normal(3, 2, *SHAPES[axes]) if axes < 3 else normal(2, 1, *SHAPES[axes])
    check(pool(kind, axes, size), x, dtype=dtype, device=device)
    if kind == "AdaptiveMaxPool":
        check(pool(kind, axes, size, return_indices=True), x, dtype=dtype, device=device)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_shapes(kind, axes, dtype, device):
    """Without a batch axis, an empty batch, one entry."""
    for shape in [(3, *SHAPES[axes]), (0, 2, *SHAPES[axes]), (2, 3, *(1,) * axes)]:
        check(pool(kind, axes, 2), normal(*shape), dtype=dtype, device=device)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_an_empty_output(kind, axes):
    """torch's forward takes it, its backward does not."""
    hand, x = pool(kind, axes, 0)(nn), normal(3, 2, *SHAPES[axes])
    y, saved = hand.forward(x)
    assert y.shape == tuple(pool(kind, axes, 0)(torch.nn)(torch.tensor(x)).shape) == (3, 2, *(0,) * axes)
    assert np.array_equal(hand.backward(y, saved), np.zeros_like(x))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(KINDS), st.integers(0, 2), st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7)), min_size=1,
                                                           max_size=2))  # fmt: skip
def test_any_sizes(kind, batch, sizes):
    shape, size = zip(*sizes, strict=True)
    check(pool(kind, len(sizes), size), normal(batch, 2, *shape))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_exact_on_integers(axes):
    """Windows of 4, 16 and 64 entries have exact means; the maximum is exact with many ties."""
    check_exact(pool("AdaptiveAvgPool", axes, 2), np.round(3 * normal(2, 3, *(8, 4, 4)[:axes])))
    for size in (2, 3, 5):
        x = np.round(normal(2, 3, *SHAPES[axes]))
        check_exact(pool("AdaptiveMaxPool", axes, size, return_indices=True), x)


def test_where_the_windows_lie():
    """An axis of 7 to 3: floor(7 p / 3) to ceil(7 (p + 1) / 3), that is 0..2, 2..4, 4..6."""
    hand = nn.AdaptiveAvgPool1d(3)
    y, saved = hand.forward(np.array([[1.0, 2, 3, 4, 5, 6, 7]]))
    assert y.tolist() == [[2, 4, 6]]
    assert hand.backward(np.array([[3.0, 30, 300]]), saved).tolist() == [[1, 1, 11, 10, 110, 100, 100]]


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    "row",
    [
        [1, 1, 0, 0], [0, 2, 2, 1], [NAN, 1, 0, 2], [1, NAN, 0, 2], [NAN, 1, NAN, 0], [INF, NAN, INF, 1],
        [-INF, -INF, -INF, -INF], [0.0, -0.0, 0.0, -0.0], [-0.0, 0.0, -0.0, 0.0], [NAN, NAN, NAN, NAN],
    ],
    ids=str,
)  # fmt: skip
def test_one_window(axes, row, dtype):
    """Of equal entries the first wins, of NaN the last."""
    x = np.array(row, dtype).reshape(1, 1, *(1,) * (axes - 1), 4)
    hand, theirs = (pool("AdaptiveMaxPool", axes, 1, return_indices=True)(side) for side in (nn, torch.nn))
    (y, indices), saved = hand.forward(x)
    tensor = torch.tensor(x, requires_grad=True)
    out, places = theirs(tensor)
    g = normal(*y.shape).astype(dtype)
    out.backward(torch.tensor(g))
    assert np.array_equal(y, out.detach().cpu().numpy(), equal_nan=True)
    assert np.array_equal(indices, places.cpu().numpy())
    assert np.array_equal(hand.backward((g, None), saved), tensor.grad.cpu().numpy())


def test_a_nan_wins_in_its_own_windows_alone():
    x = np.array([[[1, NAN, 3, 2], [5, 4, 2, NAN], [7, 8, 9, 6]]])
    y, indices = nn.AdaptiveMaxPool1d(2, return_indices=True)(x)
    assert np.array_equal(y, [[[NAN, 3], [5, NAN], [8, 9]]], equal_nan=True)
    assert indices.tolist() == [[[1, 2], [0, 3], [1, 2]]]


def test_a_complex_step_changes_no_winner():
    y = nn.AdaptiveMaxPool1d(1)(np.array([[1.0, 2 - 1e-100j, 2 + 1e-100j]]))
    assert y[0, 0] == 2 - 1e-100j


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [1, 2, 3])
class TestRefused:
    @pytest.mark.parametrize(
        ("size", "error", "says"),
        [
            (None, TypeError, "output_size=None; give a number"),
            (-1, ValueError, "has a number below 0"),
            (2.0, TypeError, "is no whole number"),
            ((2,) * 4, ValueError, "has 4 numbers"),
        ],
        ids=str,
    )
    def test_output_sizes(self, kind, axes, size, error, says):
        build = pool(kind, axes, size)
        check_refused(build, normal(3, 2, *SHAPES[axes]), error=error, match=f"^{kind}{axes}d: .*{says}")

    def test_shapes(self, kind, axes):
        for shape, says in [
            ((5,) * axes, f"{axes} axes behind C"),
            ((1, 3, 4, *(5,) * axes), f"{axes} axes behind C"),
            ((3, 2, *(5,) * (axes - 1), 0), "only the batch may be empty"),
        ]:
            check_refused(pool(kind, axes, 2), normal(*shape), error=ValueError, match=f"^{kind}{axes}d .*{says}")
        with pytest.raises(ValueError, match="only the batch may be empty"):  # some of torch's raise in backward alone
            pool(kind, axes, 2)(nn).forward(normal(3, 0, *SHAPES[axes]))
        with pytest.raises(TypeError, match=f"{kind}{axes}d computes with floats"):
            pool(kind, axes, 2)(nn).forward(np.ones((3, 2, *(5,) * axes), dtype=int))


def test_repr_is_torchs():
    for kind in KINDS:
        for build in (pool(kind, 1, 3), pool(kind, 2, (2, None))):
            assert repr(build(nn)) == repr(build(torch.nn))


def test_an_empty_output_gives_the_gradient_plus_zero():
    for kind in KINDS:
        hand = pool(kind, 1, 0)(nn)
        y, saved = hand.forward(normal(3, 6))
        assert not np.signbit(hand.backward(y, saved)).any()


def test_a_list_that_is_changed_later_changes_nothing():
    size = [2, 3]
    hand = nn.AdaptiveAvgPool2d(size)
    size[0] = 4
    assert hand(normal(1, 5, 6)).shape == (1, 2, 3)
