"""Autograd's side of an experiment; sides.py has the same class for the hand-written one."""

import copy
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import torch_impl.networks as networks
from handgrad.both_sides import (
    CHUNK,
    Scheduled,
    Snapshot,
    each_leaf,
    in_chunks,
    loss_arguments,
    optimizer_state,
    restore_optimizer,
    shared_by,
)
from handgrad.build import build
from handgrad.data import Data
from handgrad.errors import UsageError
from handgrad.experiment import Experiment, Loss, Network, State
from handgrad.processes import ALONE, Processes
from handgrad.tensors import as_tensor, to_array, to_numpy
from handgrad.weights import from_network, to_network
from torch_impl.batches import Batches, to_tensor
from torch_impl.device import FULL_PRECISION, full_precision, pick_device, report
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
    module: nn.Module = build(networks, network, False, dtype=getattr(torch, dtype)).to(device)
    named = to_network(state, network, np.dtype(dtype))
    module.load_state_dict({name: torch.tensor(value) for name, value in named.items()})
    with torch.no_grad():
        return to_numpy(module(to_tensor(inputs, getattr(torch, dtype), device)))


class TorchSide(Scheduled):
    """An experiment's network, samples and trainer with autograd, on a device.

    One of several `processes` differentiates its share of every batch; DistributedDataParallel, through which the
    trainer sees the network, averages the gradients.
    """

    name = "torch"
    trainer: Trainer

    def __init__(
        self,
        experiment: Experiment,
        data: Data,
        state: Mapping[str, Array],
        device: torch.device | str = "cpu",
        dtype: str | None = None,
        processes: Processes = ALONE,
    ) -> None:
        full_precision()
        self.experiment, self.processes = experiment, processes
        self.dtype: torch.dtype = getattr(torch, experiment.dtype if dtype is None else dtype)
        self.device = torch.device(device)
        network = build(networks, experiment.network, experiment.from_logits, dtype=self.dtype)
        self.network: nn.Module = network.to(self.device)
        self.objective = Objective(*loss_arguments(experiment.loss, experiment.from_logits))
        optimizer = experiment.optimizer.build(torch.optim, self.network.parameters(), experiment.lr)
        self.trainer = Trainer(self.network, self.objective, optimizer, experiment.max_norm)
        self.scheduler = None
        if experiment.scheduler is not None:
            self.scheduler = experiment.scheduler.build(torch.optim.lr_scheduler, optimizer)
        self.batches = Batches(data.inputs, data.targets, self.dtype, self.device)
        self.load(state)
        if processes.world > 1:
            self.trainer.network = DistributedDataParallel(self.network)
        self.named: list[tuple[str, nn.Parameter]] = list(self.network.named_parameters())
        self.parameters = [parameter for _, parameter in self.named]

    @property
    def inputs(self) -> Tensor:
        """All inputs, on the device; a step brings its own rows there and no others."""
        return self.batches.whole[0]

    @inputs.setter
    def inputs(self, values: Tensor) -> None:
        self.batches.replace(values, self.batches.targets)

    @property
    def targets(self) -> Tensor:
        """All targets, on the device."""
        return self.batches.whole[1]

    @targets.setter
    def targets(self, values: Tensor) -> None:
        self.batches.replace(self.batches.inputs, values)

    def _tensor(self, values: Array) -> Tensor:
        return to_tensor(values, self.dtype, self.device)

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
        return {name: tuple(parameter.shape) for name, parameter in self.named}

    def load_flat(self, vector: Array) -> None:
        """Copy all parameters in from one vector, in the order of `shapes`."""
        flat, start = self._tensor(vector), 0
        with torch.no_grad():
            for parameter in self.parameters:
                parameter.copy_(flat[start : start + parameter.numel()].reshape(parameter.shape))
                start += parameter.numel()

    def flat_parameters(self) -> Array:
        """Return all parameters as one vector."""
        return to_numpy(torch.cat([parameter.detach().reshape(-1) for parameter in self.parameters]))

    def flat_gradients(self) -> Array:
        """Return the gradients of the last step as one vector; a parameter that was not used has zeros."""
        grads = (torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters)
        return to_numpy(torch.cat([grad.reshape(-1) for grad in grads]))

    def expect(self, rows: Array) -> None:
        """Start to bring these rows to the device, where they do not lie yet, for the step that comes next."""
        self.batches.expect(self._own(rows))

    def step(self, rows: Array) -> Tensor:
        """Train on these rows and return the loss before the update, still on its device: reading it waits for it."""
        loss = self._differentiate(rows)
        self.trainer.update()
        return loss

    def _differentiate(self, rows: Array) -> Tensor:
        """Return the loss, of several processes this one's share times their number, which `read` makes good."""
        if self.experiment.accumulate == self.processes.world == 1:
            return self.trainer.gradients(*self.batches.take(rows))
        index = torch.as_tensor(rows, device="cpu")  # where the targets lie: there is nothing to wait for
        # DistributedDataParallel takes the mean over the processes: times their number it is the sum of the shares.
        count = self.objective.count(self.batches.targets[index]) / self.processes.world
        if len(self.processes.share(rows)) == 0:  # the others wait for this one's gradients: it gives zeros
            count = math.inf
        self.trainer.optimizer.zero_grad()
        batch = (tensor.tensor_split(self.experiment.accumulate) for tensor in self.batches.take(self._own(rows)))
        *others, last = [(x, t) for x, t in zip(*batch, strict=True) if len(t)]
        network = self.trainer.network
        with network.no_sync() if isinstance(network, DistributedDataParallel) else nullcontext():
            shares = [self.trainer.add_gradients(x, t, count) for x, t in others]
        shares.append(self.trainer.add_gradients(*last, count))
        return sum(shares[1:], shares[0])

    def _own(self, rows: Array) -> Array:
        """Return this process's share of a batch, and where it has none one row, which will weigh nothing."""
        share = self.processes.share(rows)
        return share if len(share) else rows[:1]

    @property
    def at_once(self) -> bool:
        """Whether a loss can be read without waiting for the device, or for other processes."""
        return self.device.type == "cpu" and self.processes.world == 1

    def describe(self) -> str:
        """Return what computes, for people."""
        threads = f"{torch.get_num_threads()} threads{shared_by(self.processes)}"
        return f"PyTorch on {self.device}, {threads}, {FULL_PRECISION}"

    @property
    def on(self) -> str:
        """The device, as --device names it."""
        return str(self.device)

    def device_report(self) -> dict[str, Any]:
        """Return what the device is and how it computes, as plain values."""
        return report(self.device)

    def read(self, losses: Sequence[Tensor]) -> list[float]:
        """Return the losses that steps have returned, as numbers, fetched and summed over the processes at once."""
        if not losses:
            return []
        shares = to_numpy(torch.stack(list(losses))).astype(np.float64)
        return [float(loss) for loss in self.processes.sum(shares) / self.processes.world]

    def generators(self) -> dict[str, Any]:
        """Return the state of torch's generators that this side draws from, as arrays."""
        found = {"cpu": torch.get_rng_state().numpy().copy()}
        if self.device.type == "cuda":
            found["cuda"] = torch.cuda.get_rng_state(self.device).numpy().copy()
        return found

    def restore_generators(self, states: Mapping[str, Any]) -> None:
        """Let the generators go on from a state."""
        torch.set_rng_state(torch.tensor(states["cpu"]))
        if self.device.type == "cuda" and "cuda" in states:
            torch.cuda.set_rng_state(torch.tensor(states["cuda"]), self.device)

    def gradients(self, rows: Array) -> State:
        """Return the loss on these rows, every gradient by its parameter's name, and the buffers; no update is made."""
        found = {"loss": to_numpy(self._differentiate(rows))}
        for name, parameter in self.named:
            grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            found[f"d_L_d_{name}"] = to_numpy(grad).copy()
        return found | {name: to_numpy(buffer).copy() for name, buffer in self.network.named_buffers()}

    def update(self, gradients: Mapping[str, Array]) -> State:
        """Update by these gradients; return parameters and the optimizer's state, by name."""
        for name, parameter in self.named:
            parameter.grad = self._tensor(gradients[f"d_L_d_{name}"])
        self.trainer.update()
        return self.moved()

    def moved(self) -> State:
        """Return what an update moves, by name: the parameters, and the optimizer's state of each."""
        found = {name: to_numpy(p.detach()).copy() for name, p in self.named}
        return found | optimizer_state(list(found), each_leaf(to_array, self.trainer.optimizer.state_dict()))

    def snapshot(self) -> Snapshot:
        """Return copies of all that the next step depends on, as arrays."""
        scheduler = {} if self.scheduler is None else copy.deepcopy(self.scheduler.state_dict())
        states = (self.network.state_dict(), self.trainer.optimizer.state_dict(), scheduler)
        return Snapshot(*(each_leaf(to_array, state) for state in states))

    def restore(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of either side."""
        self.network.load_state_dict({name: self._tensor(value) for name, value in snapshot.network.items()})
        saved = each_leaf(as_tensor, snapshot.optimizer)
        restore_optimizer(self.trainer.optimizer, saved, lambda value, loaded: value.to(loaded.device))
        if self.scheduler is not None:
            self.scheduler.load_state_dict(copy.deepcopy(snapshot.scheduler))

    def report(self, loss: Loss) -> float:
        """Return `loss` over all samples that are trained on."""
        if loss.kind == "classes":
            return self._in_chunks(self.batches.inputs, self.batches.targets, loss)
        return self._over(self.inputs, self.targets, loss)

    def evaluate(self, inputs: Array, targets: Array, loss: Loss) -> float:
        """Return `loss` over other samples."""
        if loss.kind == "classes":
            x, t = (to_tensor(values, self.dtype, "cpu") for values in (inputs, targets))
            return self._in_chunks(x, t, loss)
        return self._over(self._tensor(inputs), self._tensor(targets), loss)

    @torch.no_grad()
    def _in_chunks(self, inputs: Tensor, targets: Tensor, loss: Loss) -> float:
        """Return a loss over samples on the host, of which the device holds CHUNK at a time."""
        total = Objective(*loss_arguments(replace(loss, factor=1.0, reduction="sum"), False))
        on = self.device
        return in_chunks(loss, inputs, targets, lambda x, t: float(total(self.network(x.to(on)), t.to(on))))

    @torch.no_grad()
    def _over(self, inputs: Tensor, targets: Tensor, loss: Loss) -> float:
        if self.experiment.from_logits and loss.kind != "cross_entropy":
            outputs = torch.sigmoid(self.network(inputs))
            return float(Objective(*loss_arguments(loss, False))(outputs, targets))
        objective = Objective(*loss_arguments(loss, self.experiment.from_logits))
        return float(objective(self.network(inputs), targets))

    def predict(self, inputs: Array) -> Array:
        """Return the outputs (N, outputs) for inputs (N, F): probabilities where the network ends in a sigmoid."""
        with torch.no_grad():
            if self.experiment.loss.kind == "classes":
                parts = (self._tensor(inputs[start : start + CHUNK]) for start in range(0, len(inputs), CHUNK))
                return np.concatenate([to_numpy(self.network(part)) for part in parts])
            outputs: Tensor = self.network(self._tensor(inputs.astype(np.float64)))
            return to_numpy(torch.sigmoid(outputs) if self.experiment.from_logits else outputs)

    def ends(self, rows: Array, loss: Loss) -> State:
        """Return the outputs for some of the samples, and a loss over them."""
        inputs, targets = self.batches.take(rows)
        with torch.no_grad():
            logits = self.network(inputs)
            outputs = torch.sigmoid(logits) if self.experiment.from_logits else logits
            objective = Objective(*loss_arguments(loss, self.experiment.from_logits))
            value = objective(logits if loss.kind == "cross_entropy" else outputs, targets)
        return {"outputs": to_numpy(outputs), "reported loss": to_numpy(value)}
