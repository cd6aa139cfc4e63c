"""The paddings against torch, and against the entries that they name."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_exact, check_refused, normal

KINDS = ["ZeroPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "CircularPad"]
COPYING = KINDS[2:]
SHAPES = {1: (5,), 2: (4, 5), 3: (3, 4, 5)}
# (before, after) of the last axis, then of the one before it.
PADDINGS = {
    1: [1, 0, -1, (2, 0), (0, 3), (3, 4), (-1, 2), (2, -1), (-2, 1), (-1, -2)],
    2: [1, 0, -1, (4, 2, 1, 3), (0, 1, 2, 0), (-1, 2, 1, -2), (2, -2, -1, 1), (0, -1, 0, 0)],
    3: [1, (2, 1, 0, 3, 1, 2), (-1, 2, 1, -1, 0, -1), (0, 0, 0, 0, 2, 0)],
}


def pad(kind, axes, padding):
    more = {"value": 1.25} if kind == "ConstantPad" else {}
    return lambda nn: getattr(nn, f"{kind}{axes}d")(padding, **more)


@pytest.mark.parametrize(("axes", "padding"), [(a, p) for a in (1, 2, 3) for p in PADDINGS[a]], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_padding(kind, axes, padding, dtype, device):
    longest = kind in ("ReplicationPad", "ZeroPad", "ConstantPad") or np.max(padding) < 4
    x = normal(2, 3, *SHAPES[axes]) if axes < 3 else normal(2, 1, *SHAPES[axes])
    check(pad(kind, axes, padding if longest else np.clip(padding, -9, 3).tolist()), x, dtype=dtype, device=device)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_shapes(kind, axes, dtype, device):
    """Without a batch axis, an empty batch, one entry left; and where torch takes it, no channels, and nothing left."""
    for shape in [(3, *SHAPES[axes]), (0, 3, *SHAPES[axes])]:
        check(pad(kind, axes, 2), normal(*shape), dtype=dtype, device=device)
    check(pad(kind, axes, -1), normal(2, 3, *(3,) * axes), dtype=dtype, device=device)
    if kind in ("ZeroPad", "ConstantPad", "CircularPad"):
        check(pad(kind, axes, 2), normal(2, 0, *SHAPES[axes]), dtype=dtype, device=device)
        check(pad(kind, axes, -1), normal(2, 3, *(2,) * axes), dtype=dtype, device=device)


@pytest.mark.parametrize("kind", ["ZeroPad", "ConstantPad", "ReplicationPad"])
def test_more_than_the_input_has(kind, dtype):
    check(pad(kind, 1, (7, 12)), normal(2, 3, 4), dtype=dtype)
    check(pad(kind, 1, (-4, 6)), normal(2, 3, 4), dtype=dtype)
    check(pad(kind, 2, (6, -4, 5, 9)), normal(2, 3, 1, 4), dtype=dtype)
    if kind == "ReplicationPad":  # the last entry is repeated even where it is cut off itself
        check(pad(kind, 1, (-6, 8)), normal(2, 3, 4), dtype=dtype)


def test_the_whole_input_may_go_round(dtype):
    check(pad("CircularPad", 2, (5, 5, 4, 4)), normal(2, 3, 4, 5), dtype=dtype)
    check(pad("CircularPad", 2, (-1, 4, 3, -1)), normal(2, 3, 4, 5), dtype=dtype)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.sampled_from(KINDS), st.data())
def test_any_padding(kind, data):
    axes = data.draw(st.integers(1, 2))
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * axes))
    ends: list[int] = []
    for size in reversed(shape):
        before = data.draw(st.integers(1 - size, size - 1))
        least = 1 - size - min(before, 0)  # one entry is left, and a circular padding has so many to copy
        most = size - 1 if kind != "CircularPad" or before > 0 else size + before
        ends += [before, data.draw(st.integers(least if before <= 0 else 0, most))]
    check(pad(kind, axes, tuple(ends)), normal(data.draw(st.integers(0, 2)), 2, *shape))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [1, 2])
def test_exact_on_integers(kind, axes):
    x = np.round(3 * normal(2, 3, *SHAPES[axes]))
    if kind == "ConstantPad":
        return check_exact(lambda nn: getattr(nn, f"ConstantPad{axes}d")(3, -2), x)
    return check_exact(pad(kind, axes, 3), x)


@pytest.mark.parametrize(
    ("kind", "padding", "row"),
    [
        ("ZeroPad", (2, 1), [0, 0, 1, 2, 3, 4, 0]),
        ("ReflectionPad", (2, 3), [3, 2, 1, 2, 3, 4, 3, 2, 1]),
        ("ReplicationPad", (2, 1), [1, 1, 1, 2, 3, 4, 4]),
        ("CircularPad", (2, 3), [3, 4, 1, 2, 3, 4, 1, 2, 3]),
        ("ReflectionPad", (-1, 2), [2, 3, 4, 3, 2]),
        ("ReplicationPad", (-3, 2), [4, 4, 4]),
        ("CircularPad", (-1, 2), [2, 3, 4, 2, 3]),
        ("CircularPad", (3, -1), [1, 2, 3, 1, 2, 3]),
    ],
)
def test_what_is_copied(kind, padding, row):
    y = pad(kind, 1, padding)(nn)(np.array([[1.0, 2, 3, 4]]))
    assert y[0].tolist() == row == pad(kind, 1, padding)(torch.nn)(torch.tensor([[1.0, 2, 3, 4]]))[0].cpu().tolist()


def test_a_copied_entry_gets_back_what_its_copies_got():
    hand = nn.ReflectionPad1d((2, 1))
    y, saved = hand.forward(np.array([[1.0, 2, 3]]))
    assert y.tolist() == [[3, 2, 1, 2, 3, 2]]
    assert hand.backward(np.array([[1.0, 10, 100, 1000, 1e4, 1e5]]), saved).tolist() == [[100, 101010, 10001]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [1, 2, 3])
class TestRefused:
    def test_arguments(self, kind, axes):
        who = f"^{kind}{axes}d"
        x = normal(2, 3, *SHAPES[axes])
        check_refused(pad(kind, axes, 1.0), x, error=TypeError, match=rf"{who}: padding=1\.0 is no whole number")
        check_refused(
            pad(kind, axes, (1,) * (2 * axes + 1)), x, error=ValueError, match=rf"{who}: padding=.* has {2 * axes + 1}"
        )
        check_refused(pad(kind, axes, "reflect"), x, error=TypeError, match=rf"{who}: padding='reflect'")

    def test_inputs(self, kind, axes):
        with pytest.raises(ValueError, match=rf"^{kind}{axes}d takes .* shape"):
            pad(kind, axes, 1)(nn).forward(normal(*(3,) * (axes + 3)))
        with pytest.raises(ValueError, match=rf"^{kind}{axes}d takes .* shape"):
            pad(kind, axes, 1)(nn).forward(normal(*(3,) * axes))
        with pytest.raises(TypeError, match=rf"^{kind}{axes}d computes with floats"):
            pad(kind, axes, 1)(nn).forward(np.ones((3,) * (axes + 1), dtype=int))

    def test_more_than_there_is_to_cut(self, kind, axes):
        says = "cuts more than" if kind not in ("ReflectionPad", "ReplicationPad") else "leaves nothing"
        check_refused(pad(kind, axes, -2), normal(3, *(3,) * axes), error=ValueError, match=says)
        if says == "leaves nothing":
            check_refused(pad(kind, axes, -1), normal(3, *(2,) * axes), error=ValueError, match=says)

    def test_empty_inputs(self, kind, axes):
        if kind in ("ReflectionPad", "ReplicationPad"):
            for shape in [(2, 0, *SHAPES[axes]), (2, 3, *SHAPES[axes][:-1], 0)]:
                check_refused(pad(kind, axes, 1), normal(*shape), error=ValueError, match="only the batch may be empty")


def test_more_than_there_is_to_copy():
    check_refused(pad("ReflectionPad", 1, 4), normal(3, 4), error=ValueError, match="of 4; it has 3")
    check_refused(pad("ReflectionPad", 2, (0, 0, 0, 3)), normal(2, 3, 5), error=ValueError, match="of 3; it has 2")
    check_refused(pad("ReflectionPad", 1, (-1, 4)), normal(3, 4), error=ValueError, match="of 4; it has 3")
    check_refused(pad("CircularPad", 1, (0, 5)), normal(3, 4), error=ValueError, match="with 4; give 4")
    check_refused(pad("CircularPad", 1, (5, 0)), normal(3, 4), error=ValueError, match="with 4; give 4")
    check_refused(pad("ZeroPad", 1, (-5, 6)), normal(3, 4), error=ValueError, match="cuts more than an axis of 4")
    check_refused(pad("ZeroPad", 1, (6, -5)), normal(3, 4), error=ValueError, match="cuts more than an axis of 4")


def test_a_cut_circle_has_only_what_is_left():
    """torch copies entries here that it has not written yet, and raises for some shapes alone."""
    for padding in [(-2, 4), (4, -2)]:
        with pytest.raises(ValueError, match="with 3; give 3"):
            nn.CircularPad1d(padding).forward(normal(3, 5))


def test_a_nan_is_copied_and_spreads_no_further(dtype):
    x = np.array([[1, np.nan, 3, np.inf]], dtype=dtype)
    for kind in KINDS:
        y = pad(kind, 1, 2)(nn)(x)
        assert np.array_equal(y, pad(kind, 1, 2)(torch.nn)(torch.tensor(x)).cpu().numpy(), equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_repr_is_torchs(kind):
    assert repr(pad(kind, 2, (1, 2, 0, 3))(nn)) == repr(pad(kind, 2, (1, 2, 0, 3))(torch.nn))


@pytest.mark.parametrize("kind", KINDS)
def test_the_output_is_a_new_array(kind):
    x = normal(3, 4)
    assert not np.shares_memory(pad(kind, 1, 0)(nn)(x), x)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_cut_off_has_the_gradient_plus_zero(kind):
    hand = pad(kind, 1, (-2, 1))(nn)
    _, saved = hand.forward(normal(3, 5))
    grad = hand.backward(-np.ones((3, 4)), saved)
    assert (grad[:, :2] == 0).all() or kind == "ReflectionPad"
    assert not np.signbit(grad[grad == 0]).any()
