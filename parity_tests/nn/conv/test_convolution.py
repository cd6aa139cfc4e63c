"""Conv1d, Conv2d and Conv3d against torch: every option, every two of them, and shapes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.nn import naive
from parity_tests.nn.tables import name, pairs
from parity_tests.parity import check, check_exact, normal

SHAPES = {1: (7,), 2: (4, 5), 3: (2, 4, 3)}
KERNELS = {1: 3, 2: (2, 3), 3: (2, 1, 3)}
PADDINGS = {1: 2, 2: (1, 2), 3: (1, 0, 2)}
STRIDES = {1: 2, 2: (2, 3), 3: (1, 2, 2)}
DILATIONS = {1: 2, 2: (2, 1), 3: (1, 3, 1)}


def conv(nn, axes, **options):
    return getattr(nn, f"Conv{axes}d")(4, 6, KERNELS[axes], **options)


def table(axes):
    options = pairs(
        stride=[STRIDES[axes]],
        padding=[PADDINGS[axes], "same", "valid"],
        dilation=[DILATIONS[axes]],
        groups=[2],
        bias=[False],
        padding_mode=["reflect", "replicate", "circular"],
    )
    return [each for each in options if not (each.get("padding") == "same" and "stride" in each)]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(("axes", "options"), [(axes, each) for axes in (1, 2) for each in table(axes)], ids=name)
def test_options(axes, options, dtype, device):
    small = (2 if "groups" in options else 1) * 2
    build = lambda nn: getattr(nn, f"Conv{axes}d")(small, 6, KERNELS[axes], **options)  # noqa: E731
    check(build, normal(3, small, *SHAPES[axes]), dtype=dtype, device=device)


OPTIONS_3D = [
    {}, {"stride": (1, 2, 2), "padding": (1, 0, 2)}, {"padding": "same", "dilation": (2, 1, 1), "bias": False},
    {"groups": 2, "padding": (0, 1, 1), "padding_mode": "reflect"}, {"padding": 1, "padding_mode": "circular"},
    {"padding": (1, 2, 0), "padding_mode": "replicate", "stride": 2, "dilation": (2, 1, 1)},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS_3D, ids=name)
def test_options_3d(options, dtype, device):
    check(lambda nn: nn.Conv3d(2, 4, KERNELS[3], **options), normal(3, 2, *SHAPES[3]), dtype=dtype, device=device)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_same_with_an_odd_number_pads_behind(mode, dtype):
    """An even kernel has no middle: of 3 entries, 1 goes before and 2 behind."""
    check(lambda nn: nn.Conv1d(2, 3, 4, padding="same", padding_mode=mode), normal(3, 2, 6), dtype=dtype)
    check(lambda nn: nn.Conv2d(1, 2, (2, 4), padding="same", padding_mode=mode), normal(3, 1, 3, 4), dtype=dtype)
    check(lambda nn: nn.Conv1d(2, 3, 2, padding="same", dilation=3, padding_mode=mode), normal(3, 2, 5), dtype=dtype)


@pytest.mark.parametrize(
    ("axes", "shape"),
    [
        (1, (4, 7)), (1, (0, 4, 7)), (1, (1, 4, 3)), (2, (4, 4, 5)), (2, (0, 4, 4, 5)), (2, (1, 4, 2, 3)),
        (3, (4, 2, 4, 3)), (3, (0, 4, 2, 4, 3)), (3, (1, 4, 2, 1, 3)),
    ],
    ids=str,
)  # fmt: skip
def test_shapes(axes, shape, dtype, device):
    """Without a batch axis, an empty batch, one sample, and an input that holds one window."""
    check(lambda nn: conv(nn, axes), normal(*shape), dtype=dtype, device=device)
    mode = {"padding": 1, "padding_mode": "circular"}
    check(lambda nn: conv(nn, axes, groups=2, **mode), normal(*shape), dtype=dtype, device=device)


@pytest.mark.parametrize(("groups", "outputs"), [(1, 5), (3, 3), (3, 6), (3, 9), (6, 6), (6, 12)])
def test_groups(groups, outputs, dtype):
    check(lambda nn: nn.Conv1d(6, outputs, 2, groups=groups), normal(3, 6, 4), dtype=dtype)
    check(lambda nn: nn.Conv2d(6, outputs, (2, 1), groups=groups), normal(2, 6, 3, 2), dtype=dtype)


def test_a_kernel_of_one_is_a_linear_layer_at_every_place():
    hand, linear = nn.Conv2d(3, 5, 1, dtype=np.float64), nn.Linear(3, 5, dtype=np.float64)
    linear.load_state_dict({"weight": hand.weight.data[:, :, 0, 0], "bias": hand.bias.data})
    x = normal(2, 3, 4, 6)
    np.testing.assert_allclose(hand(x), np.moveaxis(linear(np.moveaxis(x, 1, -1)), -1, 1), rtol=1e-14, atol=1e-14)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_any_sizes(data):
    axes = data.draw(st.integers(1, 2))
    each = st.tuples(*[st.integers(1, 3)] * axes)
    kernel, stride, dilation = data.draw(each), data.draw(each), data.draw(each)
    padding = data.draw(st.tuples(*[st.integers(0, 2)] * axes))
    groups, inner, outer = (data.draw(st.integers(1, 2)) for _ in range(3))
    more = data.draw(st.tuples(*[st.integers(0, 3)] * axes))
    spans = [max(d * (k - 1) + 1 - 2 * p, 1) for d, k, p in zip(dilation, kernel, padding, strict=True)]
    shape = [span + extra for span, extra in zip(spans, more, strict=True)]
    batch, seed = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 99))
    check(
        lambda nn: getattr(nn, f"Conv{axes}d")(
            groups * inner, groups * outer, kernel, stride, padding, dilation, groups
        ),
        normal(batch, groups * inner, *shape, seed=seed),
        seed=seed,
    )


EXACT = [
    (1, {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}),
    (1, {"padding": "same"}),
    (2, {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}),
    (2, {"padding": 1, "padding_mode": "reflect", "groups": 2}),
    (2, {"padding": 2, "padding_mode": "circular"}),
    (2, {"padding": (3, 1), "padding_mode": "replicate"}),
    (3, {"stride": (1, 2, 2), "padding": 1}),
]


@pytest.mark.parametrize(("axes", "options"), EXACT, ids=name)
def test_exact_on_integers(axes, options):
    check_exact(lambda nn: conv(nn, axes, **options), np.round(3 * normal(3, 4, *SHAPES[axes])))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_against_plain_loops(axes, groups):
    """Bit for bit, on integers: y, dL/dx and dL/dweight are the formula's sums."""
    random = np.random.default_rng(axes)
    windows = {"stride": (2, 1, 2)[:axes], "padding": (1, 2, 0)[:axes], "dilation": (1, 2, 1)[:axes]}
    hand = getattr(nn, f"Conv{axes}d")(4, 6, KERNELS[axes], groups=groups, bias=False, dtype=np.float64, **windows)
    hand.weight.data = random.integers(-4, 5, hand.weight.shape).astype(float)
    x = random.integers(-4, 5, (3, 4, *SHAPES[axes])).astype(float)
    y, saved = hand.forward(x)
    g = random.integers(-4, 5, y.shape).astype(float)
    grad_x = hand.backward(g, saved)
    expected = naive.conv(x, hand.weight.data, g, groups=groups, **windows)
    for mine, loops in zip((y, grad_x, hand.weight.grad), expected, strict=True):
        assert np.array_equal(mine, loops)


def test_nan_and_infinity_stay_in_their_windows(dtype):
    """A product by zero would spread a NaN over the whole output; a window has only its own entries."""
    x = normal(1, 2, 9)
    x[0, 0, 3], x[0, 1, 7] = np.nan, np.inf
    x = x.astype(dtype)
    y = nn.Conv1d(2, 3, 2, padding=1, dtype=dtype)(x)
    assert np.isnan(y).any(axis=(0, 1)).tolist() == [i in (3, 4) for i in range(10)]
    assert np.isinf(y).any(axis=(0, 1)).tolist() == [i in (7, 8) for i in range(10)]


def test_what_no_window_takes_has_the_gradient_plus_zero():
    hand = nn.Conv1d(1, 1, 1, stride=3, dtype=float)
    _, saved = hand.forward(normal(2, 1, 6))
    grad = hand.backward(normal(2, 1, 2), saved)
    assert not np.signbit(grad[:, :, [1, 2, 4, 5]]).any()
    assert not grad[:, :, [1, 2, 4, 5]].any()
