"""One step of an experiment, every tensor on the way by name, on both sides, and which of them goes wrong first.

In order of computation: what every module takes and gives, the loss, the gradients with respect to all of these,
those of the parameters, and the parameters after the step. An experiment that is forward only has no loss: a gradient
drawn at random is handed to the output instead.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from handgrad.data import Data
from handgrad.exact import Truth, WideTruth, complex_truth, units
from handgrad.experiment import Experiment, Optimizer, State
from handgrad.judging import ALLOWED, ALLOWED_OF_NOISE, Judgement, judge
from handgrad.loop import Order
from handgrad.recording import MISFITS, Recording, by_hand, with_autograd
from handgrad.sides import ManualSide
from handgrad.tensors import rounded
from handgrad.torch_side import TorchSide, choose_device

Array = np.ndarray[Any, np.dtype[Any]]
Mode = AbstractContextManager[Any]

# Of a tensor with more entries, so many are held against the truth, those where the sides are furthest apart in units
# of rounding. The others are held against each other.
ENTRIES = 24
# Of a network of any modules so many samples are traced, and so many entries held against a complex step.
SAMPLES, FEWER = 4, 3


@dataclass(frozen=True, eq=False)
class Row:
    """One tensor: both values, and at which entry, `at`, they are furthest apart in units of rounding.

    `difference` is |hand - autograd| there, `relative` the same as a part of autograd's largest entry. `ratio` is the
    largest error / max(autograd's error, one rounding). Without a shape or dtype in common, `at` is None and there are
    no numbers. `reason` says why the tensor is out of parity; else "".
    """

    name: str
    hand: Array
    autograd: Array
    at: tuple[int, ...] | None = None
    difference: float = float("nan")
    relative: float = float("nan")
    units: float = float("nan")
    ratio: float = float("nan")
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether the tensor is in parity."""
        return not self.reason


class Trace:
    """The first step of an experiment, traced on both sides and judged tensor by tensor.

    `truth` is what they are held against. `rows` are the tensors that both sides have, `hand_lacks` and
    `autograd_lacks` the names that one has not. `stopped` says where the hand-written side raised an error; what it
    had not reached by then is lacking.
    """

    def __init__(self, experiment: Experiment, device: str = "cpu") -> None:
        self.experiment = experiment
        self.device = choose_device(device, experiment.dtype)
        self.data: Data = experiment.data()
        # Both sides, and the truth, start from the weights as the experiment's dtype has them.
        start = ManualSide(experiment, self.data, experiment.weights(experiment.seed, experiment.network))
        self.start = start.state()
        self.samples = Order(experiment, len(self.data.inputs)).peek()
        if not experiment.layered:
            self.samples = self.samples[:SAMPLES]
        outputs = (len(self.samples), experiment.network.sizes[-1])
        self.upstream = np.random.default_rng([experiment.seed, 2]).standard_normal(outputs)

        self.hand, values = self._by_hand()
        self.autograd, references = self._with_autograd(self.torch_side())
        self.stopped = self.hand.stopped
        self.hand_lacks = [name for name in references if name not in values]
        self.autograd_lacks = [name for name in values if name not in references]
        self.truth = self._truth()
        unit = units(lambda mode: self._with_autograd(self.wide_side(), mode)[1], experiment.dtype)
        count = ENTRIES if experiment.layered or experiment.dtype == "float32" else FEWER
        both = [name for name in values if name in references]
        self.allowed = ALLOWED if experiment.layered else ALLOWED_OF_NOISE
        self.rows = [judged(n, values[n], references[n], self.truth, unit[n], self.allowed, count) for n in both]

    @property
    def ok(self) -> bool:
        """Whether every tensor is in parity."""
        return not self.stopped and all(row.ok for row in self.rows)

    @property
    def first_wrong(self) -> Row | None:
        """The first tensor that is out of parity, in order of computation."""
        return next((row for row in self.rows if not row.ok), None)

    def hand_side(self, dtype: Any = None) -> ManualSide:
        """Return the hand-written side as it stands before the step."""
        return ManualSide(self.experiment, self.data, self.start, dtype)

    def torch_side(self) -> TorchSide:
        """Return autograd's side as it stands before the step."""
        return TorchSide(self.experiment, self.data, self.start, self.device)

    def wide_side(self) -> TorchSide:
        """Return the same in float64 on the CPU, on samples and weights as the experiment's dtype has them."""
        side = TorchSide(self.experiment, self.data, self.start, "cpu", "float64")
        narrow = getattr(torch, self.experiment.dtype)
        side.inputs, side.targets = (rounded(tensor, narrow) for tensor in (side.inputs, side.targets))
        return side

    def _by_hand(self) -> tuple[Recording, State]:
        side = self.hand_side()
        inputs, targets = side.inputs[self.samples], side.targets[self.samples]
        loss = None
        with by_hand(roots(side)) as recording, np.errstate(all="ignore"):
            try:
                if self.experiment.kind == "forward":
                    _, saved = side.network.forward(inputs)
                    side.network.backward(self.upstream.astype(side.dtype), saved)
                else:
                    loss = np.asarray(side.trainer.step(inputs, targets))
            except MISFITS as error:
                recording.stopped = recording.stopped or f"the step raised {type(error).__name__}: {error}"
        named = dict(side.network.named_parameters())
        reached = {n: p for n, p in named.items() if p.grad is not None or not recording.stopped}
        grads = {n: np.zeros_like(p.data) if p.grad is None else np.asarray(p.grad) for n, p in reached.items()}
        after = {name: np.asarray(parameter.data) for name, parameter in named.items()}
        return recording, self._in_order(recording, loss, grads, after)

    def _with_autograd(self, side: TorchSide, mode: Mode | None = None) -> tuple[Recording, State]:
        index = torch.as_tensor(self.samples, device=side.device)
        inputs, targets = (t[index].requires_grad_(t.is_floating_point()) for t in (side.inputs, side.targets))
        upstream = torch.tensor(self.upstream, dtype=side.dtype, device=side.device)
        loss = None
        with with_autograd(roots(side)) as recording, mode or nullcontext():
            if self.experiment.kind == "forward":
                side.network(inputs).backward(upstream)
            else:
                loss = side.trainer.step(inputs, targets).cpu().numpy()
        named = dict(side.network.named_parameters())
        grads = {n: (torch.zeros_like(p) if p.grad is None else p.grad).cpu().numpy() for n, p in named.items()}
        after = {name: parameter.detach().cpu().numpy() for name, parameter in named.items()}
        return recording, self._in_order(recording, loss, grads, after)

    def _in_order(self, recording: Recording, loss: Array | None, grads: State, after: State) -> State:
        """All that one side has computed, under the names that both have, in order of computation."""
        found = dict(recording.values)
        if loss is not None:
            found["loss"] = loss
        found |= {f"d_L_d_{name}": grad for name, grad in (recording.grads | grads).items()}
        if self.experiment.kind != "forward" and self.experiment.optimizer == Optimizer():
            found |= after  # of another rule than plain descent the complex step knows no update
        return found if not recording.stopped else {n: v for n, v in found.items() if n not in after}

    def _truth(self) -> Truth:
        if self.experiment.dtype == "float32":
            return WideTruth(self._with_autograd(self.wide_side())[1])
        side = self.hand_side(np.clongdouble)
        inputs, targets = side.inputs[self.samples], side.targets[self.samples]

        def loss() -> Any:
            output = side.network.forward(inputs)[0]
            if self.experiment.kind == "forward":
                return (output * self.upstream).sum()
            return side.objective.forward(output, targets)[0]

        return complex_truth(roots(side), dict(side.network.named_parameters()), loss, self.experiment.lr)


def roots(side: Any) -> Mapping[str, Any]:
    """Return a side's outermost modules, by the prefix of the names of what is in them."""
    return {"": side.network, "objective": side.objective}


def judged(
    name: str, hand: Array, autograd: Array, truth: Truth, unit: Array, allowed: float, count: int = ENTRIES
) -> Row:
    """Judge one tensor: its shape and dtype, then NaN and infinities, then its numbers, `count` against the truth."""
    if hand.shape != autograd.shape:
        return Row(name, hand, autograd, reason=f"its shape is {hand.shape}, autograd's {autograd.shape}")
    if hand.dtype != autograd.dtype:
        return Row(name, hand, autograd, reason=f"its dtype is {hand.dtype}, autograd's {autograd.dtype}")
    if hand.size == 0:
        return Row(name, hand, autograd, None, 0.0, 0.0, 0.0, 0.0)
    a, b = hand.astype(np.float64), autograd.astype(np.float64)
    apart = judge(a, b, None, unit, allowed).units
    known = np.full(a.shape, np.nan, np.longdouble)
    furthest = [np.unravel_index(i, a.shape) for i in np.argsort(-apart, axis=None, kind="stable")[:count]]
    indices = [tuple(int(i) for i in index) for index in furthest]
    for index, value in zip(indices, truth.entries(name, indices), strict=True):
        known[index] = value
    found = judge(a, b, known, unit, allowed)
    worst = np.unravel_index(int(np.argmax(found.units)), a.shape)
    at = tuple(int(i) for i in worst)
    finite = np.abs(b[np.isfinite(b)]).max(initial=0.0)
    difference = float(found.difference[at])
    relative = 0.0 if difference == 0 else difference / float(finite) if finite else float("inf")
    reason = "" if found.good.all() else _reason(a, b, found)
    return Row(name, hand, autograd, at, difference, relative, float(found.units[at]), float(found.ratio.max()), reason)


def _reason(hand: Array, autograd: Array, found: Judgement) -> str:
    at = np.unravel_index(int(np.argmin(found.good)), hand.shape)
    place = f"[{','.join(str(int(i)) for i in at)}]" if at else "it"
    if not (np.isfinite(hand[at]) and np.isfinite(autograd[at])):
        return f"{place} is {hand[at]} by hand, {autograd[at]} with autograd"
    error, other, allowed = (float(part[at]) for part in (found.error, found.other, found.allowed))
    return f"{place} is off by {error:.2e}, autograd's by {other:.2e}, allowed are {allowed:.2e}"
