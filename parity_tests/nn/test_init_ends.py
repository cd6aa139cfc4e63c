"""Initial values at the ends of what is taken: no number, an array that is fixed, a tail without end."""

import math
from unittest import mock

import numpy as np
import pytest
import torch

from manual import nn
from manual.nn import init


@pytest.mark.parametrize("value", [None, [1.0], "1"])
def test_a_constant_is_a_number(value):
    with pytest.raises(TypeError, match=r"constant_: val=.* is no number"):
        init.constant_(np.ones(2), value)
    with pytest.raises(TypeError):
        torch.nn.init.constant_(torch.ones(2), value)


def test_an_array_that_is_read_only():
    """A Parameter's is replaced, not written to."""
    fixed = np.ones((3, 4))
    fixed.flags.writeable = False
    for fill in (init.zeros_, init.normal_, init.orthogonal_, init.eye_):
        with pytest.raises(ValueError, match="this one is read-only; pass a copy"):
            fill(fixed)
    assert (init.zeros_(nn.Parameter(fixed)).data == 0).all()


@pytest.mark.parametrize(
    ("call", "says", "torchs"),
    [
        (lambda i, w: i.uniform_(w, -1.7e308, 1.6e308), r"not from -1.7e\+308 up to 1.6e\+308", RuntimeError),
        (lambda i, w: i.trunc_normal_(w, b=math.nan), "finds no numbers from a = -2.0 to b = nan", RuntimeError),
        (lambda i, w: i.calculate_gain("conv0d"), "'conv0d' has no gain", ValueError),
        (lambda i, w: i.calculate_gain("conv4d"), "'conv4d' has no gain", ValueError),
        (lambda i, w: i.calculate_gain("conv_transpose0d"), "'conv_transpose0d' has no gain", ValueError),
        (lambda i, w: i.calculate_gain("conv_transpose4d"), "'conv_transpose4d' has no gain", ValueError),
    ],
)
def test_refused_by_both(call, says, torchs):
    with pytest.raises(ValueError, match=says):
        call(init, np.ones((3, 4)))
    with pytest.raises(torchs):
        call(torch.nn.init, torch.ones(3, 4, dtype=torch.float64))


@pytest.mark.parametrize(
    "fill",
    [
        init.ones_,
        init.eye_,
        init.dirac_,
        init.uniform_,
        init.xavier_normal_,
        init.kaiming_uniform_,
        init.orthogonal_,
        lambda tensor: init.sparse_(tensor, 0.5),
    ],
)
@pytest.mark.parametrize(
    ("other", "kind"),
    [([[1.0, 2.0]], "list"), (np.ones((3, 4), int), "int64"), (np.ones((3, 4, 2), complex), "complex128")],
)
def test_what_is_no_array_of_floats(fill, other, kind):
    with pytest.raises(TypeError, match=f"a Parameter or an array of floats, not {kind}; pass"):
        fill(other)


@pytest.mark.parametrize("start", [math.inf, 1e200, 1e150])
def test_nothing_lies_that_far_out(start):
    with pytest.raises(ValueError, match=r"trunc_normal_ finds no numbers from a = (inf|1e\+200|1e\+150) to b = inf"):
        init.trunc_normal_(np.ones(2), 0, 1, start, math.inf)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("start", [1.0, 5.0, 50.0, 1e9])
def test_a_tail_without_end(start, sign):
    """From `start` to infinity the mean is the density there, over what lies beyond; nearly start + 1 / start."""
    bounds = sorted([sign * start, sign * math.inf])
    values = sign * init.trunc_normal_(np.empty(20000), a=bounds[0], b=bounds[1], generator=np.random.default_rng(7))
    assert (values >= start).all()
    beyond = math.erfc(start / math.sqrt(2)) / 2 if start < 30 else 0
    density = math.exp(-(start**2) / 2) / math.sqrt(2 * math.pi)
    mean = density / beyond if beyond else start + 1 / start
    assert values.mean() == pytest.approx(mean, abs=0.02 / start)


@pytest.mark.parametrize("bounds", [(0.7, math.inf), (-math.inf, -3.0)])
def test_what_a_tail_is_drawn_from(bounds):
    """From U up to where the density is e^-40 of its largest: a seed means the same values for good."""
    start = min(map(abs, bounds))
    reach = math.sqrt(start**2 + 80)
    first = np.random.default_rng(4).uniform(max(bounds[0], -reach), min(bounds[1], reach), 5000)
    values = init.trunc_normal_(np.empty(5000), a=bounds[0], b=bounds[1], generator=np.random.default_rng(4))
    assert 100 < (values == first).sum() < 1000


def test_the_likeliest_value_is_always_kept():
    """Even where the uniform number that decides is 0."""
    random = mock.Mock()
    random.uniform.side_effect = lambda low, high, count: np.full(count, low)
    random.random.side_effect = [np.zeros(3)]
    assert init.trunc_normal_(np.empty(3), a=1.5, b=2.0, generator=random).tolist() == [1.5] * 3
