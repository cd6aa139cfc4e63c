"""The hand-written side of an experiment; torch_side.py has the same class for autograd's."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import manual.networks as networks
import manual.optim
from handgrad.both_sides import (
    CHUNK,
    Scheduled,
    Snapshot,
    in_chunks,
    loss_arguments,
    optimizer_state,
    parts,
    restore_optimizer,
    shared_by,
)
from handgrad.build import build
from handgrad.data import Data
from handgrad.experiment import Experiment, Loss, Network, State
from handgrad.processes import ALONE, Processes
from handgrad.weights import from_network, to_network
from manual.module import Module, Parameter
from manual.nn.activation import sigmoid
from manual.objective import Objective
from manual.trainer import Trainer

Array = np.ndarray[Any, np.dtype[Any]]


def predict(network: Network, state: Mapping[str, Array], inputs: Array, dtype: str) -> Array:
    """Return the outputs (N, outputs) of a trained network for inputs (N, F), by hand."""
    module: Module = build(networks, network, False, dtype=np.dtype(dtype))
    module.load_state_dict(to_network(state, network, np.dtype(dtype)))
    outputs: Array = module(cast(inputs, dtype))
    return outputs


def cast(array: Array, dtype: Any) -> Array:
    """Return a copy of an array: floats in `dtype`, tokens and classes as they are."""
    return array.astype(dtype if array.dtype.kind == "f" else array.dtype)


def _gradient(parameter: Parameter) -> Array:
    return np.zeros_like(parameter.data) if parameter.grad is None else parameter.grad


class ManualSide(Scheduled):
    """An experiment's network, samples and trainer by hand. `state` is in torch's keys, copied, never shared.

    One of several `processes` differentiates its share of every batch; then the gradients and the loss are summed.
    """

    name = "manual"
    trainer: Trainer
    at_once = True  # a loss can be read as soon as the step has returned it

    def __init__(
        self,
        experiment: Experiment,
        data: Data,
        state: Mapping[str, Array],
        dtype: Any = None,
        processes: Processes = ALONE,
    ) -> None:
        self.experiment, self.processes = experiment, processes
        self.dtype = np.dtype(experiment.dtype if dtype is None else dtype)
        real = self.dtype if self.dtype.kind == "f" else np.dtype(np.float64)  # a side in complex numbers takes no step
        self.network: Module = build(networks, experiment.network, experiment.from_logits, dtype=real)
        self.objective = Objective(*loss_arguments(experiment.loss, experiment.from_logits))
        optimizer = experiment.optimizer.build(manual.optim, self.network.parameters(), experiment.lr)
        self.network.to(self.dtype)
        self.trainer = Trainer(self.network, self.objective, optimizer, experiment.max_norm)
        self.scheduler = None
        if experiment.scheduler is not None:
            self.scheduler = experiment.scheduler.build(manual.optim.lr_scheduler, optimizer)
        self.inputs, self.targets = cast(data.inputs, self.dtype), cast(data.targets, self.dtype)
        self.load(state)
        self.named: list[tuple[str, Parameter]] = list(self.network.named_parameters())
        self.parameters = [parameter for _, parameter in self.named]

    def load(self, state: Mapping[str, Array]) -> None:
        """Copy weights in, from torch's keys."""
        self.network.load_state_dict(to_network(state, self.experiment.network, self.dtype))

    def state(self) -> State:
        """Return copies of the weights under torch's keys."""
        return from_network(self.network.state_dict(), self.experiment.network)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the network's own parameter names with their shapes, in order."""
        return {name: parameter.shape for name, parameter in self.named}

    def load_flat(self, vector: Array) -> None:
        """Copy all parameters in from one vector, in the order of `shapes`."""
        vector = vector.astype(self.dtype)  # a copy, so that this side shares no memory with the other
        for parameter, values in zip(self.parameters, self._split(vector), strict=False):
            parameter.data = values

    def flat_parameters(self) -> Array:
        """Return all parameters as one vector."""
        return np.concatenate([parameter.data.reshape(-1) for parameter in self.parameters])

    def flat_gradients(self) -> Array:
        """Return the gradients of the last step as one vector; a parameter that was not used has zeros."""
        return np.concatenate([_gradient(p).reshape(-1) for p in self.parameters])

    def malformed(self) -> str | None:
        """Return the name of the first parameter whose gradient has another shape or dtype than it, or None."""
        for name, p in self.named:
            if (_gradient(p).shape, _gradient(p).dtype, p.dtype) != (p.shape, p.dtype, self.dtype):
                return name
        return None

    def expect(self, rows: Array) -> None:
        """Prepare for a step on these rows: nothing here, where they lie in memory."""

    def step(self, rows: Array) -> Array:
        """Train on these rows and return the loss before the update; of a malformed gradient no update is made."""
        loss = self._differentiate(rows)
        if self.malformed() is None:
            self.trainer.update()
        return loss

    def _differentiate(self, rows: Array) -> Array:
        if self.experiment.accumulate == self.processes.world == 1:
            return self.trainer.gradients(self.inputs[rows], self.targets[rows])
        count = self.objective.count(self.targets[rows])  # of the whole batch, not of this process's share
        self.trainer.optimizer.zero_grad()
        shares = [self._share(part, count) for part in parts(self.processes.share(rows), self.experiment.accumulate)]
        return self._summed(np.asarray(sum(shares, np.zeros((), self.dtype))))

    def _summed(self, loss: Array) -> Array:
        """Sum the gradients, and the loss that is returned, over all processes: as one vector, at once."""
        if self.processes.world == 1:
            return loss
        *gradients, total = self._split(self.processes.sum(np.append(self.flat_gradients(), loss)))
        for parameter, grad in zip(self.parameters, gradients, strict=True):
            parameter.grad = grad
        return total.reshape(())

    def _split(self, vector: Array) -> list[Array]:
        """Return what lies end to end in the order of `shapes`, and what is left behind it."""
        sizes = [parameter.data.size for parameter in self.parameters]
        *found, rest = np.split(vector, np.cumsum(sizes))
        return [*(part.reshape(p.shape) for part, p in zip(found, self.parameters, strict=True)), rest]

    def _share(self, rows: Array, count: float) -> Array:
        return self.trainer.add_gradients(self.inputs[rows], self.targets[rows], count)

    def describe(self) -> str:
        """Return what computes, for people."""
        return "NumPy on the CPU" + shared_by(self.processes)

    @property
    def on(self) -> str:
        """The device, as --device names it."""
        return "cpu"

    def device_report(self) -> dict[str, Any]:
        """Return what there is to say of the device; of the CPU, config.json's environment says it."""
        return {}

    def read(self, losses: Sequence[Array]) -> list[float]:
        """Return the losses that steps have returned, as numbers."""
        return [float(loss) for loss in losses]

    @property
    def _drawing(self) -> dict[str, Any]:
        return {name: module for name, module in self.network.named_modules() if hasattr(module, "generator")}

    def seed(self, seed: int) -> None:
        """Give every module that draws a generator of its own, from default_rng([seed, 3, its number])."""
        for number, module in enumerate(self._drawing.values()):
            module.generator = np.random.default_rng([seed, 3, number])

    def generators(self) -> dict[str, Any]:
        """Return the state of every generator that a module draws from, by the module's name."""
        return {name: module.generator.bit_generator.state for name, module in self._drawing.items()}

    def restore_generators(self, states: Mapping[str, Any]) -> None:
        """Let every generator go on from a state."""
        for name, state in states.items():
            self._drawing[name].generator.bit_generator.state = state

    def gradients(self, rows: Array) -> State:
        """Return the loss on these rows, every gradient by its parameter's name, and the buffers; no update is made."""
        found = {"loss": np.asarray(self._differentiate(rows))}
        found |= {f"d_L_d_{name}": _gradient(p).copy() for name, p in self.named}
        return found | {name: np.array(buffer) for name, buffer in self.network.named_buffers()}

    def update(self, gradients: Mapping[str, Array]) -> State:
        """Update by these gradients; return parameters and the optimizer's state, by name."""
        for name, parameter in self.named:
            parameter.grad = gradients[f"d_L_d_{name}"].astype(parameter.dtype)
        self.trainer.update()
        return self.moved()

    def moved(self) -> State:
        """Return what an update moves, by name: the parameters, and the optimizer's state of each."""
        found = {name: p.data.copy() for name, p in self.named}
        return found | optimizer_state(list(found), self.trainer.optimizer.state_dict())

    def snapshot(self) -> Snapshot:
        """Return copies of all that the next step depends on, as arrays."""
        scheduler = {} if self.scheduler is None else self.scheduler.state_dict()
        return Snapshot(self.network.state_dict(), self.trainer.optimizer.state_dict(), copy.deepcopy(scheduler))

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of either side."""
        self.network.load_state_dict(snapshot.network)
        restore_optimizer(self.trainer.optimizer, copy.deepcopy(snapshot.optimizer), lambda saved, _: saved)
        if self.scheduler is not None:
            self.scheduler.load_state_dict(copy.deepcopy(snapshot.scheduler))

    def report(self, loss: Loss) -> float:
        """Return `loss` over all samples that are trained on."""
        return self._over(self.inputs, self.targets, loss)

    def evaluate(self, inputs: Array, targets: Array, loss: Loss) -> float:
        """Return `loss` over other samples."""
        return self._over(cast(inputs, self.dtype), cast(targets, self.dtype), loss)

    def _over(self, inputs: Array, targets: Array, loss: Loss) -> float:
        if loss.kind == "classes":
            objective = Objective(*loss_arguments(replace(loss, factor=1.0, reduction="sum"), False))
            return in_chunks(loss, inputs, targets, lambda x, t: float(objective(self.network(x), t)))
        if self.experiment.from_logits and loss.kind != "cross_entropy":
            outputs = sigmoid(self.network(inputs))
            return float(Objective(*loss_arguments(loss, False))(outputs, targets))
        objective = Objective(*loss_arguments(loss, self.experiment.from_logits))
        return float(self.trainer.evaluate(inputs, targets, objective))

    def predict(self, inputs: Array) -> Array:
        """Return the outputs (N, outputs) for inputs (N, F): probabilities where the network ends in a sigmoid.

        Where there are classes it is their logits, asked for CHUNK samples at a time.
        """
        if self.experiment.loss.kind == "classes":
            parts = (inputs[start : start + CHUNK] for start in range(0, len(inputs), CHUNK))
            return np.concatenate([self.network(cast(part, self.dtype)) for part in parts])
        outputs: Array = self.network(inputs.astype(self.dtype))
        return sigmoid(outputs) if self.experiment.from_logits else outputs

    def ends(self, rows: Array, loss: Loss) -> State:
        """Return the outputs for some of the samples, and a loss over them."""
        logits = self.network(self.inputs[rows])
        outputs = sigmoid(logits) if self.experiment.from_logits else logits
        objective = Objective(*loss_arguments(loss, self.experiment.from_logits))
        value = objective(logits if loss.kind == "cross_entropy" else outputs, self.targets[rows])
        return {"outputs": outputs, "reported loss": np.asarray(value)}
