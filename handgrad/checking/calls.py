"""One function under check and its reference, called on copies of the same inputs in any dtype."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves

from handgrad.checking.record import Arrays, Tensor
from handgrad.errors import UsageError

Tensors = dict[str, Tensor]


@dataclass(eq=False)
class Call:
    """`inputs` are the arrays by the names of the arguments (reference's, or fn's), `places` where they stand in them.

    `wanted` are the names of those that are differentiated; `device` is where `fn` runs.
    """

    fn: Callable[..., Any]
    reference: Callable[..., Any]
    arguments: list[Any]
    places: dict[str, int]
    inputs: Arrays
    wanted: list[str]
    device: torch.device

    @staticmethod
    def of(fn: Callable[..., Any], reference: Callable[..., Any], arguments: Sequence[Any]) -> "Call":
        """Sort the arguments into tensors and others."""
        for name, function in (("fn", fn), ("reference", reference)):
            if not callable(function):
                raise UsageError(f"{name} is a {type(function).__name__}; give a function of tensors")
        names = _names(reference) or _names(fn)
        places, asked, device = {}, [], torch.device("cpu")
        for place, value in enumerate(arguments):
            if isinstance(value, Tensor | np.ndarray):
                name = names[place] if place < len(names) else f"input{place}"
                places[name] = place
                if isinstance(value, Tensor):
                    asked += [name] * value.requires_grad
                    device = value.device
        call = Call(fn, reference, list(arguments), places, {}, [], device)
        call.inputs = call.flat(arguments)
        differentiable = [name for name, value in call.inputs.items() if value.dtype.kind == "f"]
        call.wanted = [name for name in differentiable if name in asked] or differentiable
        if not call.wanted:
            raise UsageError("no input is a tensor or an array of floats; there is nothing to differentiate")
        return call

    def flat(self, arguments: Sequence[Any]) -> Arrays:
        """Return the arrays among these arguments by name, floats in float64."""
        found: Arrays = {}
        for name, place in self.places.items():
            value = arguments[place]
            array = value.detach().cpu() if isinstance(value, Tensor) else torch.as_tensor(np.array(value))
            found[name] = (array.double() if array.is_floating_point() else array).numpy()
        return found

    def tensors(self, inputs: Mapping[str, Any], dtype: torch.dtype, device: torch.device | None = None) -> Tensors:
        """Return fresh tensors in `dtype`, those that are wanted as leaves with a gradient."""
        found = {}
        for name, value in inputs.items():
            tensor = torch.tensor(value, device=self.device if device is None else device)
            tensor = tensor.to(dtype) if tensor.is_floating_point() else tensor
            found[name] = tensor.requires_grad_() if name in self.wanted else tensor
        return found

    def outputs(self, function: Callable[..., Any], tensors: Mapping[str, Tensor]) -> list[Tensor]:
        """Return the outputs of floats."""
        arguments = list(self.arguments)
        for name, place in self.places.items():
            arguments[place] = tensors[name]
        leaves = tree_leaves(function(*arguments))
        return [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point()]

    def same_outputs(self, dtype: torch.dtype) -> None:
        """Raise UsageError unless fn gives as many outputs as reference, of the same shapes, with gradients."""
        given, right = (self.outputs(f, self.tensors(self.inputs, dtype)) for f in (self.fn, self.reference))
        shapes = [[tuple(o.shape) for o in part] for part in (given, right)]
        if shapes[0] != shapes[1] or not right:
            raise UsageError(
                f"fn returns tensors of shapes {shapes[0]}, reference of {shapes[1]}; compare like with like"
            )
        for name, part in (("fn", given), ("reference", right)):
            if not any(o.requires_grad for o in part):
                raise UsageError(
                    f"what {name} returns has no grad_fn: give MyFunction.apply, not forward, and no detach()"
                )

    def grads(
        self,
        outputs: Sequence[Tensor],
        tensors: Mapping[str, Tensor],
        upstream: Sequence[Any],
        notes: list[str] | None = None,
        retain: bool = False,
    ) -> Tensors:
        """Return the gradients of sum(output * upstream), zeros where backward returns None."""
        pairs = [(o, g) for o, g in zip(outputs, upstream, strict=True) if o.requires_grad]
        handed = [g if isinstance(g, Tensor) else torch.tensor(g, dtype=o.dtype, device=o.device) for o, g in pairs]
        wanted = [tensors[name] for name in self.wanted if tensors[name].requires_grad]
        names = [name for name in self.wanted if tensors[name].requires_grad]
        found = torch.autograd.grad([o for o, _ in pairs], wanted, handed, allow_unused=True, retain_graph=retain)
        if notes is not None:
            notes += [f"backward returns None for {n}" for n, g in zip(names, found, strict=True) if g is None]
        return {
            name: torch.zeros_like(t) if g is None else g.detach()
            for name, t, g in zip(names, wanted, found, strict=True)
        }


def _names(function: Callable[..., Any]) -> list[str]:
    """Return the names of a function's arguments; none of one that is written in C++, or of Function.apply."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
