"""Neuron and NeuronNetwork against their twins."""

import numpy as np
import pytest
import torch

import manual.networks as by_hand
import torch_impl.networks as with_autograd
from parity_tests.parity import check_module, normal


@pytest.mark.parametrize("shape", [(3, 4), (4,), (2, 3, 4), (0, 4)], ids=str)
def test_neuron(shape, dtype, device):
    twins = by_hand.Neuron([0.0] * 4, 0.0), with_autograd.Neuron([0.0] * 4, 0.0)
    check_module(*twins, normal(*shape), dtype=dtype, device=device)


@pytest.mark.parametrize("shape", [(3, 2), (2,), (4, 3, 2)], ids=str)
def test_neuron_network(shape, dtype, device):
    check_module(by_hand.NeuronNetwork(), with_autograd.NeuronNetwork(), normal(*shape), dtype=dtype, device=device)


def test_the_three_neurons_have_parameters_of_their_own():
    network = by_hand.NeuronNetwork([0, 1], 0)
    assert len({id(p) for p in network.parameters()}) == 6
    assert not np.shares_memory(network.h1.weight.data, network.h2.weight.data)


def test_takes_lists_and_integers_as_the_tutorial_writes_them():
    assert by_hand.Neuron([0, 1], 4).feedforward([2, 3]) == 0.9990889488055994
    assert by_hand.NeuronNetwork().feedforward([2, 3]) == pytest.approx(0.7216325609518421, rel=1e-15)


@pytest.mark.parametrize("inputs", [[2.0, 3.0, 4.0], [23.0]])
def test_wrong_number_of_inputs(inputs):
    """[23] is what is left of the tutorial's [2, 3] without its comma."""
    with pytest.raises(ValueError, match="2 weights"):
        by_hand.Neuron([0, 1], 4).feedforward(inputs)
    with pytest.raises(RuntimeError):
        with_autograd.Neuron([0.0, 1.0], 4.0)(torch.tensor(inputs, dtype=torch.float64))


def test_no_hidden_neuron_is_asked_for_an_input_gradient_that_nobody_reads(monkeypatch):
    asked = []
    right = by_hand.Neuron.backward

    def backward(self, grad_output, saved, *, input_grad=True):
        asked.append(input_grad)
        return right(self, grad_output, saved, input_grad=input_grad)

    monkeypatch.setattr(by_hand.Neuron, "backward", backward)
    network = by_hand.NeuronNetwork()
    y, saved = network.forward(normal(3, 2))
    network.backward(y, saved, input_grad=False)
    assert asked == [True, False, False]
