"""One step of training by hand: forward, loss, backward, update."""

from manual.module import Array, Module
from manual.objective import Objective
from manual.optim import Optimizer


class Trainer:
    """Trains `network` on `objective` with `optimizer`, one batch a step.

    The twin in torch_impl has the same methods; there `loss.backward()` stands where here every gradient is
    handed down by hand.
    """

    def __init__(self, network: Module, objective: Objective, optimizer: Optimizer) -> None:
        self.network, self.objective, self.optimizer = network, objective, optimizer

    def step(self, inputs: Array, targets: Array) -> Array:
        """Return the loss before the update; each parameter keeps this step's gradient in `.grad`."""
        loss = self.gradients(inputs, targets)
        self.optimizer.step()
        return loss

    def gradients(self, inputs: Array, targets: Array) -> Array:
        """Return the loss, and leave each parameter's gradient in its `.grad`; nothing is updated."""
        self.optimizer.zero_grad()
        output, saved = self.network.forward(inputs)
        loss, saved_loss = self.objective.forward(output, targets)
        grad_output, _ = self.objective.backward(1.0, saved_loss)
        self.network.backward(grad_output, saved, input_grad=False)
        return loss

    def evaluate(self, inputs: Array, targets: Array, objective: Objective) -> Array:
        """Return `objective` of the network on these samples, without a step."""
        value: Array = objective(self.network(inputs), targets)
        return value
