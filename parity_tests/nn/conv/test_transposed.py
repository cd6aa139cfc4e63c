"""ConvTranspose1d, ConvTranspose2d and ConvTranspose3d against torch, and as what a convolution's backward is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.nn import naive
from parity_tests.nn.tables import name, pairs
from parity_tests.parity import check, check_exact, check_refused, normal

SHAPES = {1: (5,), 2: (3, 4), 3: (2, 3, 1)}
KERNELS = {1: 3, 2: (2, 3), 3: (2, 1, 3)}
PADDINGS = {1: 1, 2: (1, 2), 3: (1, 0, 1)}
STRIDES = {1: 3, 2: (2, 3), 3: (1, 2, 2)}
DILATIONS = {1: 3, 2: (2, 3), 3: (1, 3, 2)}
MORE = {1: 2, 2: (1, 2), 3: (0, 1, 1)}


def table(axes):
    options = pairs(
        stride=[STRIDES[axes]],
        padding=[PADDINGS[axes]],
        output_padding=[MORE[axes]],
        dilation=[DILATIONS[axes]],
        groups=[2],
        bias=[False],
    )
    both = [{"stride": STRIDES[axes], "output_padding": MORE[axes], name: value} for name, value in
            [("padding", PADDINGS[axes]), ("dilation", DILATIONS[axes]), ("groups", 2), ("bias", False)]]  # fmt: skip
    # torch wants output_padding below the stride or the dilation.
    return [o for o in options if "output_padding" not in o or {"stride", "dilation"} & o.keys()] + both


@pytest.mark.parametrize(("axes", "options"), [(axes, each) for axes in (1, 2, 3) for each in table(axes)], ids=name)
def test_options(axes, options, dtype, device):
    channels = (2 if "groups" in options else 1) * (2 if axes < 3 else 1)
    build = lambda nn: getattr(nn, f"ConvTranspose{axes}d")(channels, 6, KERNELS[axes], **options)  # noqa: E731
    check(build, normal(3, channels, *SHAPES[axes]), dtype=dtype, device=device)


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        (1, (4, 5)), (1, (0, 4, 5)), (1, (1, 4, 1)), (2, (4, 3, 2)), (2, (0, 4, 3, 2)), (2, (1, 4, 1, 1)),
        (3, (4, 2, 3, 1)), (3, (0, 4, 2, 3, 1)),
    ],
    ids=str,
)  # fmt: skip
def test_shapes(axes, shape, dtype, device):
    """Without a batch axis, an empty batch, and one place."""
    build = lambda nn: getattr(nn, f"ConvTranspose{axes}d")(4, 6, KERNELS[axes], stride=2, groups=2)  # noqa: E731
    check(build, normal(*shape), dtype=dtype, device=device)


@pytest.mark.parametrize("size", [[13], (14,), [15], [3, 4, 14], (9, 9, 13)], ids=str)
def test_output_size(size, dtype, device):
    """One of `stride` lengths that a convolution of stride 3 maps to 5; samples and channels may stand before it."""
    build = lambda nn: nn.ConvTranspose1d(2, 4, 3, stride=3, padding=1)  # noqa: E731
    check(build, normal(3, 2, 5), dtype=dtype, device=device, output_size=size)


def test_output_size_takes_the_place_of_output_padding(dtype):
    build = lambda nn: nn.ConvTranspose2d(2, 4, 2, stride=(3, 2), output_padding=1)  # noqa: E731
    check(build, normal(3, 2, 2, 3), dtype=dtype, output_size=(7, 6))
    check(build, normal(2, 2, 3), dtype=dtype, output_size=[4, 5, 7])


@pytest.mark.parametrize("size", [[12], [16], [], [13, 13], [1, 2, 3, 13]], ids=str)
def test_an_output_size_that_the_windows_do_not_give(size):
    build = lambda nn: nn.ConvTranspose1d(2, 4, 3, stride=3, padding=1)  # noqa: E731
    says = r"output_size=.* give \(13,\), or more by less than the stride"
    check_refused(build, normal(3, 2, 5), error=ValueError, match=says, output_size=size)


def test_an_output_size_that_one_axis_does_not_give():
    build = lambda nn: nn.ConvTranspose2d(2, 4, 3, stride=3)  # noqa: E731
    for size in [(6, 6), (9, 12), (5, 6), (6, 8)]:
        says = r"output_size=.* give \(6, 9\)"
        check_refused(build, normal(3, 2, 2, 3), error=ValueError, match=says, output_size=size)


def test_output_padding_beyond_the_reach_of_all_windows(dtype):
    """With a stride of 5, kernel of 2: three entries that no window reaches, which hold the bias alone."""
    build = lambda nn: nn.ConvTranspose1d(2, 3, 2, stride=5, output_padding=4)  # noqa: E731
    check(build, normal(3, 2, 2), dtype=dtype)
    hand = build(nn)
    y = hand(normal(3, 2, 2).astype(np.float32))
    assert np.array_equal(y[:, :, [3, 9]], np.broadcast_to(hand.bias.data[:, None], (3, 3, 2)))


def test_padding_may_cut_off_everything():
    """torch gives an empty output, and so do we."""
    hand = nn.ConvTranspose1d(2, 3, 2, padding=3)
    y, saved = hand.forward(normal(3, 2, 5).astype(np.float32))
    assert y.shape == (3, 3, 0)
    assert not hand.backward(y, saved).any()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_any_sizes(data):
    axes = data.draw(st.integers(1, 2))
    each = st.tuples(*[st.integers(1, 3)] * axes)
    kernel, stride, dilation, shape = (data.draw(each) for _ in range(4))
    most = [((s * (n - 1) + d * (k - 1)) // 2) for s, n, d, k in zip(stride, shape, dilation, kernel, strict=True)]
    padding = tuple(data.draw(st.integers(0, min(m, 2))) for m in most)
    more = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    groups, inner, outer = (data.draw(st.integers(1, 2)) for _ in range(3))
    batch, seed = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 99))

    def build(nn):
        layer, channels = getattr(nn, f"ConvTranspose{axes}d"), (groups * inner, groups * outer)
        return layer(*channels, kernel, stride, padding, more, groups, dilation=dilation)

    check(build, normal(batch, groups * inner, *shape, seed=seed), seed=seed)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_exact_on_integers(axes):
    def build(nn):
        layer = getattr(nn, f"ConvTranspose{axes}d")
        return layer(4, 6, KERNELS[axes], STRIDES[axes], PADDINGS[axes], MORE[axes], 2, dilation=DILATIONS[axes])

    check_exact(build, np.round(3 * normal(3, 4, *SHAPES[axes])))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_against_plain_loops(axes, groups):
    """Bit for bit, on integers: y, dL/dx and dL/dweight are the formula's sums."""
    random = np.random.default_rng(axes)
    windows = {"stride": (3, 2, 2)[:axes], "padding": (1, 2, 0)[:axes], "dilation": (1, 3, 1)[:axes]}
    layer = getattr(nn, f"ConvTranspose{axes}d")
    hand = layer(4, 6, KERNELS[axes], output_padding=1, groups=groups, bias=False, dtype=np.float64, **windows)
    hand.weight.data = random.integers(-4, 5, hand.weight.shape).astype(float)
    x = random.integers(-4, 5, (3, 4, *SHAPES[axes])).astype(float)
    y, saved = hand.forward(x)
    g = random.integers(-4, 5, y.shape).astype(float)
    grad_x = hand.backward(g, saved)
    expected = naive.conv_transpose(x, hand.weight.data, g, groups=groups, **windows)
    for mine, loops in zip((y, grad_x, hand.weight.grad), expected, strict=True):
        assert np.array_equal(mine, loops)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_each_forward_is_the_others_backward(axes):
    """With one weight, bit for bit: what a convolution does to g is what its transpose does to x, and back."""
    options = {"stride": STRIDES[axes], "padding": PADDINGS[axes], "groups": 2, "bias": False, "dtype": np.float64}
    conv = getattr(nn, f"Conv{axes}d")(6, 4, KERNELS[axes], **options)
    transposed = getattr(nn, f"ConvTranspose{axes}d")(4, 6, KERNELS[axes], **options)
    transposed.load_state_dict(conv.state_dict())
    coarse = normal(3, 4, *SHAPES[axes])
    fine, saved = transposed.forward(coarse)
    _, saved_fine = conv.forward(fine)
    assert np.array_equal(conv.backward(coarse, saved_fine), fine)
    g = normal(*fine.shape, seed=3)
    assert np.array_equal(transposed.backward(g, saved), conv(g))
