"""A layer by hand and torch's twin of it, run on the same weights, buffers and inputs."""

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.func import functional_call
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from handgrad.checking.record import Array, Arrays, Tensor
from handgrad.errors import UsageError


def flat_inputs(torch_layer: torch.nn.Module, inputs: Sequence[Any], taken: Sequence[str]) -> tuple[Arrays, Any]:
    """Return the inputs' arrays by the names of torch's arguments, and how they stand in one another."""
    arguments = inspect.signature(torch_layer.forward).parameters.values()
    names = [a.name for a in arguments if a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD)]
    found: Arrays = {}
    for place, value in enumerate(inputs):
        leaves = tree_leaves(value)
        base = names[place] if place < len(names) else f"input{place}"
        base = "input" if len(inputs) == 1 and len(leaves) == 1 else base
        for number, leaf in enumerate(leaves):
            name = base if len(leaves) == 1 else f"{base}{number}"
            array = leaf.detach().cpu().numpy() if isinstance(leaf, Tensor) else np.asarray(leaf)
            if array.dtype.kind not in "fiub":
                raise UsageError(
                    f"input {name!r} is a {type(leaf).__name__}; give arrays, and anything else as options={{...: ...}}"
                )
            found[f"input {name}" if name in taken else name] = array
    return found, tree_flatten(tuple(inputs))[1]


class TorchSide:
    """torch's module in float64, as a function of its parameters and inputs; its buffers are never changed."""

    def __init__(self, module: torch.nn.Module, options: Mapping[str, Any], structure: Any) -> None:
        self.module = copy.deepcopy(module).double().cpu()
        self.name = type(module).__name__
        self.options, self.structure = dict(options), structure
        self.parameters = {name: p.detach().numpy() for name, p in self.module.named_parameters()}
        self.buffers = {name: np.array(b.numpy()) for name, b in self.module.named_buffers()}

    def run(
        self, params: Mapping[str, Any], inputs: Mapping[str, Any], training: bool, buffers: Arrays | None = None
    ) -> tuple[Any, dict[str, Tensor]]:
        """Return the output as torch gives it, and the buffers after this forward."""
        kept = {name: torch.tensor(b) for name, b in (self.buffers if buffers is None else buffers).items()}
        given = {name: p if isinstance(p, Tensor) else torch.tensor(p) for name, p in params.items()}
        leaves = [x if isinstance(x, Tensor) else torch.tensor(x) for x in inputs.values()]
        self.module.train(training)
        output = functional_call(self.module, {**given, **kept}, tree_unflatten(leaves, self.structure), self.options)
        return output, kept

    def draw(self, rng: np.random.Generator) -> Arrays:
        """Draw parameters about as large as torch's own; none is 0 or 1, which would hide what they multiply."""
        found = {}
        for name, value in self.parameters.items():
            spread = float(value.std()) if value.size > 1 else 0.0
            found[name] = value.mean() + (spread or 0.5) * rng.standard_normal(tuple(value.shape))
        return found


def floats(output: Any) -> list[Any]:
    """Return the tensors or arrays of floats in an output; None and indices have no gradient."""
    return [x for x in tree_leaves(output) if _is_float(x)]


def _is_float(x: Any) -> bool:
    if isinstance(x, Tensor):
        return x.is_floating_point()
    return isinstance(x, float) or (isinstance(x, np.ndarray | np.generic) and x.dtype.kind == "f")


def grad_output(output: Any, upstream: Sequence[Any]) -> Any:
    """Return the upstream gradients in the structure of the output, None where there is no float."""
    leaves, structure = tree_flatten(output)
    rest = iter(upstream)
    given = [next(rest) if any(leaf is x for x in floats(output)) else None for leaf in leaves]
    return tree_unflatten(given, structure)


class HandSide:
    """The layer under test; every run is on a copy with parameters, buffers and mode set."""

    def __init__(self, layer: Any, torch_side: TorchSide) -> None:
        for half in ("forward", "backward"):
            if not callable(getattr(layer, half, None)):
                raise UsageError(
                    f"{type(layer).__name__} has no {half}; the contract is y, saved = layer.forward(*inputs) and "
                    "grads = layer.backward(grad_output, saved)"
                )
        self.layer, self.torch_side = layer, torch_side
        for name, value in torch_side.parameters.items():
            own = at(layer, name)
            if own is None or not hasattr(own, "data") or not hasattr(own, "grad"):
                expected = ", ".join(f"{n} {v.shape}" for n, v in torch_side.parameters.items())
                raise UsageError(
                    f"{type(layer).__name__} has no parameter {name!r} with .data and .grad; "
                    f"torch's {torch_side.name} has {expected}"
                )
            if np.shape(own.data) != value.shape:
                raise UsageError(
                    f"{name} is of shape {np.shape(own.data)}, torch's of {value.shape}; "
                    "torch's weights are loaded into it, so the shapes have to be torch's"
                )
        extra = [name for name, _ in getattr(layer, "named_parameters", list)() if name not in torch_side.parameters]
        if extra:
            raise UsageError(f"torch's {torch_side.name} has no parameter {', '.join(extra)}; compare like with like")

    def loaded(self, params: Mapping[str, Array], buffers: Mapping[str, Array], training: bool) -> Any:
        """Return a copy of the layer with these parameters, their gradients cleared, and these buffers."""
        layer = copy.deepcopy(self.layer)
        for name, value in params.items():
            own = at(layer, name)
            own.data = np.array(value)
            own.grad = None if own.grad is None else np.zeros_like(own.data)
        for name, value in buffers.items():
            if at(layer, name) is not None:
                *path, leaf = name.split(".")
                setattr(at(layer, ".".join(path)) if path else layer, leaf, np.array(value))
        if callable(getattr(layer, "train", None)):
            layer.train(training)
        elif hasattr(layer, "training"):
            layer.training = training
        return layer

    def has_mode(self) -> bool:
        """Return whether the layer can be told to train or to evaluate."""
        return callable(getattr(self.layer, "train", None)) or hasattr(self.layer, "training")

    def forward(self, layer: Any, inputs: Mapping[str, Array]) -> tuple[Any, Any]:
        """Return (y, saved) of a loaded copy."""
        given = tree_unflatten(list(inputs.values()), self.torch_side.structure)
        result = layer.forward(*given, **self.torch_side.options)
        if not isinstance(result, tuple) or len(result) != 2:
            raise UsageError(
                f"{type(layer).__name__}.forward returned {type(result).__name__}; return two things, (y, saved)"
            )
        return result

    def call(self, layer: Any, inputs: Mapping[str, Array]) -> Any:
        """Return what calling a loaded copy returns."""
        return layer(*tree_unflatten(list(inputs.values()), self.torch_side.structure), **self.torch_side.options)

    def backward(self, layer: Any, upstream: Any, saved: Any, inputs: Mapping[str, Array], **options: Any) -> Arrays:
        """Return the gradients of the inputs by name, leaving out those for which None stands."""
        result = layer.backward(upstream, saved, **options)
        leaves = tree_leaves(result)
        if len(leaves) != len(inputs):
            raise UsageError(
                f"{type(layer).__name__}.backward returned {len(leaves)} gradients for {len(inputs)} inputs; "
                "return one for each, None for an index"
            )
        return {name: np.asarray(g) for name, g in zip(inputs, leaves, strict=True) if g is not None}


def at(root: Any, dotted: str) -> Any:
    """Return what stands under a state-dict key: attributes, list entries or dict entries; None if nothing does."""
    for part in dotted.split("."):
        if isinstance(root, Mapping):
            root = root.get(part)
        elif isinstance(root, list | tuple) and part.isdigit():
            root = root[int(part)] if int(part) < len(root) else None
        else:
            root = getattr(root, part, None)
    return root
