"""AvgPool1d, AvgPool2d and AvgPool3d against torch: every option and every two, divisors at borders."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.nn import naive
from parity_tests.nn.tables import name, pairs
from parity_tests.parity import check, check_exact, check_refused, normal

SHAPES = {1: (8,), 2: (5, 7), 3: (4, 3, 5)}
KERNELS = {1: 3, 2: (3, 2), 3: (2, 1, 3)}
STRIDES = {1: [1, 2, 4], 2: [(1, 3), 2], 3: [(1, 1, 2)]}
PADDINGS = {1: 1, 2: (1, 1), 3: (1, 0, 1)}


def pool(axes, *arguments, **options):
    return lambda nn: getattr(nn, f"AvgPool{axes}d")(*arguments, **options)


def table(axes):
    divisor = {"divisor_override": [5, -2]} if axes > 1 else {}
    both = {"padding": PADDINGS[axes], "ceil_mode": True}
    return [
        *pairs(stride=STRIDES[axes], padding=[PADDINGS[axes]], ceil_mode=[True], count_include_pad=[False], **divisor),
        *({"stride": s, **both, "count_include_pad": count} for s in (2, 3, 4) for count in (True, False)),
    ]


@pytest.mark.parametrize(("axes", "options"), [(axes, each) for axes in (1, 2, 3) for each in table(axes)], ids=name)
def test_options(axes, options, dtype, device):
    x = normal(3, 2, *SHAPES[axes]) if axes < 3 else normal(2, 1, *SHAPES[axes])
    check(pool(axes, KERNELS[axes], **options), x, dtype=dtype, device=device)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_shapes(axes, dtype, device):
    """Without a batch axis, an empty batch, one sample of one window."""
    for shape in [(3, *SHAPES[axes][:1], *(2,) * (axes - 1)), (0, 2, *SHAPES[axes]), (1, 1, *(2,) * axes)]:
        check(pool(axes, 2, 1, 1), normal(*shape), dtype=dtype, device=device)
    check(pool(axes, 2), normal(1, 3, *(2,) * axes), dtype=dtype, device=device)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.data())
def test_any_sizes(data):
    axes = data.draw(st.integers(1, 2))
    each = st.tuples(*[st.integers(1, 4)] * axes)
    kernel, stride = data.draw(each), data.draw(each)
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    more = data.draw(st.tuples(*[st.integers(0, 4)] * axes))
    shape = [k + extra for k, extra in zip(kernel, more, strict=True)]
    ceil, count, batch = data.draw(st.booleans()), data.draw(st.booleans()), data.draw(st.integers(0, 2))
    check(pool(axes, kernel, stride, padding, ceil, count), normal(batch, 2, *shape))


@pytest.mark.parametrize(
    ("count_include_pad", "divisors"), [(True, [4, 4, 2]), (False, [3, 4, 1])], ids=["with padding", "without"]
)
def test_what_the_divisor_counts(count_include_pad, divisors):
    """An axis of 8 with 1 in front and behind has windows -1..2, 3..6 and 7..10; of the last, 9 and 10 are nowhere.

    With an axis of 7 it would start in the padding behind, and is left out.
    """
    build = pool(1, 4, 4, 1, True, count_include_pad)
    ones = np.ones((1, 8))
    y = build(nn)(ones)
    inside = [3, 4, 1]
    assert y[0].tolist() == [i / d for i, d in zip(inside, divisors, strict=True)]
    assert y[0].tolist() == build(torch.nn)(torch.tensor(ones))[0].cpu().tolist()
    assert build(nn)(ones[:, :7]).shape == (1, 2)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_exact_on_integers(axes):
    """Sums of integers over 2 or 4 or 8 are exact."""
    check_exact(pool(axes, 2, 1, 1), np.round(3 * normal(3, 2, *SHAPES[axes])))
    if axes > 1:
        check_exact(pool(axes, 3, 2, 1, True, divisor_override=8), np.round(3 * normal(3, 2, *SHAPES[axes])))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_against_plain_loops(axes):
    """The sum of a window and its gradient, bit for bit, and the count of the entries in the input."""
    windows = {"stride": (2, 1, 1)[:axes], "padding": (1, 0, 1)[:axes]}
    size = (3, 2, 2)[:axes]
    x = np.round(3 * normal(3, 2, *SHAPES[axes]))
    hand = getattr(nn, f"AvgPool{axes}d")(size, **windows, count_include_pad=False)
    y, saved = hand.forward(x)
    g = np.round(5 * normal(*y.shape, seed=1))
    sums, grad_x, entries = naive.sum_pool(x, g, size, dilation=(1,) * axes, **windows)
    assert np.array_equal(y, sums / entries)
    assert np.array_equal(hand.backward(g * entries, saved), grad_x)


def test_nan_and_infinity_stay_in_their_windows(dtype):
    y = nn.AvgPool1d(2)(np.array([[1, np.nan, 3, 4, np.inf, -2]], dtype))
    assert np.array_equal(y, np.array([[np.nan, 3.5, np.inf]], dtype), equal_nan=True)


@pytest.mark.parametrize("axes", [1, 2, 3])
class TestRefused:
    @pytest.mark.parametrize(
        ("options", "error", "says"),
        [
            ({"kernel_size": 0}, ValueError, "kernel_size=0 has a number below 1"),
            ({"kernel_size": (2,) * 4}, ValueError, "kernel_size=.* has 4 numbers"),
            ({"stride": 0}, ValueError, "stride=0 has a number below 1"),
            ({"padding": -1}, ValueError, "padding=-1 has a number below 0"),
            ({"padding": 2}, ValueError, "padding=2 is more than half of kernel_size=3"),
            ({"kernel_size": 7}, ValueError, "no window of .* fits into"),
        ],
        ids=str,
    )
    def test_arguments(self, axes, options, error, says):
        build = pool(axes, **({"kernel_size": 3} | options))
        check_refused(build, normal(3, 2, *(6,) * axes), error=error, match=f"^AvgPool{axes}d: {says}")

    def test_one_axis_with_too_much_padding(self, axes):
        build = pool(axes, 3, padding=(*(1,) * (axes - 1), 2))
        check_refused(build, normal(3, 2, *(6,) * axes), error=ValueError, match="more than half of kernel_size=3")

    def test_one_axis_that_is_too_short(self, axes):
        build = pool(axes, (*(1,) * (axes - 1), 6))
        check_refused(build, normal(3, 2, *(5,) * axes), error=ValueError, match="no window of .* fits into")

    def test_shapes(self, axes):
        for shape, says in [
            ((5,) * axes, f"{axes} axes behind C"),
            ((1, 3, 4, *(5,) * axes), f"{axes} axes behind C"),
            ((3, 0, *(5,) * axes), "only the batch may be empty"),
            ((3, 2, *(5,) * (axes - 1), 0), "only the batch may be empty"),
        ]:
            check_refused(pool(axes, 2), normal(*shape), error=ValueError, match=f"^AvgPool{axes}d .*{says}")

    def test_divisors(self, axes):
        if axes > 1:
            x = normal(3, 2, *(5,) * axes)
            check_refused(pool(axes, 2, divisor_override=0), x, error=ValueError, match="divisor_override=0")
            check_refused(pool(axes, 2, divisor_override=2.5), x, error=TypeError, match="float")


def test_repr_is_torchs():
    for build in (pool(1, 3), pool(1, [3], 2, 1), pool(2, (2, 3), 2, (1, 0)), pool(3, 2, (1, 2, 1))):
        assert repr(build(nn)) == repr(build(torch.nn))


def test_what_no_window_takes_has_the_gradient_plus_zero():
    hand = nn.AvgPool1d(1, 2)
    y, saved = hand.forward(normal(3, 6))
    assert not np.signbit(hand.backward(np.ones_like(y), saved)[:, 1::2]).any()
