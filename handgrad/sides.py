"""The hand-written side of an experiment; torch_side.py has the same class for autograd's."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import manual.networks as networks
from handgrad.data import Data
from handgrad.experiment import Experiment, Loss, Network, State
from handgrad.weights import from_network, to_network
from manual.module import Module, Parameter
from manual.nn.activation import sigmoid
from manual.objective import Objective
from manual.optim import SGD
from manual.trainer import Trainer

Array = np.ndarray[Any, np.dtype[Any]]


def build(networks: Any, network: Network, logits: bool, dtype: Any) -> Any:
    """Return the network that `network` names, from manual.networks or torch_impl.networks alike.

    Its weights are still to be loaded.
    """
    if network.name == "neuron":
        return networks.Neuron([0.0] * network.sizes[0], 0.0, dtype=dtype)
    if network.name == "neuron_network":
        return networks.NeuronNetwork(dtype=dtype)
    if network.name == "two_two_one":
        return networks.TwoTwoOne(dtype=dtype)
    logits = logits or network.output == "identity"
    if network.name == "perceptron":
        options = {"published": network.published, "logits": logits, "dtype": dtype}
        return networks.Perceptron(network.sizes[0], network.bias, **options)
    return networks.MLP(network.sizes, network.bias, logits=logits, dtype=dtype)


def loss_arguments(loss: Loss, logits: bool) -> tuple[str, float, str]:
    """Return the arguments of Objective for a convention, on outputs that are logits or not."""
    kind = "cross_entropy_from_logits" if loss.kind == "cross_entropy" and logits else loss.kind
    return kind, loss.factor, loss.reduction


def predict(network: Network, state: Mapping[str, Array], inputs: Array, dtype: str) -> Array:
    """Return the outputs (N, outputs) of a trained network for inputs (N, F), by hand."""
    module: Module = build(networks, network, False, np.dtype(dtype))
    module.load_state_dict(to_network(state, network, np.dtype(dtype)))
    outputs: Array = module(inputs.astype(dtype))
    return outputs


def _gradient(parameter: Parameter) -> Array:
    return np.zeros_like(parameter.data) if parameter.grad is None else parameter.grad


class ManualSide:
    """An experiment's network, samples and trainer by hand. `state` is in torch's keys, copied, never shared."""

    name = "manual"

    def __init__(self, experiment: Experiment, data: Data, state: Mapping[str, Array], dtype: Any = None) -> None:
        self.experiment = experiment
        self.dtype = np.dtype(experiment.dtype if dtype is None else dtype)
        self.network: Module = build(networks, experiment.network, experiment.from_logits, self.dtype)
        self.objective = Objective(*loss_arguments(experiment.loss, experiment.from_logits))
        self.trainer = Trainer(self.network, self.objective, SGD(self.network.parameters(), experiment.lr))
        self.inputs, self.targets = data.inputs.astype(self.dtype), data.targets.astype(self.dtype)
        self.load(state)
        self.parameters = list(self.network.parameters())

    def load(self, state: Mapping[str, Array]) -> None:
        """Copy weights in, from torch's keys."""
        self.network.load_state_dict(to_network(state, self.experiment.network, self.dtype))

    def state(self) -> State:
        """Return copies of the weights under torch's keys."""
        return from_network(self.network.state_dict(), self.experiment.network)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the network's own parameter names with their shapes, in order."""
        return {name: parameter.shape for name, parameter in self.network.named_parameters()}

    def load_flat(self, vector: Array) -> None:
        """Copy all parameters in from one vector, in the order of `shapes`."""
        vector = vector.astype(self.dtype)  # a copy, so that this side shares no memory with the other
        start = 0
        for parameter in self.parameters:
            size = parameter.data.size
            parameter.data = vector[start : start + size].reshape(parameter.shape)
            start += size

    def flat_parameters(self) -> Array:
        """Return all parameters as one vector."""
        return np.concatenate([parameter.data.reshape(-1) for parameter in self.parameters])

    def flat_gradients(self) -> Array:
        """Return the gradients of the last step as one vector; a parameter that was not used has zeros."""
        return np.concatenate([_gradient(p).reshape(-1) for p in self.parameters])

    def malformed(self) -> str | None:
        """Return the name of the first parameter whose gradient has another shape or dtype than it, or None."""
        for name, p in self.network.named_parameters():
            if (_gradient(p).shape, _gradient(p).dtype, p.dtype) != (p.shape, p.dtype, self.dtype):
                return name
        return None

    def step(self, rows: Array) -> float:
        """Train on these rows and return the loss before the update."""
        return float(self.trainer.step(self.inputs[rows], self.targets[rows]))

    def report(self, loss: Loss) -> float:
        """Return `loss` over all samples."""
        if self.experiment.from_logits and loss.kind != "cross_entropy":
            outputs = sigmoid(self.network(self.inputs))
            return float(Objective(*loss_arguments(loss, False))(outputs, self.targets))
        objective = Objective(*loss_arguments(loss, self.experiment.from_logits))
        return float(self.trainer.evaluate(self.inputs, self.targets, objective))

    def predict(self, inputs: Array) -> Array:
        """Return the outputs (N, outputs) for inputs (N, F): probabilities where the network ends in a sigmoid."""
        outputs: Array = self.network(inputs.astype(self.dtype))
        return sigmoid(outputs) if self.experiment.from_logits else outputs
