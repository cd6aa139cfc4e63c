"""Optimizers and schedulers that a user names, tried before anything is trained."""

import inspect
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

import manual.networks as networks
import manual.optim
import manual.optim.lr_scheduler
from handgrad.build import build
from handgrad.errors import UsageError
from handgrad.experiment import Experiment, Optimizer, Scheduler

EVERY_STEP = ("CyclicLR", "OneCycleLR")  # whose options count batches, by torch's documentation
# What an option of a command cannot hold: functions, and other schedulers.
NOT_WRITTEN = ("LambdaLR", "MultiplicativeLR", "ChainedScheduler", "SequentialLR")
BASES = ("Optimizer", "LRScheduler", "lr_scheduler")
Options = tuple[tuple[str, Any], ...]


def optimizer(name: str, options: Options) -> Optimizer:
    """Return the optimizer of this name; UsageError where there is none."""
    _known("--optimizer", name, manual.optim.__all__)
    if "lr" in dict(options):
        raise UsageError(f"--optimizer {name}(lr=...): the learning rate has an option of its own, --lr")
    return Optimizer(name, options)


def scheduler(name: str, options: Options, every: Literal["epoch", "step"] | None) -> Scheduler:
    """Return the scheduler likewise; it steps every epoch, as in torch's documentation, where `every` does not say."""
    _known("--scheduler", name, manual.optim.lr_scheduler.__all__)
    return Scheduler(name, options, every or ("step" if name in EVERY_STEP else "epoch"))


def with_weight_decay(rule: Optimizer, value: float) -> Optimizer:
    """Return the optimizer with this weight decay; UsageError where it has none."""
    if "weight_decay" not in inspect.signature(getattr(manual.optim, rule.name)).parameters:
        raise UsageError(f"--weight-decay {value:g}: {rule.name} has no weight decay; choose another --optimizer")
    return Optimizer(rule.name, (*((k, v) for k, v in rule.options if k != "weight_decay"), ("weight_decay", value)))


def check(experiment: Experiment) -> None:
    """Raise UsageError where the optimizer or the scheduler does not take its options, or not these parameters."""
    network = build(networks, experiment.network, experiment.from_logits, dtype=np.dtype(experiment.dtype))
    rule = _tried(
        f"--optimizer {experiment.optimizer.name}",
        lambda: experiment.optimizer.build(manual.optim, network.parameters(), experiment.lr),
    )
    plan = experiment.scheduler
    if plan is not None:
        _tried(f"--scheduler {plan.name}", lambda: plan.build(manual.optim.lr_scheduler, rule))


def _known(option: str, name: str, names: list[str]) -> None:
    found = [known for known in names if known not in (*NOT_WRITTEN, *BASES)]
    if name not in found:
        known = "cannot be written as an option" if name in NOT_WRITTEN else "there is none of this name"
        raise UsageError(f"{option} {name}: {known}; choose one of {', '.join(found)}")


def _tried(what: str, build: Callable[[], Any]) -> Any:
    try:
        return build()
    except (KeyError, NotImplementedError, TypeError, ValueError) as error:
        reason = str(error.args[0] if error.args else error).replace(".__init__()", "")
        raise UsageError(f"{what}: {reason}") from None
