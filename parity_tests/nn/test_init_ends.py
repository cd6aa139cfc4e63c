"""Initial values at the ends of what is taken: no number, an array that is fixed, a tail without end."""

import math

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


@pytest.mark.parametrize("start", [math.inf, 1e200])
def test_nothing_lies_that_far_out(start):
    with pytest.raises(ValueError, match=r"trunc_normal_ finds no numbers from a = (inf|1e\+200) to b = inf"):
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
