"""Perceptron against its twin, and the published rule against its formula."""

import numpy as np
import pytest
import torch

import manual.networks as by_hand
import torch_impl.networks as with_autograd
from manual.networks.perceptron import DoubleSigmoid
from manual.nn.activation import sigmoid
from parity_tests.parity import check_module, normal


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("logits", [True, False])
def test_perceptron(bias, logits, dtype, device):
    twins = [networks.Perceptron(4, bias, logits=logits) for networks in (by_hand, with_autograd)]
    check_module(*twins, normal(6, 4), dtype=dtype, device=device)


@pytest.mark.parametrize("scale", [0.1, 1.0, 8.0])
def test_double_sigmoid_has_the_published_derivative_on_both_sides(scale, dtype, device):
    """grad * s(a) (1 - s(a)) with a = s(z), and the value s(z) untouched."""
    z = (scale * normal(50)).astype(dtype)
    g = normal(50, seed=4).astype(dtype)
    a = sigmoid(z.astype(np.longdouble))
    formula = g * sigmoid(a) * (1 - sigmoid(a))
    hand = DoubleSigmoid()
    y, saved = hand.forward(z)
    tensor = torch.tensor(z, requires_grad=True, device=device)
    output = with_autograd.perceptron.DoubleSigmoid()(tensor)
    output.backward(torch.tensor(g, device=device))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(hand.backward(g, saved), formula.astype(dtype), rtol=8 * eps)
    np.testing.assert_allclose(tensor.grad.cpu().numpy(), formula.astype(dtype), rtol=8 * eps)
    assert np.array_equal(output.detach().cpu().numpy(), torch.sigmoid(tensor).detach().cpu().numpy())
    assert np.array_equal(y, sigmoid(z))
    right = g * y * (1 - y)
    assert not np.allclose(hand.backward(g, saved), right, rtol=1e-3), "the published rule is not the right one"


def test_double_sigmoid_without_the_input_gradient():
    assert DoubleSigmoid().backward(np.ones(3), np.full(3, 0.5), input_grad=False) is None
