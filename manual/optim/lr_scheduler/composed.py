"""Schedulers made of schedulers: one after the other, or all at once."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from manual.optim.lr_scheduler.plateau import ReduceLROnPlateau
from manual.optim.lr_scheduler.scheduler import LRScheduler
from manual.optim.optimizer import Optimizer


class _Composed(LRScheduler):
    """What both share: the schedulers inside, in `_schedulers`, and their states."""

    def _take(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        who = type(self).__name__
        if not schedulers:
            raise ValueError(f"{who} was given no schedulers; pass at least one")
        optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        for i, scheduler in enumerate(schedulers):
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{who}: scheduler {i} is a ReduceLROnPlateau, whose step takes a metric; step it apart"
                )
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"{who}: scheduler {i} is of another optimizer; build all on one")
        self.optimizer, self._schedulers = optimizer, list(schedulers)

    def _inside(self) -> dict[str, Any]:
        """Return a list of the states of the schedulers inside."""
        return {"_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state, and hand the schedulers inside theirs."""
        schedulers = self._schedulers
        super().load_state_dict(state_dict)
        states, self._schedulers = self._schedulers, schedulers
        for scheduler, state in zip(schedulers, states, strict=True):
            scheduler.load_state_dict(state)  # type: ignore[arg-type]


class SequentialLR(_Composed):
    """The first scheduler up to step milestones[0], the second, counting from 0, up to milestones[1], and so on.

    At a milestone the next scheduler sets its own rate of step 0, from the groups' "initial_lr", not from where the
    last one ended. The constructor takes back what the constructors of the schedulers did, and lets the first alone
    set lr_0.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.SequentialLR.html
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        self._take(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR was given {len(schedulers)} schedulers and {len(milestones)} milestones; "
                "give a milestone between every two"
            )
        self._milestones, self.last_epoch = list(milestones), last_epoch + 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        _take_back(self)
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self, epoch: None = None) -> None:
        """Count one step on, and let the scheduler whose turn it is set the rates."""
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[turn]
        if turn and self._milestones[turn - 1] == self.last_epoch:
            scheduler._restart()
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


def _take_back(scheduler: LRScheduler) -> None:
    """Count one step back in every scheduler inside, at any depth."""
    if isinstance(scheduler, _Composed):
        for inside in scheduler._schedulers:
            _take_back(inside)
    else:
        scheduler.last_epoch -= 1


class ChainedScheduler(_Composed):
    """All schedulers at once: each multiplies what the ones before have set in the same step.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ChainedScheduler.html
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._take(schedulers, optimizer)
        self._last_lr = self._lrs()

    def step(self, epoch: None = None) -> None:
        """Let every scheduler count one step on, in their order."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._lrs()
