"""GLU, which halves an axis."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.parity import check, check_refused, normal


@pytest.mark.parametrize(
    ("shape", "dim"),
    [((4,), -1), ((2,), 0), ((3, 4), 1), ((4, 3), 0), ((4, 3), -2), ((2, 6, 3), 1), ((3, 0), -1), ((0, 4), 1)],
    ids=str,
)
def test_glu(shape, dim, dtype, device):
    check(lambda nn: nn.GLU(dim), 2 * normal(*shape), dtype=dtype, device=device)


def test_glu_takes_the_last_axis():
    check(lambda nn: nn.GLU(), normal(3, 2, 4))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=3), st.data(), st.integers(0, 99))
def test_glu_any_shape(shape, data, seed):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    shape[dim] *= 2
    check(lambda nn: nn.GLU(dim), 3 * normal(*shape, seed=seed), seed=seed)


@pytest.mark.parametrize(
    ("shape", "dim", "error", "match"),
    [
        ((), -1, ValueError, "a number has none"),
        ((3, 4), 0, ValueError, r"dim=0\) halves that axis of \(3, 4\).*even"),
        ((4, 5), -1, ValueError, r"even"),
        ((4, 4), 2, IndexError, r"dim=2\).*-2 to 1"),
        ((4, 4), -3, IndexError, r"dim=-3\)"),
        ((4, 4), 1.0, TypeError, "whole number"),
    ],
)
def test_glu_refuses(shape, dim, error, match):
    check_refused(lambda nn: nn.GLU(dim), normal(*shape), error=error, match=f"GLU.*{match}")


def test_the_gate_of_glu_at_its_ends():
    x = np.array([[3.0, np.inf, np.inf, np.nan, 2.0, -2.0], [np.inf, -np.inf, 1.0, 1.0, np.nan, -800.0]]).T.copy()
    upstream = normal(6, 1)
    t = torch.tensor(x, requires_grad=True)
    expected = torch.nn.GLU()(t)
    expected.backward(torch.tensor(upstream))
    y, saved = nn.GLU().forward(x)
    np.testing.assert_allclose(y, expected.detach().cpu().numpy(), rtol=1e-15)
    np.testing.assert_allclose(nn.GLU().backward(upstream, saved), t.grad.cpu().numpy(), rtol=1e-15)


def test_integers_are_refused():
    with pytest.raises(TypeError, match=r"GLU.*floats, not int64"):
        nn.GLU().forward(np.ones(4, int))
