"""Schedulers that are told the factor by a function of the user's."""

import copy
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any

from manual.optim.lr_scheduler.scheduler import LRScheduler, for_each_group
from manual.optim.optimizer import Optimizer

Lambda = Callable[[int], float]


class LambdaLR(LRScheduler):
    """lr_t = base_lr lr_lambda(t), with one function for all groups or a list with one for each.

    A function is not part of the state; of an object that is called, its attributes are, as in torch.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LambdaLR.html
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Lambda | list[Lambda], last_epoch: int = -1) -> None:
        who = type(self).__name__
        self.lr_lambdas: list[Any] = for_each_group(who, "lr_lambda", optimizer, lr_lambda)
        if not all(callable(function) for function in self.lr_lambdas):
            raise TypeError(f"{who} takes functions of the step number; pass lr_lambda=lambda t: 0.9**t")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return base_lr lr_lambda(t) for every group."""
        return [base * function(self.last_epoch) for base, function in zip(self.base_lrs, self.lr_lambdas, strict=True)]

    def _inside(self) -> dict[str, Any]:
        """Return the attributes of each function that is an object, and None for the others."""
        inside = [None if isinstance(f, FunctionType) else copy.deepcopy(vars(f)) for f in self.lr_lambdas]
        return {"lr_lambdas": inside}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state; the functions stay this scheduler's, with the attributes that the state has."""
        functions = self.lr_lambdas
        super().load_state_dict(state_dict)
        inside, self.lr_lambdas = self.lr_lambdas, functions
        for function, attributes in zip(functions, inside, strict=True):
            vars(function).update(attributes or {})


class MultiplicativeLR(LambdaLR):
    """lr_t = lr_{t-1} lr_lambda(t): the function gives the ratio of two neighbours. lr_0 is base_lr.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiplicativeLR.html
    """

    def get_lr(self) -> list[float]:
        """Return lr_lambda(t) times the rate of every group."""
        if self._is_initial:
            return self._lrs()
        return [lr * function(self.last_epoch) for lr, function in zip(self._lrs(), self.lr_lambdas, strict=True)]
