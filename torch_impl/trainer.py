"""One step of training with autograd: forward, loss, backward, update."""

from functools import cached_property

import torch
from torch import Tensor, nn

from torch_impl.objective import Objective


class Trainer:
    """Trains `network` on `objective` with `optimizer`, one batch a step; the twin of manual.trainer.Trainer."""

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        max_norm: float | None = None,
    ) -> None:
        self.network, self.objective, self.optimizer = network, objective, optimizer
        self.max_norm = max_norm

    def step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss before the update, still on its device; `.grad` keeps this step's gradients."""
        loss = self.gradients(inputs, targets)
        self.update()
        return loss

    def gradients(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, and leave each parameter's gradient in its `.grad`; nothing is updated."""
        self.optimizer.zero_grad()
        loss: Tensor = self.objective(self.network(inputs), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def add_gradients(self, inputs: Tensor, targets: Tensor, count: float) -> Tensor:
        """Return the share of these samples in the loss of a larger batch, and add its gradient to `.grad`.

        `count` is what the mean over the whole batch divides by, `objective.count(all targets)`.
        """
        loss: Tensor = self.total(self.network(inputs), targets) / count
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    @cached_property
    def total(self) -> Objective:
        """The objective as a sum over samples, where it is a mean."""
        return Objective(self.objective.kind, self.objective.factor, "sum")

    def update(self) -> None:
        """Clip the gradients where that is asked for, and move the parameters."""
        if self.max_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.max_norm)
        self.optimizer.step()

    def evaluate(self, inputs: Tensor, targets: Tensor, objective: Objective) -> Tensor:
        """Return `objective` of the network on these samples, without a step."""
        with torch.no_grad():
            value: Tensor = objective(self.network(inputs), targets)
        return value
