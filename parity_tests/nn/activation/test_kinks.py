"""At a kink any slope between the two sides is right: the one that is taken is torch's."""

import numpy as np
import pytest
import torch

from manual import nn
from parity_tests.nn.activation.cases import KINKED, SMOOTH, build, exact, name_of

STEP = 1e-100


def torchs(case, x, upstream):
    t = torch.tensor(x, requires_grad=True)
    module = exact(case)(torch.nn).to(t.dtype)
    y = module(t)
    y.backward(torch.tensor(upstream))
    return y.detach().cpu().numpy(), t.grad.cpu().numpy()


def points(kinks, dtype):
    """The kinks as `dtype` has them, their neighbours, and both zeros: 20 of each, for torch's fast path."""
    at = np.array([*kinks, 0.0, -0.0], dtype=dtype)
    return np.repeat(np.concatenate([at, np.nextafter(at, at - 1), np.nextafter(at, at + 1)]), 20)


@pytest.mark.parametrize(("case", "kinks"), KINKED, ids=name_of)
def test_the_slope_at_a_kink_is_torchs(case, kinks, dtype):
    x = points(kinks, dtype)
    upstream = np.random.default_rng(3).normal(size=x.shape).astype(dtype)
    module = build(case)(nn).to(dtype)
    y, saved = module.forward(x)
    grad = module.backward(upstream, saved)
    expected, expected_grad = torchs(case, x, upstream)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, expected, rtol=2 * eps, atol=eps / 2)  # Hardsigmoid: x/6 + 1/2, or (x + 3)/6
    np.testing.assert_allclose(grad, expected_grad, rtol=2 * eps, atol=2 * eps)


@pytest.mark.parametrize(("case", "kinks"), [*KINKED, *((case, (0.0,)) for case in SMOOTH)], ids=name_of)
@pytest.mark.parametrize("step", [STEP, -STEP])
def test_forward_takes_the_same_side_as_backward(case, kinks, step):
    """A complex step stays on the side where the real part is, whatever the sign of the step."""
    x = np.array([*kinks, 0.0, -0.0, -2.2, 1.4])
    module = build(case)(nn).to(np.float64)
    _, saved = module.forward(x)
    grad = module.backward(np.ones_like(x), saved)
    found = module.to(np.complex128)(x + 1j * step).imag / step
    np.testing.assert_allclose(found, grad, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("case", "at", "slope"),
    [
        (("ReLU",), 0.0, 0),
        (("LeakyReLU", 0.3), 0.0, 0.3),
        (("PReLU", 1, 0.375), 0.0, 0.375),
        (("ELU", 0.6), 0.0, 0.6),
        (("SELU",), 0.0, 1.0507009873554805 * 1.6732632423543772),
        (("CELU", 0.625), 0.0, 1),
        (("ReLU6",), 0.0, 0),
        (("ReLU6",), 6.0, 0),
        (("Hardtanh",), -1.0, 0),
        (("Hardtanh",), 1.0, 0),
        (("Hardsigmoid",), -3.0, 0),
        (("Hardsigmoid",), 3.0, 0),
        (("Hardswish",), -3.0, 0),
        (("Hardswish",), 3.0, 1),
        (("Hardshrink",), 0.5, 0),
        (("Softshrink",), -0.5, 0),
        (("Threshold", 0.5, 2.0), 0.5, 0),
        (("Softsign",), 0.0, 1),
    ],
    ids=name_of,
)
def test_the_slopes_that_the_docstrings_state(case, at, slope):
    for zero in (at, -at) if at == 0 else (at,):
        x = np.array([zero])
        module = build(case)(nn).to(np.float64)
        _, saved = module.forward(x)
        assert module.backward(np.ones(1), saved) == pytest.approx(slope, rel=1e-15)
        assert torchs(case, x, np.ones(1))[1] == pytest.approx(slope, rel=1e-15)


@pytest.mark.parametrize(("case", "kinks"), KINKED, ids=name_of)
def test_an_upstream_gradient_that_is_not_finite_does_not_leak(case, kinks):
    """0 * inf is NaN: where nothing passes, the gradient is 0 whatever comes from above."""
    x = np.array([-1e3, -2.2, 0.05, 0.25, 1e3, *kinks])
    for upstream in (np.inf, np.nan):
        module = build(case)(nn).to(np.float64)
        _, saved = module.forward(x)
        grad = module.backward(np.full_like(x, upstream), saved)
        np.testing.assert_array_equal(grad, torchs(case, x, np.full_like(x, upstream))[1])
