"""Every experiment, with every cell: between them they build every network there is."""

from collections.abc import Iterator

import torch
from torch import nn

from handgrad import experiments
from handgrad.experiment import Experiment
from handgrad.torch_side import TorchSide


def variants() -> Iterator[tuple[str, Experiment]]:
    """Yield each experiment by its name, and after it the same with each recurrent cell that it has."""
    for name in experiments.names():
        experiment = experiments.get(name)
        yield name, experiment
        yield from ((f"{name} {cell}", experiment.with_cell(cell)) for cell in experiment.cells)


def side(experiment: Experiment, device: torch.device | str, dtype: str | None = None) -> TorchSide:
    """Return autograd's side of an experiment at its start, on a device."""
    return TorchSide(experiment, experiment.data(), experiment.weights(0, experiment.network), device, dtype)


class Constant(nn.Module):
    """A network with a mistake: what it adds is made on the CPU, whatever the device."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the network gives, and 0 added."""
        y: torch.Tensor = self.network(x)
        return y + torch.zeros(y.shape[-1], dtype=y.dtype)
