"""Schedulers along half a cosine."""

import math

from manual.optim.lr_scheduler.scheduler import LRScheduler
from manual.optim.optimizer import Optimizer


def raised_cosine(t: float, period: float) -> float:
    """Return 1 + cos(pi t / period), which falls from 2 at t = 0 to 0 at t = period."""
    return 1 + math.cos(math.pi * t / period)


class CosineAnnealingLR(LRScheduler):
    """lr_t = eta_min + (base_lr - eta_min) (1 + cos(pi t / T_max)) / 2: down in T_max steps, up in the next, and so on.

    Its slope is 0 at both ends: the rate stays high for long, and small for long at the end.

    Chained, with h(t) = 1 + cos(pi t / T_max): lr_t - eta_min = h(t) / h(t-1) (lr_{t-1} - eta_min). One step after a
    minimum h(t-1) is 0, and the ratio cannot tell what to climb to; there lr_t = lr_{t-1} + (base_lr - eta_min)
    (1 - cos(pi / T_max)) / 2, the closed form's own first step up.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html; Loshchilov
    and Hutter, arXiv:1608.03983
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        if T_max <= 0:
            raise ValueError(f"T_max is {T_max}, but CosineAnnealingLR takes a number of steps above 0")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the chained form for every group."""
        t, low = self.last_epoch, self.eta_min
        if self._is_initial:
            return self._lrs()
        before, now = raised_cosine(t - 1, self.T_max), raised_cosine(t, self.T_max)
        if before == 0:
            rise = 1 - math.cos(math.pi / self.T_max)
            return [lr + (base - low) * rise / 2 for lr, base in zip(self._lrs(), self.base_lrs, strict=True)]
        return [now / before * (lr - low) + low for lr in self._lrs()]

    def _get_closed_form_lr(self) -> list[float]:
        height = raised_cosine(self.last_epoch, self.T_max)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """lr = eta_min + (base_lr - eta_min) (1 + cos(pi T_cur / T_i)) / 2, from the top again whenever T_cur reaches T_i.

    The first period T_i has T_0 steps, each next one T_mult times as many. `step(epoch)` with a fraction, such as epoch
    + batch / batches, sets the place directly, in the period that it falls into. (torch finds that by a logarithm, and
    where its rounding is down, as for T_mult = 3 at the beginning of period 5, takes the end of the period before.)

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.html;
    Loshchilov and Hutter, arXiv:1608.03983
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        for name, value in {"T_0": T_0, "T_mult": T_mult}.items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value}, but CosineAnnealingWarmRestarts takes a whole number above 0")
        self.T_0, self.T_i, self.T_mult, self.eta_min = T_0, T_0, T_mult, eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rate of every group at T_cur of T_i."""
        height = raised_cosine(self.T_cur, self.T_i)
        return [self.eta_min + (base - self.eta_min) * height / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Count one step on, or go to `epoch`, and set the rates."""
        if epoch is None and self.last_epoch < 0:  # the first step, and SequentialLR's first step over again
            epoch = 0
        if epoch is None:
            epoch, self.T_cur = self.last_epoch + 1, self.T_cur + 1
            if self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur % self.T_i, self.T_i * self.T_mult
        else:
            if epoch < 0:
                raise ValueError(f"epoch is {epoch}, but it is 0 or above")
            begin, self.T_i = 0, self.T_0
            while epoch >= begin + self.T_i:
                begin, self.T_i = begin + self.T_i, self.T_i * self.T_mult
            self.T_cur = epoch - begin
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())
