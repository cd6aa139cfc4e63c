"""One step of training with autograd: forward, loss, backward, update."""

import torch
from torch import Tensor, nn

from torch_impl.objective import Objective


class Trainer:
    """Trains `network` on `objective` with `optimizer`, one batch a step; the twin of manual.trainer.Trainer."""

    def __init__(self, network: nn.Module, objective: Objective, optimizer: torch.optim.Optimizer) -> None:
        self.network, self.objective, self.optimizer = network, objective, optimizer

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss before the update, still on its device; `.grad` keeps this step's gradients."""
        loss = self.gradients(inputs, targets)
        self.optimizer.step()
        return loss

    def gradients(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, and leave each parameter's gradient in its `.grad`; nothing is updated."""
        self.optimizer.zero_grad()
        loss: Tensor = self.objective(self.network(inputs), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def evaluate(self, inputs: Tensor, targets: Tensor, objective: Objective) -> Tensor:
        """Return `objective` of the network on these samples, without a step."""
        with torch.no_grad():
            value: Tensor = objective(self.network(inputs), targets)
        return value
