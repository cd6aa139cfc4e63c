"""What an experiment is: everything that both sides are given, and nothing of how they compute."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from handgrad.data import Data
from handgrad.data.split import validated
from handgrad.errors import UsageError

if TYPE_CHECKING:
    from handgrad.comparison import Comparison

LARGEST = 1_000_000  # parameters that --sizes may ask for

Array = np.ndarray[Any, np.dtype[Any]]
State = dict[str, Array]
Kind = Literal["forward", "step", "training"]


@dataclass(frozen=True)
class Loss:
    """A convention for the loss: factor * (sum or mean over samples) of squared error or cross-entropy.

    `kind` is squared_error, cross_entropy (of one output, class 1 against 0), classes (cross-entropy of one logit for
    each class) or signed_error (reports only).
    """

    kind: str = "squared_error"
    factor: float = 1.0
    reduction: str = "mean"

    def __str__(self) -> str:
        symbol = {"squared_error": "(y - t)^2", "cross_entropy": "cross-entropy", "signed_error": "(y - t)"}
        symbol["classes"] = "cross-entropy over classes"
        factor = "" if self.factor == 1 else f"{self.factor:g} * "
        return f"{factor}{self.reduction} {symbol[self.kind]}"


@dataclass(frozen=True)
class Network:
    """Which network, by its name in both packages: neuron, neuron_network, two_two_one, perceptron, mlp, convnet ...

    `sizes` = (inputs, hidden ..., outputs). `output` is sigmoid or identity. `published` gives a perceptron
    the derivative that the tutorial's code uses. `options` are further arguments of the network's class, by name.
    """

    name: str
    sizes: tuple[int, ...]
    bias: bool = True
    output: str = "sigmoid"
    published: bool = False
    options: tuple[tuple[str, int | str], ...] = ()

    def __str__(self) -> str:
        form = "-".join(map(str, self.sizes))
        notes = ["" if self.bias else "no bias", "" if self.output == "sigmoid" else "linear output"]
        notes += [f"{name} {value}" for name, value in self.options]
        return ", ".join([f"{self.name} {form}", *filter(None, notes)])


@dataclass(frozen=True)
class Optimizer:
    """Which update rule, by its name in manual.optim and torch.optim, and its options but the learning rate."""

    name: str = "SGD"
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return ", ".join([self.name, *(f"{name} {value}" for name, value in self.options)])

    def build(self, optim: Any, parameters: Any, lr: float) -> Any:
        """Return the optimizer of `optim`, which is manual.optim or torch.optim."""
        return getattr(optim, self.name)(parameters, lr=lr, **dict(self.options))


@dataclass(frozen=True)
class Scheduler:
    """Which rule sets the learning rate, by its name in torch.optim.lr_scheduler, its options, and how often it steps.

    `every` is epoch or step. ReduceLROnPlateau is given the loss that the run goes by.
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()
    every: Literal["epoch", "step"] = "epoch"

    def __str__(self) -> str:
        return ", ".join([self.name, *(f"{name} {value}" for name, value in self.options), f"every {self.every}"])

    @property
    def takes_loss(self) -> bool:
        """Whether its step is given a loss."""
        return self.name == "ReduceLROnPlateau"

    def build(self, lr_scheduler: Any, optimizer: Any) -> Any:
        """Return the scheduler of `lr_scheduler`, which is manual.optim.lr_scheduler or torch's."""
        return getattr(lr_scheduler, self.name)(optimizer, **dict(self.options))


@dataclass(frozen=True, eq=False)
class Experiment:
    """One system of the tutorials, or one of ours: data, network, weights, loss, optimizer and schedule.

    `weights(seed, network)` draws the initial state once, in NumPy, under torch's state-dict keys. `report` is the loss
    that is printed, `report_when` whether before or after the epoch's updates; `report_every` counts epochs. `steps`
    ends a training in the middle of an epoch. `batch_size` None is the full batch; a batch is computed in `accumulate`
    parts, and gradients are clipped to `max_norm` where it is given. `published` is the same experiment under a rule as
    the tutorial published it, `published_note` says what that rule is. `inputs` are further ways to scale the same
    samples, by name, `inputs_as` the one chosen. `folder` reads other samples of the kind, and `network_for` fits the
    network to them; `cells` are networks of another recurrent cell, by its name. `resizable` lets --sizes change the
    hidden layers; `slow` marks what takes minutes. `remarks` returns the lines of text that are its own.
    """

    name: str
    title: str
    source: str
    kind: Kind
    data: Callable[[], Data]
    network: Network
    weights: Callable[[int, Network], State]
    loss: Loss = Loss()
    report: Loss = Loss()
    report_when: Literal["before", "after"] = "after"
    report_every: int = 1
    lr: float = 0.1
    optimizer: Optimizer = Optimizer()
    epochs: int = 1
    steps: int | None = None
    batch_size: int | None = None
    accumulate: int = 1
    max_norm: float | None = None
    scheduler: Scheduler | None = None
    order: Literal["fixed", "shuffle", "replacement"] = "fixed"
    seed: int = 0
    dtype: str = "float64"
    published: "Mapping[str, Any] | None" = None
    published_note: str = ""
    is_published: bool = False
    inputs: Mapping[str, Callable[[], Data]] = field(default_factory=dict)
    inputs_as: str = ""
    folder: Callable[[Path], Data] | None = None
    network_for: Callable[[Network, Data], Network] | None = None
    cells: Mapping[str, Network] = field(default_factory=dict)
    resizable: bool = False
    slow: bool = False
    remarks: "Callable[[Comparison], list[str]] | None" = None

    @property
    def from_logits(self) -> bool:
        """Whether the network is trained without its last sigmoid, because the loss takes logits."""
        return self.loss.kind == "cross_entropy" and self.network.output == "sigmoid" and self.kind != "forward"

    @property
    def layered(self) -> bool:
        """Whether it is plain descent of a chain of linear layers and sigmoids: of these every rounding is known."""
        plain = self.optimizer == Optimizer() and (self.accumulate, self.max_norm, self.scheduler) == (1, None, None)
        return plain and self.loss.kind != "classes"

    @property
    def linear_output(self) -> bool:
        """Whether nothing stands behind the last linear layer of the network that is trained."""
        return self.from_logits or self.network.output == "identity"

    def as_published(self) -> "Experiment":
        """Return this experiment under the published rule; UsageError where none was published wrong."""
        if self.published is None:
            raise UsageError(
                f"{self.name} has no published rule that differs from the right one; leave --published out"
            )
        return replace(self, **self.published, is_published=True)

    def resized(self, sizes: tuple[int, ...]) -> "Experiment":
        """Return this experiment with layers of other sizes; the ends must fit the data."""
        if not self.resizable:
            raise UsageError(
                f"{self.name} has one fixed network, {self.network}; --sizes is for layered, xor, mlp and tables"
            )
        if self.network.published and len(sizes) != 2:
            raise UsageError("the published rule is the gradient of something for one layer only; leave --sizes out")
        ends = (self.network.sizes[0], self.network.sizes[-1])
        if len(sizes) < 2 or (sizes[0], sizes[-1]) != ends or min(sizes) < 1:
            raise UsageError(f"--sizes {','.join(map(str, sizes))}: the data needs {ends[0]},...,{ends[1]}")
        if sum(a * b + b for a, b in pairwise(sizes)) > LARGEST:
            raise UsageError(f"--sizes: that is more than {LARGEST:,} parameters; choose smaller hidden layers")
        name = self.network.name if sizes == self.network.sizes else "mlp"
        return replace(self, network=replace(self.network, name=name, sizes=sizes))

    def with_inputs(self, name: str) -> "Experiment":
        """Return this experiment with its samples scaled in another way."""
        if name not in self.inputs:
            ways = f"has {', '.join(self.inputs)}" if self.inputs else "has one form of its inputs; leave --inputs out"
            raise UsageError(f"--inputs {name}: {self.name} {ways}")
        return replace(self, data=self.inputs[name], inputs_as=name)

    def with_folder(self, folder: Path) -> "Experiment":
        """Return this experiment on the samples in a folder; UsageError where they cannot be read."""
        if self.folder is None or self.network_for is None:
            raise UsageError(f"--data {folder}: {self.name} has its own samples; --data is for mlp and convnet")
        data = self.folder(folder)
        source = f"{folder} ({len(data.inputs):,} samples to train on)"
        return self.with_samples(data, self.network_for(self.network, data), source)

    def with_samples(self, data: Data, network: Network, source: str) -> "Experiment":
        """Return this experiment on other samples, of which there is one form, with the network that fits them."""
        title = f"the network and training of {self.name}, on other samples"
        changes: dict[str, Any] = {"title": title, "source": source, "inputs": {}, "inputs_as": ""}
        return replace(self, data=lambda: data, network=network, **changes)

    def with_validation(self, share: float) -> "Experiment":
        """Return this experiment with a share of the samples to train on held out, to look at while it trains."""

        def held_out(load: Callable[[], Data]) -> Callable[[], Data]:
            return lambda: validated(load(), share, self.seed, self.name)

        forms = {name: held_out(load) for name, load in self.inputs.items()}
        return replace(self, data=held_out(self.data), inputs=forms)

    def with_cell(self, name: str) -> "Experiment":
        """Return this experiment with another recurrent cell."""
        if name not in self.cells:
            ways = f"has {', '.join(self.cells)}" if self.cells else "has no recurrent cell; leave --cell out"
            raise UsageError(f"--cell {name}: {self.name} {ways}")
        return replace(self, network=self.cells[name])

    def config(self) -> dict[str, Any]:
        """Return all settings as plain values, for config.json and --json."""
        return {
            "experiment": self.name,
            "network": {**vars(self.network), "sizes": list(self.network.sizes), "options": dict(self.network.options)},
            "loss": vars(self.loss),
            "report": vars(self.report),
            "report_when": self.report_when,
            "report_every": self.report_every,
            "lr": self.lr,
            "optimizer": {"name": self.optimizer.name, **dict(self.optimizer.options)},
            "epochs": self.epochs,
            "steps": self.steps,
            "batch_size": self.batch_size,
            "accumulate": self.accumulate,
            "max_norm": self.max_norm,
            "scheduler": self.scheduler and {**vars(self.scheduler), "options": dict(self.scheduler.options)},
            "order": self.order,
            "seed": self.seed,
            "dtype": self.dtype,
            "published": self.is_published,
            "inputs": self.inputs_as,
        }
