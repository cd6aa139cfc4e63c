"""MaxPool1d, MaxPool2d and MaxPool3d against torch: every option and every two, ties, NaN and infinities."""

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
STRIDES = {1: [1, 2], 2: [(1, 3), 2], 3: [(1, 1, 2)]}
PADDINGS = {1: 1, 2: (1, 0), 3: (1, 0, 1)}
DILATIONS = {1: 2, 2: (1, 3), 3: (2, 3, 1)}


def pool(axes, *arguments, **options):
    return lambda nn: getattr(nn, f"MaxPool{axes}d")(*arguments, **options)


def table(axes):
    return pairs(
        stride=STRIDES[axes],
        padding=[PADDINGS[axes]],
        dilation=[DILATIONS[axes]],
        return_indices=[True],
        ceil_mode=[True],
    )


@pytest.mark.parametrize(("axes", "options"), [(axes, each) for axes in (1, 2, 3) for each in table(axes)], ids=name)
def test_options(axes, options, dtype, device):
    x = normal(3, 2, *SHAPES[axes]) if axes < 3 else normal(2, 1, *SHAPES[axes])
    check(pool(axes, KERNELS[axes], **options), x, dtype=dtype, device=device)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("indices", [False, True])
def test_shapes(axes, indices, dtype, device):
    """Without a batch axis, an empty batch, one sample of one window."""
    build = pool(axes, 2, 1, 1, return_indices=indices)
    for shape in [(3, *SHAPES[axes][:1], *(2,) * (axes - 1)), (0, 2, *SHAPES[axes]), (1, 1, *(1,) * axes)]:
        check(build, normal(*shape), dtype=dtype, device=device)
    check(pool(axes, 2, return_indices=indices), normal(1, 3, *(2,) * axes), dtype=dtype, device=device)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.data())
def test_any_sizes(data):
    axes = data.draw(st.integers(1, 2))
    each = st.tuples(*[st.integers(1, 3)] * axes)
    kernel, stride, dilation = data.draw(each), data.draw(each), data.draw(each)
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    more = data.draw(st.tuples(*[st.integers(0, 3)] * axes))
    shape = [d * (k - 1) + 1 + extra for k, d, extra in zip(kernel, dilation, more, strict=True)]
    ceil, indices, batch = data.draw(st.booleans()), data.draw(st.booleans()), data.draw(st.integers(0, 2))
    check(pool(axes, kernel, stride, padding, dilation, indices, ceil), normal(batch, 2, *shape))


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_ties_and_overlaps_are_torchs(axes, ceil):
    """Bit for bit, on integers with many ties and windows that overlap: y, indices and the gradient."""
    for x in (np.round(normal(3, 2, *SHAPES[axes])), np.zeros((2, 3, *SHAPES[axes]))):
        check_exact(pool(axes, 3, 1, 1, return_indices=True, ceil_mode=ceil), x)
        check_exact(pool(axes, 2, 2, 1, ceil_mode=ceil), x)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_against_plain_loops(axes):
    windows = {"stride": (2, 1, 1)[:axes], "padding": (1, 0, 1)[:axes], "dilation": (1, 2, 1)[:axes]}
    size = (3, 2, 2)[:axes]
    hand = getattr(nn, f"MaxPool{axes}d")(size, **windows, return_indices=True)
    x = np.round(normal(3, 2, *SHAPES[axes]))
    (y, indices), saved = hand.forward(x)
    g = np.round(5 * normal(*y.shape, seed=1))
    for mine, loops in zip((y, hand.backward((g, None), saved), indices), naive.max_pool(x, g, size, **windows),
                           strict=True):  # fmt: skip
        assert np.array_equal(mine, loops)


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    "row",
    [
        [1, 1, 0, 0], [0, 2, 2, 1], [NAN, 1, 0, 2], [1, NAN, 0, 2], [NAN, 1, NAN, 0], [INF, NAN, INF, 1],
        [-INF, -INF, -INF, -INF], [-INF, -INF, 0, -INF], [0.0, -0.0, 0.0, -0.0], [-0.0, 0.0, -0.0, 0.0],
        [NAN, NAN, NAN, NAN], [-INF, NAN, -INF, -INF],
    ],
    ids=str,
)  # fmt: skip
def test_one_window(axes, row, dtype):
    """Of equal entries the first wins, of NaN the last; padding never, not even among -inf."""
    x = np.array(row, dtype).reshape(1, 1, *(1,) * (axes - 1), 4)
    for kernel, padding in [(4, 0), (4, 2), (3, 1)]:
        arguments = (*(1,) * (axes - 1), kernel), 1, (*(0,) * (axes - 1), padding)
        hand, theirs = (pool(axes, *arguments, return_indices=True)(side) for side in (nn, torch.nn))
        (y, indices), saved = hand.forward(x)
        tensor = torch.tensor(x, requires_grad=True)
        out, places = theirs(tensor)
        g = normal(*y.shape).astype(dtype)
        out.backward(torch.tensor(g))
        assert np.array_equal(y, out.detach().cpu().numpy(), equal_nan=True)
        assert np.array_equal(indices, places.cpu().numpy())
        assert np.array_equal(hand.backward((g, None), saved), tensor.grad.cpu().numpy())


def test_a_complex_step_changes_no_winner():
    """Of entries with equal real parts the first wins, whatever the imaginary parts are."""
    y, indices = nn.MaxPool1d(3, return_indices=True)(np.array([[1.0, 2 - 1e-100j, 2 + 1e-100j]]))
    assert y[0, 0] == 2 - 1e-100j
    assert indices[0, 0] == 1


@pytest.mark.parametrize("axes", [1, 2, 3])
class TestRefused:
    @pytest.mark.parametrize(
        ("options", "error", "says"),
        [
            ({"kernel_size": 0}, ValueError, "kernel_size=0 has a number below 1"),
            ({"kernel_size": 2.0}, TypeError, r"kernel_size=2\.0 is no whole number"),
            ({"kernel_size": (2,) * 4}, ValueError, "kernel_size=.* has 4 numbers"),
            ({"stride": 0}, ValueError, "stride=0 has a number below 1"),
            ({"padding": -1}, ValueError, "padding=-1 has a number below 0"),
            ({"padding": 2}, ValueError, "padding=2 is more than half of kernel_size=3"),
            ({"padding": 2, "dilation": 2}, ValueError, "padding=2 is more than half of kernel_size=3"),
            ({"dilation": 0}, ValueError, "dilation=0 has a number below 1"),
            ({"kernel_size": 7}, ValueError, "no window of .* fits into"),
            ({"kernel_size": 4, "dilation": 2, "ceil_mode": True, "stride": 1}, ValueError, "no window of .* fits"),
        ],
        ids=str,
    )
    def test_arguments(self, axes, options, error, says):
        build = pool(axes, **({"kernel_size": 3} | options))
        check_refused(build, normal(3, 2, *(6,) * axes), error=error, match=f"^MaxPool{axes}d: {says}")

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
            check_refused(pool(axes, 2), normal(*shape), error=ValueError, match=f"^MaxPool{axes}d .*{says}")
        with pytest.raises(TypeError, match=f"MaxPool{axes}d computes with floats"):
            pool(axes, 2)(nn).forward(np.ones((3, 2, *(5,) * axes), dtype=int))

    def test_a_window_in_padding_alone(self, axes):
        """torch answers -inf with an index outside of the input, and its backward writes there."""
        with pytest.raises(ValueError, match="a window has padding alone"):
            pool(axes, 2, 1, 1, 3)(nn).forward(normal(1, 1, *(2,) * axes))


def test_repr_is_torchs():
    for build in (pool(1, 3), pool(2, (2, 3), 2, (1, 0), 2, True, True), pool(3, 2, (1, 2, 1))):
        assert repr(build(nn)) == repr(build(torch.nn))


def test_what_no_window_takes_has_the_gradient_plus_zero():
    for build in (pool(1, 1, 2), pool(1, 2)):
        hand = build(nn)
        y, saved = hand.forward(normal(3, 6))
        grad = hand.backward(-np.ones_like(y), saved)
        assert np.count_nonzero(grad) == 9
        assert not np.signbit(grad[grad == 0]).any()
