"""What all schedulers share: the count of steps, the rates they start from, and their state."""

import copy
from collections.abc import Mapping
from typing import Any

from manual.module import unsupported
from manual.optim.optimizer import Optimizer


class LRScheduler:
    """Base of every scheduler: `step()`, called after the optimizer's, sets the "lr" of all its groups.

    The constructor sets lr_0, the rate of the first step; the t-th call of `step()` sets lr_t. t is `last_epoch`. The
    rates that the groups had at the start are kept in them as "initial_lr", and here as `base_lrs`.

    There are two forms. The closed one gives lr_t from t and base_lr; the chained one, which torch takes, gives lr_t
    from lr_{t-1}. Without rounding they are the same, if nobody else sets the rate. Chained, schedulers can work on one
    optimizer at once, each with a factor of its own, and what the user changes by hand stays changed. Over 100 steps
    the two part by a few units of rounding (by some hundred where CosineAnnealingLR passes its minimum ten times, and
    divides by what is nearly 0), and here as in torch it is the chained one that counts.

    To go on after a break, load the states of the optimizer and of the scheduler. (`last_epoch` = k in the
    constructor does it too, where the groups have "initial_lr": the constructor counts to k + 1 then.)

    Source: https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(type(self).__name__, optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f'group {i} has no "initial_lr", which {type(self).__name__} goes on from at '
                    f"last_epoch={last_epoch}: load the optimizer's state first, or start with last_epoch=-1"
                )
        self.base_lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        self.step()
        self._is_initial = False

    def step(self, epoch: None = None) -> None:
        """Count one step on and set the rates. torch's `epoch`, deprecated there, is not supported."""
        unsupported(f"{type(self).__name__}.step", epoch=epoch)
        self._step_count += 1
        self.last_epoch += 1
        self._set(self.get_lr())

    def get_lr(self) -> list[float]:
        """Return the rate of every group at step `last_epoch`, from the one before: the chained form."""
        raise NotImplementedError(f"{type(self).__name__} has no get_lr")

    def _get_closed_form_lr(self) -> list[float]:
        """Return the rate of every group at step `last_epoch`, from `base_lrs` alone."""
        return self.get_lr()

    def _restart(self) -> None:
        """Set the rates of step 0, whatever they are now."""
        self.last_epoch = 0
        self._set(self._get_closed_form_lr())

    def _set(self, lrs: list[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, lrs, strict=True):
            group["lr"] = float(lr)
        self._last_lr = self._lrs()

    def _lrs(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """Return the rate of every group, as this scheduler set it last."""
        return self._last_lr

    # ------------------------------------------------------------------ state, in torch's form

    def state_dict(self) -> dict[str, Any]:
        """Return all that the scheduler knows but the optimizer, under torch's names."""
        inside = self._inside()
        rest = {key: value for key, value in vars(self).items() if key != "optimizer" and key not in inside}
        return inside | copy.deepcopy(rest)

    def _inside(self) -> dict[str, Any]:
        """Return the states of what has one of its own: schedulers, or functions that are objects."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state of ours or of torch's. Raises KeyError where it is one of another scheduler."""
        missing = [key for key in self.state_dict() if key not in state_dict]
        if missing:
            raise KeyError(
                f"the state has no {', '.join(missing)}: it is of another scheduler than {type(self).__name__}"
            )
        vars(self).update(copy.deepcopy(state_dict))


def check_optimizer(who: str, optimizer: Any) -> None:
    """Raise TypeError unless this is an optimizer of ours."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{who} takes an optimizer of manual.optim, not {type(optimizer).__name__}")


def for_each_group(who: str, name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """Return one value for every group: `value` itself for all, or its entries."""
    count = len(optimizer.param_groups)
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise ValueError(f"{who}: {name} has {len(value)} values, but the optimizer {count} groups; give one for each")
    return list(value)
