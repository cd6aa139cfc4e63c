"""One step of an experiment on both sides, ready to be explained parameter by parameter."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import torch

from handgrad.errors import UsageError
from handgrad.experiment import Experiment
from handgrad.explaining import graph, scalars
from handgrad.explaining.factors import Chain, Factor, loss_factor
from handgrad.explaining.layered import Layers
from handgrad.explaining.source import watched
from handgrad.judging import ALLOWED
from handgrad.loop import run
from handgrad.rounding import scales
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide
from handgrad.weights import NINE_SCALARS, layer_shapes, layers

Array = np.ndarray[Any, np.dtype[Any]]
NETWORKS = ("two_two_one", "perceptron", "mlp")
# Each side may be ALLOWED roundings of the gradient's scale from the truth, hence from each other twice that.
UNITS_ALLOWED = 2 * ALLOWED


@dataclass(frozen=True)
class Entry:
    """One number that is trained: its name, the tutorial's if that is another, and where it stands.

    `key` and `index` locate it in a state under torch's keys, `own` and `own_index` in the network itself.
    """

    name: str
    label: str
    key: str
    index: tuple[int, ...]
    own: str
    own_index: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """A parameter's gradient as the chain rule has it, and beside it what both sides really computed.

    `products` (N,) are the samples' products and `gradient` is their sum. `by_hand` is what the hand-written
    backward left in `Parameter.grad`, `autograd` what `loss.backward()` left in `.grad`. `unit` is one rounding,
    eps times the gradient's scale.
    """

    entry: Entry
    chain: Chain
    products: Array
    gradient: float
    by_hand: float
    autograd: float
    unit: float

    @property
    def difference(self) -> float:
        """|gradient - autograd|, or |by_hand - autograd| where that is more; 0 where both are NaN."""
        apart = [_apart(value, self.autograd) for value in (self.gradient, self.by_hand)]
        return math.inf if any(map(math.isnan, apart)) else max(apart)

    @property
    def units(self) -> float:
        """The difference in units of rounding."""
        if self.difference == 0:
            return 0.0
        return self.difference / self.unit if self.unit > 0 else math.inf

    @property
    def ok(self) -> bool:
        """Whether the product, the hand-written side and autograd agree but for rounding."""
        return self.units <= UNITS_ALLOWED  # false for NaN


class Step:
    """The step with this number, counted from 0, of an experiment's training; the steps before it are taken by hand.

    The experiment must be `explainable`. Raises UsageError for a number past the end of its training.
    """

    def __init__(self, experiment: Experiment, number: int = 0) -> None:
        self.experiment, self.number, self.data = experiment, number, experiment.data()
        self.initial = experiment.weights(experiment.seed, experiment.network)
        hand = ManualSide(experiment, self.data, self.initial)
        with np.errstate(over="ignore", invalid="ignore"):  # a training that diverges is explained all the same
            self.rows = self._train(hand)
            self.state = hand.state()
            backwards: dict[Callable[..., Any], None] = {
                type(m).backward: None for _, m in hand.network.named_modules()
            }
            with watched(*backwards, type(hand.objective.loss).backward) as calls:
                self.loss = float(hand.step(self.rows))
            self._units = self._rounding(hand)
        self.objective, self.targets = hand.objective, hand.targets[self.rows]
        self._network = hand.network
        self._loss_call = next(call for call in calls if call.values["self"] is hand.objective.loss)
        self._calls = [call for call in calls if call is not self._loss_call]
        self.outputs: Array = self._loss_call.values["saved"][0]
        self._by_hand = {name: parameter.grad for name, parameter in hand.network.named_parameters()}
        self._step_autograd()
        self._layers = self._find_layers()

    def _train(self, hand: ManualSide) -> Array:
        """Take the steps before this one by hand, and return this one's rows."""
        samples = len(self.data.inputs)
        in_an_epoch = -(-samples // (self.experiment.batch_size or samples))
        steps = in_an_epoch * self.experiment.epochs
        if self.number >= steps:
            asked = f"--step {self.number}: {self.experiment.name} takes {steps} step{'s' if steps > 1 else ''}"
            raise UsageError(f"{asked}, counted from 0; give a smaller one, or more --epochs")
        all_rows: list[Array] = []
        shortened = replace(self.experiment, epochs=self.number // in_an_epoch + 1)
        run(shortened, samples, all_rows.append, lambda epoch: None)
        for rows in all_rows[: self.number]:
            hand.step(rows)
        return all_rows[self.number]

    def _rounding(self, hand: ManualSide) -> dict[str, Array]:
        """Return one rounding of every gradient, under torch's keys."""
        wide = {key: value.astype(np.float64) for key, value in self.state.items()}
        inputs, targets = (values[self.rows].astype(np.float64) for values in (hand.inputs, hand.targets))
        found = scales(self.experiment, layers(self.experiment.network, wide), inputs, targets).gradients
        eps = float(np.finfo(self.experiment.dtype).eps)
        return {key: eps * scale for key, scale in zip(wide, found, strict=True)}

    def _step_autograd(self) -> None:
        side = TorchSide(self.experiment, self.data, self.state)
        parameters = dict(side.network.named_parameters())
        # Once forward for the graph, which is kept to be read; the step that gives the gradients makes its own.
        index = torch.as_tensor(self.rows)
        output, self._module_of_node = graph.forward(side.network, side.inputs[index])
        loss = side.objective(output, side.targets[index])
        self._nodes = {name: graph.path(loss, parameter) for name, parameter in parameters.items()}
        side.step(self.rows)
        self._autograd = {name: np.asarray(parameter.grad) for name, parameter in parameters.items()}

    def _find_layers(self) -> Layers | None:
        if self.experiment.network.name == "two_two_one":
            return None
        perceptron = self.experiment.network.name == "perceptron"
        calls = [call for call in self._calls if call.values["self"] is not self._network]
        return Layers(self._network, self.state, calls, perceptron)

    def entries(self) -> list[Entry]:
        """Return every number that is trained, in the network's order."""
        if self._layers is None:
            return [Entry(name, name, key, index, name, ()) for name, (key, index) in NINE_SCALARS.items()]
        perceptron = self.experiment.network.name == "perceptron"
        found = []
        for key, shape in layer_shapes(self.experiment.network).items():
            for index in np.ndindex(*shape):
                name = f"{key}[{','.join(map(str, index))}]"
                alias = f"w{index[1] + 1}" if key.endswith("weight") else "b"
                found.append(Entry(name, alias if perceptron else name, key, index, key, index))
        return found

    def find(self, name: str) -> Entry:
        """Return the entry called `name`; UsageError where there is none."""
        entries = self.entries()
        for entry in entries:
            if name.replace(" ", "") in (entry.name, entry.label):
                return entry
        if self._layers is None:
            accepted = ", ".join(entry.name for entry in entries)
        else:
            shapes = layer_shapes(self.experiment.network).items()
            accepted = ", ".join(f"{key}[{','.join(map(_range, shape))}]" for key, shape in shapes)
            labels = [entry.label for entry in entries if entry.label != entry.name]
            accepted = ", ".join(labels) + f" or {accepted}" if labels else accepted
        raise UsageError(f"{self.experiment.name} has no parameter {name!r}; it has {accepted}")

    def explain(self, entry: Entry) -> Explanation:
        """Return the chain of one parameter with its numbers."""
        chain = self._chain(entry)
        with np.errstate(over="ignore", invalid="ignore"):
            products = reduce(np.multiply, (factor.values for factor in chain.factors))
            gradient = float(products.sum())
        by_hand = np.asarray(self._by_hand[entry.own])[entry.own_index]
        autograd = self._autograd[entry.own][entry.own_index]
        unit = self._units[entry.key][entry.index]
        return Explanation(entry, chain, products, gradient, float(by_hand), float(autograd), float(unit))

    def _chain(self, entry: Entry) -> Chain:
        nodes = self._nodes[entry.own]
        if self._layers is None:
            backward = next(call for call in self._calls if call.values["self"] is self._network)
            groups = graph.by_activation(nodes)
            return scalars.chain(entry.name, backward, groups, lambda name, y, n: self._loss(name, y, 0, n))
        by_module = graph.by_module(nodes, self._module_of_node)
        return self._layers.chain(entry.key, entry.index, entry.label, by_module, self._loss)

    def _loss(self, name: str, output: str, unit: int, nodes: Sequence[str]) -> Factor:
        return loss_factor(name, output, unit, self.objective, self._loss_call, self.outputs, self.targets, nodes)


def explainable(experiment: Experiment) -> bool:
    """Whether an experiment has gradients, in a network whose chains can be read."""
    return experiment.kind != "forward" and experiment.layered and experiment.network.name in NETWORKS


def _apart(one: float, other: float) -> float:
    return 0.0 if one == other or (math.isnan(one) and math.isnan(other)) else abs(one - other)


def _range(size: int) -> str:
    return "0" if size == 1 else f"0..{size - 1}"
