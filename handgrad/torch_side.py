"""Autograd's side of an experiment; sides.py has the same class for the hand-written one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import torch_impl.networks as networks
from handgrad.data import Data
from handgrad.errors import UsageError
from handgrad.experiment import Experiment, Loss, Network, State
from handgrad.sides import build, loss_arguments
from handgrad.weights import from_network, to_network
from torch_impl.device import full_precision, pick_device
from torch_impl.objective import Objective
from torch_impl.trainer import Trainer

Array = np.ndarray[Any, np.dtype[Any]]


def choose_device(name: str, dtype: str) -> torch.device:
    """Return the device called `name` for this dtype; UsageError where it cannot be used."""
    try:
        return pick_device(name, getattr(torch, dtype))
    except ValueError as error:
        raise UsageError(str(error)) from None


def predict(network: Network, state: Mapping[str, Array], inputs: Array, dtype: str, device: torch.device) -> Array:
    """Return the outputs (N, outputs) of a trained network for inputs (N, F), with torch."""
    module: nn.Module = build(networks, network, False, getattr(torch, dtype)).to(device)
    named = to_network(state, network, np.dtype(dtype))
    module.load_state_dict({name: torch.tensor(value) for name, value in named.items()})
    with torch.no_grad():
        return _to_numpy(module(torch.tensor(inputs, dtype=getattr(torch, dtype), device=device)))


class TorchSide:
    """An experiment's network, samples and trainer with autograd, on a device."""

    name = "torch"

    def __init__(
        self,
        experiment: Experiment,
        data: Data,
        state: Mapping[str, Array],
        device: torch.device | str = "cpu",
        dtype: str | None = None,
    ) -> None:
        full_precision()
        self.experiment = experiment
        self.dtype: torch.dtype = getattr(torch, experiment.dtype if dtype is None else dtype)
        self.device = torch.device(device)
        network = build(networks, experiment.network, experiment.from_logits, self.dtype)
        self.network: nn.Module = network.to(self.device)
        self.objective = Objective(*loss_arguments(experiment.loss, experiment.from_logits))
        optimizer = torch.optim.SGD(self.network.parameters(), lr=experiment.lr)
        self.trainer = Trainer(self.network, self.objective, optimizer)
        self.inputs, self.targets = self._tensor(data.inputs), self._tensor(data.targets)
        self.load(state)
        self.parameters = list(self.network.parameters())

    def _tensor(self, values: Array) -> Tensor:
        # torch.tensor copies; torch.from_numpy would share memory with the other side.
        return torch.tensor(values, dtype=self.dtype, device=self.device)

    def load(self, state: Mapping[str, Array]) -> None:
        """Copy weights in, from torch's keys."""
        named = to_network(state, self.experiment.network, np.dtype(np.float64))  # exact; _tensor narrows it
        self.network.load_state_dict({name: self._tensor(value) for name, value in named.items()})

    def state(self) -> State:
        """Return copies of the weights under torch's keys."""
        own = {name: value.detach().cpu().numpy().copy() for name, value in self.network.state_dict().items()}
        return from_network(own, self.experiment.network)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the network's own parameter names with their shapes, in order."""
        return {name: tuple(parameter.shape) for name, parameter in self.network.named_parameters()}

    def load_flat(self, vector: Array) -> None:
        """Copy all parameters in from one vector, in the order of `shapes`."""
        flat, start = self._tensor(vector), 0
        with torch.no_grad():
            for parameter in self.parameters:
                parameter.copy_(flat[start : start + parameter.numel()].reshape(parameter.shape))
                start += parameter.numel()

    def flat_parameters(self) -> Array:
        """Return all parameters as one vector."""
        return _to_numpy(torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters]))

    def flat_gradients(self) -> Array:
        """Return the gradients of the last step as one vector; a parameter that was not used has zeros."""
        grads = (torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters)
        return _to_numpy(torch.cat([grad.reshape(-1) for grad in grads]))

    def step(self, rows: Array) -> float:
        """Train on these rows and return the loss before the update."""
        index = torch.as_tensor(rows, device=self.device)
        return float(self.trainer.step(self.inputs[index], self.targets[index]))

    def report(self, loss: Loss) -> float:
        """Return `loss` over all samples."""
        if self.experiment.from_logits and loss.kind != "cross_entropy":
            with torch.no_grad():
                outputs = torch.sigmoid(self.network(self.inputs))
                return float(Objective(*loss_arguments(loss, False))(outputs, self.targets))
        objective = Objective(*loss_arguments(loss, self.experiment.from_logits))
        return float(self.trainer.evaluate(self.inputs, self.targets, objective))

    def predict(self, inputs: Array) -> Array:
        """Return the outputs (N, outputs) for inputs (N, F): probabilities where the network ends in a sigmoid."""
        with torch.no_grad():
            outputs: Tensor = self.network(self._tensor(inputs))
            return _to_numpy(torch.sigmoid(outputs) if self.experiment.from_logits else outputs)


def _to_numpy(tensor: Tensor) -> Array:
    array: Array = tensor.cpu().numpy()
    return array
