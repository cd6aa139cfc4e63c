"""What a finder sees when it looks for the cause of one wrong gradient, and what it proposes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from handgrad.checking.operations import Operation
from handgrad.checking.record import Array, Record, Tensor
from handgrad.checking.rules import Use


@dataclass(frozen=True, eq=False)
class Search:
    """The gradient of `name`, which is wrong: `given` is the user's, `expected` what it should be.

    `near` are the operations between the named tensors whose gradients are settled and this one, in order of
    computation. `current` has, by the tensor's identity, the gradients from which this one should follow; `use`
    gives an operation's right contributions there. `sizes` are the run's sizes by what they are.
    """

    record: Record
    name: str
    given: Array
    expected: Array
    near: list[Operation]
    current: dict[int, Tensor]
    sizes: dict[str, float]
    use: Callable[[Operation], Use]
    answers: Mapping[str, Array]  # all that the user gave, by name
    fit: float  # how close numbers are that are the same, relative to the largest

    @property
    def target(self) -> Tensor:
        return self.record.named[self.name]

    def up(self, tensor: Tensor) -> Tensor:
        """Return the gradient of any tensor of the run, as the user's code should have it here."""
        found = self.current.get(id(tensor))
        return torch.zeros_like(tensor) if found is None else found


@dataclass(frozen=True, eq=False)
class Proposal:
    """A possible cause: with the gradients of these tensors off by these changes, the user's numbers come out.

    `operations` are those that are differentiated wrongly, for the place; `fine` is set where it is no mistake.
    """

    id: str
    sentence: str
    detail: str
    operations: list[Operation]
    changes: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    fine: bool = False
