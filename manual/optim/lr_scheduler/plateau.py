"""A scheduler that looks at how training goes."""

import math
from typing import SupportsFloat

from manual.module import unsupported
from manual.optim.lr_scheduler.scheduler import LRScheduler, check_optimizer, for_each_group
from manual.optim.optimizer import Optimizer


class ReduceLROnPlateau(LRScheduler):
    """lr <- max(factor lr, min_lr) once a metric has not got better for more than `patience` steps.

    `step(metric)` counts as better, in mode 'min', what is below best (1 - threshold) ('rel') or best - threshold
    ('abs'); in mode 'max', what is above best (1 + threshold) or best + threshold. After a cut the next `cooldown`
    steps count no failures. A change of eps or less is not made. A NaN is never better.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: list[float] | float = 0,
        eps: float = 1e-8,
    ) -> None:
        check_optimizer("ReduceLROnPlateau", optimizer)
        if not factor < 1:
            raise ValueError(f"factor is {factor}, but ReduceLROnPlateau takes one below 1")
        if mode not in ("min", "max"):
            raise ValueError(f"mode is {mode!r}, but ReduceLROnPlateau takes 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode is {threshold_mode!r}, but ReduceLROnPlateau takes 'rel' or 'abs'")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.min_lrs = for_each_group("ReduceLROnPlateau", "min_lr", optimizer, min_lr)
        self.default_min_lr = None if isinstance(min_lr, list | tuple) else min_lr
        self.mode_worse = self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = self.num_bad_epochs = self.last_epoch = 0
        self._last_lr = self._lrs()

    def step(self, metrics: SupportsFloat, epoch: None = None) -> None:  # type: ignore[override]
        """Count one step on with this metric, and cut the rates if it is time."""
        unsupported("ReduceLROnPlateau.step", epoch=epoch)
        self.last_epoch += 1
        metric = float(metrics)
        if self._is_better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self._set([self._reduced(lr, low) for lr, low in zip(self._lrs(), self._lowest(), strict=True)])
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = self._lrs()

    def _is_better(self, metric: float) -> bool:
        if self.threshold_mode == "rel":
            bound = self.best * (1 - self.threshold if self.mode == "min" else 1 + self.threshold)
        else:
            bound = self.best - self.threshold if self.mode == "min" else self.best + self.threshold
        return metric < bound if self.mode == "min" else metric > bound

    def _reduced(self, lr: float, low: float) -> float:
        new = max(lr * self.factor, low)
        return new if lr - new > self.eps else lr

    def _lowest(self) -> list[float]:
        if len(self.min_lrs) != len(self.optimizer.param_groups):  # a group came later
            low = self.min_lrs if self.default_min_lr is None else self.default_min_lr
            self.min_lrs = for_each_group("ReduceLROnPlateau", "min_lr", self.optimizer, low)
        return self.min_lrs
