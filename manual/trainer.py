"""One step of training by hand: forward, loss, backward, update."""

import math
from functools import cached_property

import numpy as np

from manual.module import Array, Module
from manual.nn.utils import clip_grad_norm_
from manual.objective import Objective
from manual.optim import Optimizer


class Trainer:
    """Trains `network` on `objective` with `optimizer`, one batch a step.

    With `max_norm` the gradients are clipped to that norm before the update. The twin in torch_impl has the same
    methods; there `loss.backward()` stands where here every gradient is handed down by hand.
    """

    def __init__(
        self, network: Module, objective: Objective, optimizer: Optimizer, max_norm: float | None = None
    ) -> None:
        self.network, self.objective, self.optimizer = network, objective, optimizer
        self.max_norm = max_norm

    def step(self, inputs: Array, targets: Array) -> Array:
        """Return the loss before the update; each parameter keeps this step's gradient in `.grad`."""
        loss = self.gradients(inputs, targets)
        self.update()
        return loss

    def gradients(self, inputs: Array, targets: Array) -> Array:
        """Return the loss, and leave each parameter's gradient in its `.grad`; nothing is updated."""
        self.optimizer.zero_grad()
        return self._differentiate(self.objective, 1, inputs, targets)

    def add_gradients(self, inputs: Array, targets: Array, count: float) -> Array:
        """Return the share of these samples in the loss of a larger batch, and add its gradient to `.grad`.

            L = factor / count * sum over all  =  sum over the parts of (factor / count * sum over one part)

        `count` is what the mean over the whole batch divides by, `objective.count(all targets)`. The shares of all
        parts add up to the loss, and so do their gradients, whatever the sizes of the parts; means of parts would
        weigh each sample of a small part more.
        """
        return self._differentiate(self.total, count, inputs, targets)

    def _differentiate(self, objective: Objective, count: float, inputs: Array, targets: Array) -> Array:
        output, saved = self.network.forward(inputs)
        loss, saved_loss = objective.forward(output, targets)
        share = 1.0 / count if count else math.nan  # the mean of nothing, as in torch
        grad_output, _ = objective.backward(share, saved_loss)
        self.network.backward(grad_output, saved, input_grad=False)
        return np.asarray(loss * output.dtype.type(share))

    @cached_property
    def total(self) -> Objective:
        """The objective as a sum over samples, where it is a mean."""
        return Objective(self.objective.kind, self.objective.factor, "sum")

    def update(self) -> None:
        """Clip the gradients where that is asked for, and move the parameters."""
        if self.max_norm is not None:
            clip_grad_norm_(self.network.parameters(), self.max_norm)
        self.optimizer.step()

    def evaluate(self, inputs: Array, targets: Array, objective: Objective) -> Array:
        """Return `objective` of the network on these samples, without a step."""
        value: Array = objective(self.network(inputs), targets)
        return value
