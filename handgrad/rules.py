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
from handgrad.loop import Order

EVERY_STEP = ("CyclicLR", "OneCycleLR")  # whose options count batches, by torch's documentation
# What an option of a command cannot hold: functions, and other schedulers.
NOT_WRITTEN = ("LambdaLR", "MultiplicativeLR", "ChainedScheduler", "SequentialLR")
BASES = ("Optimizer", "LRScheduler", "lr_scheduler")
Options = tuple[tuple[str, Any], ...]


def optimizer(name: str, options: Options) -> Optimizer:
    """Return the optimizer of this name; UsageError where there is none."""
    _known("--optimizer", name, manual.optim.__all__)
    _typed("--optimizer", getattr(manual.optim, name), options)
    if "lr" in dict(options):
        raise UsageError(f"--optimizer {name}(lr=...): the learning rate has an option of its own, --lr")
    return Optimizer(name, options)


def scheduler(name: str, options: Options, every: Literal["epoch", "step"] | None) -> Scheduler:
    """Return the scheduler likewise; it steps every epoch, as in torch's documentation, where `every` does not say."""
    _known("--scheduler", name, manual.optim.lr_scheduler.__all__)
    _typed("--scheduler", getattr(manual.optim.lr_scheduler, name), options)
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


def check_length(experiment: Experiment, samples: int) -> None:
    """Raise UsageError where the one cycle of a OneCycleLR is over before the training is."""
    plan = experiment.scheduler
    if plan is None or plan.name != "OneCycleLR":
        return
    options = dict(plan.options)
    length = options.get("total_steps") or options["epochs"] * options["steps_per_epoch"]
    steps_per_epoch = Order(experiment, samples).steps_per_epoch
    steps = experiment.steps or experiment.epochs * steps_per_epoch
    needed = steps if plan.every == "step" else steps // steps_per_epoch
    if needed > length:
        raise UsageError(
            f"--scheduler OneCycleLR: its one cycle has {length:,} steps, but it is to take {needed:,}, one every "
            f"{plan.every}; begin with total_steps={needed}, or train for less"
        )


def _typed(option: str, rule: type, options: Options) -> None:
    """Raise UsageError for a value of a kind that no rule takes, which might come out only in a later step."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(rule).parameters.items()}
    for name, value in options:
        default = defaults.get(name)
        for part in value if isinstance(value, list | tuple) else [value]:
            if name in defaults and not isinstance(part, int | float) and type(part) is not type(default):
                raise UsageError(
                    f"{option} {rule.__name__}: {name}={value!r} is of no kind that it takes; see torch's page"
                )


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
