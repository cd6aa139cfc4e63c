"""Schedulers that multiply the rate, at every step by a factor that depends on t alone."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from manual.optim.lr_scheduler.scheduler import LRScheduler
from manual.optim.optimizer import Optimizer


class _Factors(LRScheduler):
    """Chained lr_t = ratio(t) lr_{t-1}, closed lr_t = product(t) base_lr: product(t) = ratio(0) ... ratio(t)."""

    def ratio(self, t: int) -> float:
        """Return lr_t / lr_{t-1}; at t = 0 lr_0 / base_lr."""
        raise NotImplementedError(f"{type(self).__name__} has no ratio")

    def product(self, t: int) -> float:
        """Return lr_t / base_lr."""
        raise NotImplementedError(f"{type(self).__name__} has no product")

    def get_lr(self) -> list[float]:
        """Return ratio(t) times the rate of every group."""
        return [lr * self.ratio(self.last_epoch) for lr in self._lrs()]

    def _get_closed_form_lr(self) -> list[float]:
        return [base * self.product(self.last_epoch) for base in self.base_lrs]


class StepLR(_Factors):
    """The rate is multiplied by `gamma` every `step_size` steps: lr_t = base_lr gamma^floor(t / step_size).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.StepLR.html
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        if step_size < 1:
            raise ValueError(f"step_size is {step_size}, but StepLR takes a number of steps, 1 or more")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def ratio(self, t: int) -> float:
        """Return gamma at every multiple of step_size but 0, else 1."""
        return self.gamma if t and t % self.step_size == 0 else 1

    def product(self, t: int) -> float:
        """Return gamma^floor(t / step_size)."""
        return self.gamma ** (t // self.step_size)


class MultiStepLR(_Factors):
    """The rate is multiplied by `gamma` at each of the `milestones`: lr_t = base_lr gamma^(their number up to t).

    A milestone that stands twice in the list counts twice.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiStepLR.html
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def ratio(self, t: int) -> float:
        """Return gamma to the number of milestones at t."""
        return self.gamma ** self.milestones[t]

    def product(self, t: int) -> float:
        """Return gamma to the number of milestones up to t."""
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), t)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state, in which the milestones may be counted in a plain dict, as a file has them."""
        super().load_state_dict(state_dict)
        self.milestones = Counter(self.milestones)


class ConstantLR(_Factors):
    """The rate is base_lr times `factor` before step `total_iters`, and base_lr from there on.

    `factor` is above 0 and at most 1. torch allows 0 as well, and divides by it at step total_iters.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ConstantLR.html
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0 < factor <= 1:
            raise ValueError(f"factor is {factor}, but ConstantLR takes one above 0, to divide by it, and at most 1")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def ratio(self, t: int) -> float:
        """Return factor at 0, 1/factor at total_iters, else 1."""
        if t == 0:
            return self.factor
        return 1 / self.factor if t == self.total_iters else 1

    def product(self, t: int) -> float:
        """Return factor before total_iters, 1 from there on."""
        return self.factor + (t >= self.total_iters) * (1 - self.factor)


class LinearLR(_Factors):
    """A warm-up: in a straight line from base_lr start_factor to base_lr end_factor, in `total_iters` steps.

    With s, e and T for the three, lr_t / base_lr = s + (e - s) t / T up to T. The ratio of two neighbours is

        (s T + (e - s) t) / (s T + (e - s) (t - 1)) = 1 + (e - s) / (s T + (e - s) (t - 1)).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LinearLR.html
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(f"start_factor is {start_factor}, but LinearLR takes one above 0 and at most 1")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"end_factor is {end_factor}, but LinearLR takes one from 0 to 1")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def ratio(self, t: int) -> float:
        """Return start_factor at 0, the ratio above up to total_iters, then 1."""
        if t == 0:
            return self.start_factor
        if self._is_initial or t > self.total_iters:
            return 1
        rise = self.end_factor - self.start_factor
        return 1 + rise / (self.total_iters * self.start_factor + (t - 1) * rise)

    def product(self, t: int) -> float:
        """Return the height of the line at t, and its end after it."""
        rise = self.end_factor - self.start_factor
        return self.start_factor + rise * min(self.total_iters, t) / self.total_iters


class ExponentialLR(_Factors):
    """The rate is multiplied by `gamma` at every step: lr_t = base_lr gamma^t.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ExponentialLR.html
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def ratio(self, t: int) -> float:
        """Return gamma, but 1 in the constructor."""
        return 1 if self._is_initial else self.gamma

    def product(self, t: int) -> float:
        """Return gamma^t."""
        return self.gamma**t


class PolynomialLR(_Factors):
    """The rate falls to 0 in `total_iters` steps: lr_t = base_lr (1 - t / total_iters)^power up to there, then 0.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.PolynomialLR.html
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        if power < 0:
            raise ValueError(f"power is {power}, but PolynomialLR takes one of 0 or above: it ends at 0 to the power")
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def ratio(self, t: int) -> float:
        """Return the ratio of two neighbours, and 1 once the rate is 0."""
        if self._is_initial or t > self.total_iters:
            return 1
        return math.pow((1 - t / self.total_iters) / (1 - (t - 1) / self.total_iters), self.power)

    def product(self, t: int) -> float:
        """Return what is left of the way, to the power."""
        return math.pow(1 - min(self.total_iters, t) / self.total_iters, self.power)
