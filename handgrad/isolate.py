"""Each module of a traced step alone: given what autograd's side was given, and a random upstream gradient.

So a right module behind a wrong one is cleared, and two wrong ones are both found. A module that is made of modules is
run with autograd's in their places: what is judged is how it puts them together.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from handgrad.exact import NoTruth, Truth, WideTruth, complex_truth, units
from handgrad.experiment import State
from handgrad.recording import MISFITS, Call, array, mapped, mapped_inputs, modules, replaced
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide
from handgrad.trace import Mode, Row, Trace, judged, roots
from manual.module import Module

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class Isolated:
    """One call of one module, judged alone: `kind` is its class, `rows` its output and its gradients.

    `against` says in words what these were held against, `stopped` why there is nothing to hold.
    """

    name: str
    kind: str
    against: str
    rows: list[Row]
    stopped: str = ""

    @property
    def ok(self) -> bool:
        """Whether the module is right."""
        return not self.reason

    @property
    def reason(self) -> str:
        """What is wrong with it first, or ""."""
        return self.stopped or next((f"{row.name}: {row.reason}" for row in self.rows if not row.ok), "")


def isolate(trace: Trace) -> list[Isolated]:
    """Judge every call of every module that both sides have, in order of computation."""
    sides = _Sides(trace.hand_side(), trace.torch_side(), trace.wide_side(), trace.hand_side(np.clongdouble))
    both = modules(roots(sides.hand))
    seeds = ([trace.experiment.seed, 3, number] for number in range(len(trace.autograd.calls)))
    calls = zip(trace.autograd.calls, seeds, strict=True)
    return [
        _Alone(sides, call, seed, trace.experiment.dtype, trace.allowed).judged()
        for call, seed in calls
        if call.path in both
    ]


class _Sides(NamedTuple):
    """Everything that computes, as it stands before the step."""

    hand: ManualSide
    autograd: TorchSide
    wide: TorchSide
    complex: ManualSide


class _Alone:
    """One call of one module, on both sides."""

    def __init__(self, sides: _Sides, call: Call, seed: list[int], dtype: str, allowed: float) -> None:
        self.sides, self.call, self.path, self.seed = sides, call, call.path, seed
        self.dtype, self.allowed = dtype, allowed

    def judged(self) -> Isolated:
        """Run the module on both sides and judge its output and every gradient."""
        module: Module = modules(roots(self.sides.hand))[self.path]
        kind = type(module).__name__
        references = self._with_autograd(self.sides.autograd)
        try:
            values = self._by_hand(module)
        except MISFITS as error:
            return Isolated(self.call.name, kind, "", [], f"raised {type(error).__name__}: {error}")
        lost = [name for name, value in references.items() if name not in values and value.any()]
        if lost:
            return Isolated(self.call.name, kind, "", [], f"gives no {', '.join(lost)}")
        truth: Truth = NoTruth()  # the complex step does not go through autograd's modules inside of this one
        if self.dtype == "float32":
            truth = WideTruth(self._with_autograd(self.sides.wide))
        elif not dict(module.named_children()):
            truth = self._complex_truth()
        unit = units(lambda mode: self._with_autograd(self.sides.wide, mode), self.dtype)
        rows = [judged(n, values[n], references[n], truth, unit[n], self.allowed) for n in values if n in references]
        return Isolated(self.call.name, kind, truth.kind, rows)

    def _upstream(self, output: Any) -> Any:
        """Return a random gradient of the structure of `output`, the same on both sides, in float64."""
        random = np.random.default_rng(self.seed)
        return mapped(output, "", lambda name, value: random.standard_normal(np.shape(value)))

    def _with_autograd(self, side: TorchSide, mode: Mode | None = None) -> State:
        module = modules(roots(side))[self.path]
        run = _Run(module, self.call.inputs, self.call.options, side, mode)
        return self._named(run.output, *run.gradients(self._upstream(run.output)))

    def _by_hand(self, module: Module) -> State:
        side = self.sides.autograd
        module.zero_grad()
        inputs = mapped(self.call.inputs, "", lambda name, value: _typed(value, self.dtype))
        with _children_by_autograd(module, modules(roots(side))[self.path], side), np.errstate(all="ignore"):
            output, saved = module.forward(*inputs, **self.call.options)
            upstream = mapped(self._upstream(output), "", lambda name, value: _typed(value, self.dtype))
            grads = module.backward(upstream, saved)
        named = dict(module.named_parameters())
        by_parameter = {n: np.zeros_like(p.data) if p.grad is None else p.grad for n, p in named.items()}
        return self._named(output, grads if isinstance(grads, tuple) else (grads,), by_parameter)

    def _complex_truth(self) -> Truth:
        module: Module = modules(roots(self.sides.complex))[self.path]
        inputs = mapped(self.call.inputs, "", lambda name, value: _typed(value, np.clongdouble))

        def forward() -> Any:
            output = module.forward(*inputs, **self.call.options)[0]
            products: list[Any] = []
            upstream = iter(_leaves(self._upstream(output)))
            mapped(output, "", lambda name, value: products.append((value * next(upstream)).sum()))
            return sum(products)

        prefix = "" if self.path == "network" else f"{self.path}."
        parameters = {prefix + name: parameter for name, parameter in module.named_parameters()}
        return complex_truth({self.path: module}, parameters, forward)

    def _named(self, output: Any, grads: tuple[Any, ...], by_parameter: Mapping[str, Any]) -> State:
        found: State = {}

        def keep(name: str, value: Any) -> None:
            found[name] = np.asarray(array(name, value))

        mapped(output, f"{self.path}.output", keep)
        single = all(given is None for given in self.call.inputs[1:])
        mapped_inputs(grads, f"d_L_d_{self.path}.input", keep, single)
        prefix = "" if self.path == "network" else f"{self.path}."
        for name, grad in by_parameter.items():
            keep(f"d_L_d_{prefix}{name}", grad)
        return found


class _Run:
    """One run of a module of torch's on arrays: its output, and the gradients that follow from one of the output."""

    def __init__(
        self,
        module: nn.Module,
        inputs: Any,
        options: Any,
        side: TorchSide,
        mode: Mode | None = None,
    ) -> None:
        self.mode = mode or nullcontext()
        self.parameters = dict(module.named_parameters())
        self.to_tensor = lambda name, value: _tensor(value, side)
        self.inputs = mapped(inputs, "", self.to_tensor)
        with self.mode:
            self.output = module(*self.inputs, **mapped(options, "", self.to_tensor))

    def gradients(self, upstream: Any) -> tuple[tuple[Any, ...], dict[str, Tensor]]:
        """Return the gradients of the inputs, in their structure, and those of the parameters by name."""
        wanted = [t for t in _leaves((self.inputs, self.parameters)) if isinstance(t, Tensor) and t.requires_grad]
        pairs = _pairs(self.output, mapped(upstream, "", self.to_tensor))
        outputs, grads = zip(*((y, g.detach()) for y, g in pairs if y.requires_grad), strict=True)
        with self.mode:
            found = torch.autograd.grad(outputs, wanted, grads, allow_unused=True)
        by_tensor = {id(t): torch.zeros_like(t) if g is None else g for t, g in zip(wanted, found, strict=True)}
        inputs: tuple[Any, ...] = mapped(self.inputs, "", lambda name, value: by_tensor.get(id(value)))
        return inputs, {name: by_tensor[id(parameter)] for name, parameter in self.parameters.items()}


def _children_by_autograd(module: Module, twin: nn.Module, side: TorchSide) -> AbstractContextManager[None]:
    """Let autograd compute what the modules inside `module` compute, forward and back, while the context lasts."""
    twins = dict(twin.named_modules())
    inside = ((child, name) for name, child in module.named_modules() if name and name in twins)
    return replaced((child, _halves(child, twins[name], side)) for child, name in inside)


def _halves(child: Module, twin: nn.Module, side: TorchSide) -> dict[str, Any]:
    def forward(*inputs: Any, **options: Any) -> tuple[Any, _Run]:
        run = _Run(twin, inputs, options, side)
        return mapped(run.output, "", array), run

    def backward(grad_output: Any, saved: _Run, *, input_grad: bool = True) -> Any:
        grads, by_parameter = saved.gradients(grad_output)
        for name, parameter in child.named_parameters():
            parameter.accumulate(array(name, by_parameter[name]))
        arrays = mapped(grads, "", array)
        if "hx" in signature(type(child).forward).parameters and len(arrays) == 1:
            arrays = (*arrays, None)  # a state that was not given has None for a gradient
        return arrays[0] if len(arrays) == 1 else arrays

    return {"forward": forward, "backward": backward}


def _typed(value: Any, dtype: Any) -> Any:
    """Return an array of floats in another dtype; anything else as it is."""
    return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def _tensor(value: Any, side: TorchSide) -> Any:
    """Return an array of floats as a tensor that has a gradient, one of integers as a tensor."""
    if not isinstance(value, np.ndarray | np.generic | float):
        return value
    tensor = torch.tensor(value, device=side.device)
    return tensor.to(side.dtype).requires_grad_() if tensor.is_floating_point() else tensor


def _pairs(output: Any, grad: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each tensor of an output with its gradient; an output that is not used has None for one."""
    if isinstance(output, tuple | list):
        for part, grad_part in zip(output, [None] * len(output) if grad is None else grad, strict=True):
            yield from _pairs(part, grad_part)
    elif grad is not None:
        yield output, grad


def _leaves(value: Any) -> list[Any]:
    found: list[Any] = []
    mapped(value, "", lambda name, leaf: found.append(leaf))
    return found
