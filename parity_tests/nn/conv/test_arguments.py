"""What the convolutions take and refuse, what they show, and their initial values."""

import numpy as np
import pytest
import torch

from manual import nn
from parity_tests.parity import check_refused, normal

KINDS = [f"{kind}{axes}d" for kind in ("Conv", "ConvTranspose") for axes in (1, 2, 3)]


@pytest.mark.parametrize("kind", KINDS)
def test_initial_values_have_torchs_distribution(kind):
    """Uniform in +-1/sqrt(weight.shape[1] prod(kernel_size)), weight and bias, on both sides."""
    torch.manual_seed(0)
    build = lambda nn, **more: getattr(nn, kind)(8, 512, 3, groups=2, **more)  # noqa: E731
    hand, theirs = build(nn, generator=np.random.default_rng(0)), build(torch.nn)
    bound = 1 / np.sqrt(np.prod(theirs.weight.shape[1:]))
    for name in ("weight", "bias"):
        mine, other = getattr(hand, name).data, getattr(theirs, name).detach().cpu().numpy()
        assert mine.dtype == np.float32
        assert mine.shape == other.shape
        for drawn in (mine, other):
            assert 0.98 * bound < drawn.max() <= bound
            assert -bound <= drawn.min() < -0.98 * bound
            assert drawn.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_means_the_same_weights_for_good(kind):
    """Straight from the generator, the weight before the bias."""
    hand, drawn = getattr(nn, kind)(4, 6, 2, dtype=float, generator=np.random.default_rng(4)), np.random.default_rng(4)
    bound = 1 / np.sqrt(np.prod(hand.weight.shape[1:]))
    assert np.array_equal(hand.weight.data, drawn.uniform(-bound, bound, hand.weight.shape))
    assert np.array_equal(hand.bias.data, drawn.uniform(-bound, bound, 6))
    assert not np.array_equal(getattr(nn, kind)(4, 6, 2).weight.data, getattr(nn, kind)(4, 6, 2).weight.data)


@pytest.mark.parametrize(
    "build",
    [
        lambda nn: nn.Conv1d(2, 4, 3),
        lambda nn: nn.Conv2d(2, 4, (3, 2), stride=2, padding=(1, 0), dilation=(2, 1), groups=2, bias=False),
        lambda nn: nn.Conv3d(2, 4, 3, padding="same", padding_mode="circular"),
        lambda nn: nn.ConvTranspose2d(2, 4, 3, stride=2, padding=1, output_padding=1, groups=2, dilation=2),
        lambda nn: nn.ConvTranspose1d(2, 4, 3),
    ],
)
def test_repr_is_torchs(build):
    assert repr(build(nn)) == repr(build(torch.nn))


def test_numbers_may_be_numpys_and_stand_in_lists():
    hand = nn.Conv2d(np.int64(2), 4, [np.int64(3), 2], stride=np.int32(2))
    assert hand.kernel_size == (3, 2)
    assert hand.stride == (2, 2)
    assert hand.weight.shape == (4, 2, 3, 2)


@pytest.mark.parametrize("kind", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("axes", [1, 2, 3])
class TestRefused:
    def layer(self, kind, axes, **options):
        given = {"in_channels": 4, "out_channels": 6, "kernel_size": 2} | options
        return lambda nn: getattr(nn, f"{kind}{axes}d")(**given)

    @pytest.mark.parametrize(
        ("options", "error", "says"),
        [
            ({"kernel_size": 0}, ValueError, "kernel_size=0 has a number below 1"),
            ({"kernel_size": -1}, ValueError, "kernel_size=-1 has a number below 1"),
            ({"kernel_size": 2.0}, TypeError, r"kernel_size=2\.0 is no whole number"),
            ({"kernel_size": (2,) * 4}, ValueError, r"kernel_size=\(2, 2, 2, 2\) has 4 numbers"),
            ({"stride": 0}, ValueError, "stride=0 has a number below 1"),
            ({"stride": (1,) * 4}, ValueError, "stride=.* has 4 numbers"),
            ({"dilation": 0}, ValueError, "dilation=0 has a number below 1"),
            ({"padding": -1}, ValueError, "padding=-1 has a number below 0"),
            ({"padding": (0,) * 4}, ValueError, "padding=.* has 4 numbers"),
            ({"padding": "full"}, (ValueError, TypeError), "padding='full'"),
            ({"groups": 0}, ValueError, "groups"),
            ({"groups": 3}, ValueError, r"\(4, 6\): 3 groups do not divide both"),
            ({"groups": 4}, ValueError, r"\(4, 6\): 4 groups do not divide both"),
            ({"out_channels": 0}, ValueError, r"out_channels=0 has a number below 1"),
            ({"in_channels": -1}, ValueError, r"in_channels=-1 has a number below 1"),
            ({"padding_mode": "constant"}, ValueError, "padding_mode='constant'"),
        ],
        ids=str,
    )
    def test_arguments(self, kind, axes, options, error, says):
        x = normal(3, 4, *(5,) * axes)
        check_refused(self.layer(kind, axes, **options), x, error=error, match=rf"^{kind}{axes}d.*{says}")

    def test_shapes(self, kind, axes):
        build = self.layer(kind, axes)
        for shape, says in [
            ((5,) * axes, rf"{axes} axes behind C.*shape"),
            ((1, 3, 4, *(5,) * axes), rf"{axes} axes behind C.*shape"),
            ((3, 5, *(5,) * axes), "4 input channels.*shape"),
            ((5, *(5,) * axes), "4 input channels.*shape"),
            ((3, 4, *(5,) * (axes - 1), 0), "only the batch may be empty"),
        ]:
            check_refused(build, normal(*shape), error=ValueError, match=rf"^{kind}{axes}d .*{says}")

    def test_dtypes(self, kind, axes):
        hand = self.layer(kind, axes)(nn)
        with pytest.raises(TypeError, match="float32 but was given float64"):
            hand.forward(normal(3, 4, *(5,) * axes))
        with pytest.raises(TypeError, match=f"{kind}{axes}d computes with floats"):
            hand.forward(np.ones((3, 4, *(5,) * axes), dtype=int))

    def test_a_device(self, kind, axes):
        with pytest.raises(NotImplementedError, match=f"{kind}{axes}d does not support device="):
            self.layer(kind, axes, device="cpu")(nn)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_windows_that_do_not_fit(axes):
    one_axis = {"kernel_size": (*(1,) * (axes - 1), 6)}
    for options in ({"kernel_size": 6}, one_axis, {"kernel_size": 3, "dilation": 3}, {"kernel_size": 8, "padding": 1}):
        build = lambda nn: getattr(nn, f"Conv{axes}d")(4, 6, **options)  # noqa: E731, B023
        check_refused(build, normal(3, 4, *(5,) * axes), error=ValueError, match=r"windows of .* do not fit")


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_same_has_no_stride(axes):
    build = lambda nn: getattr(nn, f"Conv{axes}d")(4, 6, 2, stride=2, padding="same")  # noqa: E731
    check_refused(build, normal(3, 4, *(5,) * axes), error=ValueError, match="'same' needs stride 1, not")


def test_padding_that_cuts_off_more_than_one_axis_has():
    build = lambda nn: nn.ConvTranspose2d(4, 6, 2, padding=(0, 4))  # noqa: E731
    check_refused(build, normal(3, 4, 5, 5), error=ValueError, match="cuts off more than")


def test_transposed_padding_modes_and_output_padding():
    x = normal(3, 4, 5)
    for mode in ("reflect", "replicate", "circular"):
        build = lambda nn: nn.ConvTranspose1d(4, 6, 2, padding_mode=mode)  # noqa: E731, B023
        check_refused(build, x, error=ValueError, match=f"padding_mode='{mode}'; it has 'zeros' alone")
    for options, says in [
        ({"output_padding": 1}, "output_padding=1 is not below stride 1 or dilation 1"),
        ({"output_padding": 3, "stride": 3, "dilation": 2}, "output_padding=3 is not below stride 3 or dilation 2"),
        ({"output_padding": -1, "stride": 3}, "output_padding=-1 has a number below 0"),
        ({"output_padding": (1, 1), "stride": 3}, "output_padding=.* has 2 numbers"),
        ({"padding": 4}, "padding=.* cuts off more"),
    ]:
        build = lambda nn: nn.ConvTranspose1d(4, 6, 2, **options)  # noqa: E731, B023
        check_refused(build, x, error=ValueError, match=says)


@pytest.mark.parametrize(
    ("mode", "padding", "says"),
    [
        ("reflect", 5, "reflection of .* at an axis of 5"),
        ("circular", 6, "from the other end of an axis with 5"),
        ("circular", -3, "cuts more than"),
        ("reflect", -3, "leaves nothing"),
        ("replicate", -3, "leaves nothing"),
    ],
)
def test_padding_that_the_input_does_not_give(mode, padding, says):
    build = lambda nn: nn.Conv1d(4, 6, 2, padding=padding, padding_mode=mode)  # noqa: E731
    check_refused(build, normal(3, 4, 5), error=ValueError, match=says)
