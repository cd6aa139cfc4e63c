"""Schedulers that go up and down, with the momentum going the other way."""

import copy
import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from types import FunctionType
from typing import Any

from manual.optim.lr_scheduler.annealing import raised_cosine
from manual.optim.lr_scheduler.scheduler import LRScheduler, check_optimizer, for_each_group
from manual.optim.optimizer import Optimizer, Options


class _Cycled(LRScheduler):
    """What both share: the momentum of every group, `momentum` or the first of `betas`, is set beside the rate.

    Why against each other: with momentum mu a step is lr / (1 - mu) times the average gradient in the long run. Where
    the rate is at its height less momentum keeps the steps in bounds.
    """

    def _momentums(self, base_momentum: Any, max_momentum: Any, last_epoch: int) -> tuple[list[float], list[float]]:
        """Return the lowest and the highest momentum for every group, and write them into it."""
        who, rule = type(self).__name__, self.optimizer
        if "momentum" not in rule.defaults and "betas" not in rule.defaults:
            raise ValueError(f"{who}: {type(rule).__name__} has no momentum to cycle; pass cycle_momentum=False")
        self.use_beta1 = "betas" in rule.defaults
        lows = for_each_group(who, "base_momentum", rule, base_momentum)
        highs = for_each_group(who, "max_momentum", rule, max_momentum)
        if last_epoch == -1:
            for group, low, high in zip(rule.param_groups, lows, highs, strict=True):
                group["base_momentum"], group["max_momentum"] = low, high
        return lows, highs

    def _set_momentum(self, group: Options, momentum: float) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


class OneCycleLR(_Cycled):
    """One cycle over the whole training: up from max_lr / div_factor to max_lr, and down to far below the start.

    With T = total_steps (or epochs * steps_per_epoch), low = max_lr / div_factor and end = low / final_div_factor, and
    the momentum from max_momentum to base_momentum and back:

        phase       ends at step            rate              momentum
        1           pct_start T - 1         low -> max_lr     max -> base
        2           T - 1                   max_lr -> end     base -> max

    and with three_phase

        1           pct_start T - 1         low -> max_lr     max -> base
        2           2 pct_start T - 2       max_lr -> low     base -> max
        3           T - 1                   low -> end        max

    At p of the way (p from 0 to 1) from a to b the value is b + (a - b) (1 + cos(pi p)) / 2 ('cos') or a + (b - a) p
    ('linear'). A phase without length, where pct_start T = 1 or pct_start = 1, is at its end at once (torch divides by
    0). Unlike the other schedulers' steps, these are batches, not epochs: call `step()` after each. The T-th call, for
    which there is no step any more, is still allowed, as in torch, and goes beyond p = 1.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html; Smith and Topin,
    Super-Convergence, arXiv:1708.07120
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer("OneCycleLR", optimizer)
        self.optimizer, self.cycle_momentum = optimizer, cycle_momentum
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start is {pct_start}, but OneCycleLR takes a part of the steps, from 0 to 1")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy is {anneal_strategy!r}, but OneCycleLR takes 'cos' or 'linear'")
        for name, factor in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
            if factor == 0:
                raise ValueError(f"{name} is 0, but OneCycleLR divides by it")
        self._anneal_func_type = anneal_strategy
        self._schedule_phases = _phases(pct_start * self.total_steps, self.total_steps, three_phase)
        max_lrs = for_each_group("OneCycleLR", "max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, high in zip(optimizer.param_groups, max_lrs, strict=True):
                group["initial_lr"], group["max_lr"] = high / div_factor, high
                group["min_lr"] = group["initial_lr"] / final_div_factor
        if cycle_momentum:
            self._momentums(base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rate of every group, and set its momentum."""
        if self.last_epoch > self.total_steps:
            raise ValueError(f"OneCycleLR is at step {self.last_epoch}, but was told total_steps={self.total_steps}")
        begin, phase = 0.0, self._schedule_phases[0]
        for earlier, later in pairwise(self._schedule_phases):
            if self.last_epoch > earlier["end_step"]:
                begin, phase = earlier["end_step"], later
        length = phase["end_step"] - begin
        part = (self.last_epoch - begin) / length if length else 1.0
        for group in self.optimizer.param_groups if self.cycle_momentum else []:
            start, end = group[phase["start_momentum"]], group[phase["end_momentum"]]
            self._set_momentum(group, self._between(start, end, part))
        groups = self.optimizer.param_groups
        return [self._between(group[phase["start_lr"]], group[phase["end_lr"]], part) for group in groups]

    def _between(self, start: float, end: float, part: float) -> float:
        if self._anneal_func_type == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2 * raised_cosine(part, 1)


def _total_steps(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is None and (epochs is None or steps_per_epoch is None):
        raise ValueError("OneCycleLR has to know its end: give total_steps, or epochs and steps_per_epoch")
    given: dict[str, int | None] = {"total_steps": total_steps}
    if total_steps is None:
        given = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    count = 1
    for name, value in given.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is {value}, but OneCycleLR takes a whole number above 0")
        count *= value
    return count


def _phases(rise: float, total: int, three_phase: bool) -> list[dict[str, Any]]:
    """Return torch's table of phases: where each ends, and the names in the group of what it goes between."""
    lrs = [("initial_lr", "max_lr"), ("max_lr", "initial_lr"), ("initial_lr", "min_lr")]
    momentums = [("max_momentum", "base_momentum"), ("base_momentum", "max_momentum"), ("max_momentum", "max_momentum")]
    ends = [rise - 1, 2 * rise - 2, total - 1]
    if not three_phase:
        lrs, momentums, ends = [lrs[0], ("max_lr", "min_lr")], momentums[:2], [ends[0], ends[2]]
    return [
        {"end_step": end, "start_lr": a, "end_lr": b, "start_momentum": c, "end_momentum": d}
        for end, (a, b), (c, d) in zip(ends, lrs, momentums, strict=True)
    ]


class CyclicLR(_Cycled):
    """Up from base_lr to max_lr in `step_size_up` steps, down in `step_size_down`, in straight lines, and so on.

    In cycle c = 1, 2, ... at height h (from 0 up to 1 and back) lr = base_lr + (max_lr - base_lr) h s, and the momentum
    is max_momentum - (max_momentum - base_momentum) h s. The scale s is 1 in mode 'triangular', 2^-(c - 1) in
    'triangular2', gamma^t in 'exp_range', or scale_fn of c or of t (scale_mode 'cycle' or 'iterations').

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CyclicLR.html; Smith,
    arXiv:1506.01186
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer("CyclicLR", optimizer)
        if scale_fn is None and mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(f"mode is {mode!r}, but CyclicLR takes 'triangular', 'triangular2' or 'exp_range'")
        if step_size_up <= 0 or (step_size_down is not None and step_size_down < 0):
            raise ValueError(
                f"step_size_up is {step_size_up} and step_size_down {step_size_down}, but CyclicLR takes one above 0 "
                "and one of 0 or above"
            )
        self.optimizer, self.cycle_momentum, self.mode, self.gamma = optimizer, cycle_momentum, mode, gamma
        base_lrs = for_each_group("CyclicLR", "base_lr", optimizer, base_lr)
        self.max_lrs = for_each_group("CyclicLR", "max_lr", optimizer, max_lr)
        for group, low in zip(optimizer.param_groups, base_lrs, strict=True):
            group["lr"] = low
        self.total_size = step_size_up + (step_size_up if step_size_down is None else step_size_down)
        self.step_ratio = step_size_up / self.total_size
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._momentums(base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def get_lr(self) -> list[float]:
        """Return the rate of every group, and set its momentum."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1 + self.last_epoch / self.total_size - cycle  # from 0 to 1 in every cycle
        h = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        s = self._scale(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            for group, low, high in zip(
                self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True
            ):
                self._set_momentum(group, high - (high - low) * h * s)
        return [low + (high - low) * h * s for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def _scale(self, x: int) -> float:
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular2":
            return 0.5 ** (x - 1)
        return self.gamma**x if self.mode == "exp_range" else 1.0

    def _inside(self) -> dict[str, Any]:
        """Return the attributes of a scale_fn that is an object, and None for a function."""
        function = self._scale_fn_custom
        inside = None if function is None or isinstance(function, FunctionType) else vars(function)
        return {"_scale_fn_custom": copy.deepcopy(inside)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state; scale_fn stays this scheduler's, with the attributes that the state has."""
        function = self._scale_fn_custom
        super().load_state_dict(state_dict)
        attributes, self._scale_fn_custom = self._scale_fn_custom, function
        if attributes is not None:
            vars(function).update(attributes)  # type: ignore[call-overload]
