"""NaN, infinities and huge numbers: as torch has them, without a warning."""

import numpy as np
import pytest
import torch

from manual import nn
from parity_tests.nn.activation.cases import ELEMENTWISE, build, exact, name_of

ENDS = [np.nan, np.inf, -np.inf, 1e30, -1e30, 800.0, -800.0, 100.0, -100.0, 1e-30, -1e-30]

# Where the numbers here are others, by choice: (name, arguments): {input: gradient}.
OTHER_SLOPES = {
    # torch composes Softsign: 0 is the limit of what it has a NaN for, and 1/801^2 what it is 2e-5 off of.
    ("Softsign",): {np.inf: 0.0, -np.inf: 0.0, **{x: 1 / (1 + abs(x)) ** 2 for x in (100.0, -100.0, 800.0, -800.0)}},
    ("GELU", "tanh"): {1e30: 1.0, -1e30: 0.0},  # torch squares x, which in float32 overflows: inf * 0
}


def torchs(case, value, dtype, copies):
    """torch's y and slope: of one number alone, or of many, which its fast path takes and may answer otherwise."""
    x = torch.full((copies,), value, dtype=getattr(torch, dtype), requires_grad=True)
    module = exact(case)(torch.nn).to(x.dtype)
    y = module(x)
    y.backward(torch.ones_like(y))
    return np.array([y[0].item(), x.grad[0].item()], dtype)


@pytest.mark.parametrize("case", ELEMENTWISE, ids=name_of)
def test_ends(case, dtype):
    module = build(case)(nn).to(dtype)
    x = np.array(ENDS, dtype)
    y, saved = module.forward(x)
    slopes = module.backward(np.ones_like(x), saved)
    for value, *found in zip(ENDS, y, slopes, strict=True):
        answers = [torchs(case, value, dtype, copies) for copies in (1, 16)]
        for own, other in OTHER_SLOPES.get(case, {}).items():
            if value == own:
                answers = [np.array([answer[0], other]) for answer in answers]
        # e^(x/a) with a < 0 grows, and with it the rounding of x/a.
        rtol = 8 * np.finfo(dtype).eps * (abs(value) if case == ("CELU", -1.75) and 1 < abs(value) < 1e3 else 1)
        # torch's GELU for x << 0 is 0, or what is left of a difference: 1e-30 is far below its rounding.
        fits = [np.allclose(found, answer, rtol=rtol, atol=1e-30, equal_nan=True) for answer in answers]
        assert any(fits), f"at {value}: {found} by hand, {answers} with torch"


@pytest.mark.parametrize("case", ELEMENTWISE, ids=name_of)
def test_every_end_stands_for_itself(case):
    """Each entry has one answer, whatever stands beside it."""
    module = build(case)(nn).to(np.float64)
    x = np.array(ENDS)
    y, saved = module.forward(x)
    grad = module.backward(np.ones_like(x), saved)
    for i in range(len(x)):
        alone, saved = module.forward(x[i : i + 1])
        np.testing.assert_array_equal(alone[0], y[i])
        np.testing.assert_array_equal(module.backward(np.ones(1), saved)[0], grad[i])
