"""The forward under test as a graph: the operations that torch ran, and the gradient of every tensor on the way.

Gradients come from autograd; `after` tells how they would change if one of them were another, `again` how the values
would.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves, tree_map

from handgrad.checking.recorder import Node, Recorder, storage
from handgrad.errors import UsageError

__all__ = ["Array", "Arrays", "Forward", "Node", "Record", "Tensor", "without_gradient"]

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]
Tensor = torch.Tensor
Forward = Callable[[Any, Any], Any]


@dataclass(eq=False)
class Record:
    """One run of the forward: leaves, named tensors in order of computation, the loss and all operations.

    `named` holds the parameters', inputs' and intermediates' tensors by name; `parameters`, `inputs` and
    `intermediates` are those names. `grads` has, by the tensor's identity, the gradient of the loss with
    respect to every tensor that has one; `needed` are tensors whose gradients have to be asked for with any others.
    """

    nodes: list[Node]
    named: dict[str, Tensor]
    parameters: list[str]
    inputs: list[str]
    intermediates: list[str]
    loss: Tensor
    grads: dict[int, Tensor] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)
    needed: list[Tensor] = field(default_factory=list)

    @staticmethod
    def run(
        forward: Forward,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        mode: Any = None,
        fixed: Collection[str] = (),
    ) -> "Record":
        """Run `forward` on tensors made of these arrays, and return what was seen; `fixed` inputs have no gradient."""
        p, x = _leaves(params), _leaves(inputs, fixed)
        recorder = Recorder(Record.run.__code__) if mode is None else mode
        with sdpa_kernel(SDPBackend.MATH), recorder:  # torch's fused attention as the operations that it fuses
            result = forward(dict(p), dict(x))
        loss, named = _parts(result)
        _check_loss(loss)
        _check_names(named, p, x)
        record = Record([*getattr(recorder, "nodes", [])], {**p, **x, **named}, list(p), list(x), [], loss)
        record.intermediates = record._in_order(named)
        record._refuse_overwritten()
        with recorder:
            record._differentiate()
        return record

    def _in_order(self, named: Mapping[str, Tensor]) -> list[str]:
        made = {id(out): node.index for node in self.nodes for out in node.outputs}
        return sorted(named, key=lambda name: made.get(id(named[name]), -1))

    def _refuse_overwritten(self) -> None:
        """Raise UsageError where a named tensor was overwritten after it had been used."""
        by_storage: dict[int, list[str]] = {}
        for name in self.intermediates:
            by_storage.setdefault(storage(self.named[name]), []).append(name)
        used: set[int] = set()
        for node in self.nodes:
            if node.in_place and isinstance(node.args[0], Tensor):
                target = node.args[0]
                names = by_storage.get(storage(target), [])
                same = [name for name in names if self.named[name] is target]
                if names and (id(target) in used or len(same) > 1):
                    others = [*names, *(n for n in (*self.parameters, *self.inputs) if self.named[n] is target)]
                    raise UsageError(
                        f"forward overwrites {' and '.join(repr(n) for n in others)} in place ({node.op}, line "
                        f"{node.line}): its value and its gradient are lost; use the operation without the "
                        "underscore, or name a clone()"
                    )
            else:
                used.update(id(tensor) for tensor in node.inputs)

    def _differentiate(self) -> None:
        found: dict[int, Tensor] = {}
        for tensor in (*self.named.values(), *(t for node in self.nodes for t in (*node.inputs, *node.outputs))):
            if tensor.requires_grad and tensor.is_floating_point():
                found.setdefault(id(tensor), tensor)
        self.tensors = list(found.values())
        # Asked for the gradients of a group norm's gain alone, torch 2.13 dies where x has its channels last.
        self.needed = [node.inputs[0] for node in self.nodes if node.op == "native_group_norm"]
        try:
            grads = torch.autograd.grad(self.loss, self.tensors, retain_graph=True, allow_unused=True)
        except (RuntimeError, NotImplementedError) as error:
            said = str(error).splitlines()[0]
            raise UsageError(f"torch cannot differentiate this forward: {said}") from None
        self.grads = {id(t): g for t, g in zip(self.tensors, grads, strict=True) if g is not None}

    def grad(self, tensor: Tensor) -> Tensor:
        """Return the gradient of the loss with respect to any tensor of the run; zeros where there is none."""
        found = self.grads.get(id(tensor))
        return torch.zeros_like(tensor) if found is None else found

    def after(self, changes: Iterable[tuple[Tensor, Tensor]], wanted: Sequence[Tensor]) -> list[Tensor]:
        """Return how the gradients of `wanted` change when gradients at some tensors are off by given amounts.

        A backward pass is linear in the gradients that it hands on, so the change is one more backward pass.
        """
        given = [(tensor, change.reshape(tensor.shape)) for tensor, change in changes if tensor.requires_grad]
        outside = [t for t in (*wanted, *self.needed) if t.requires_grad]
        found: dict[int, Tensor] = {}
        if given and outside:
            outputs, grads = zip(*given, strict=True)
            through = torch.autograd.grad(outputs, outside, grads, retain_graph=True, allow_unused=True)
            found = {id(t): g for t, g in zip(outside, through, strict=True) if g is not None}
        return [found[id(t)] if id(t) in found else torch.zeros_like(t) for t in wanted]

    def again(self, changes: Mapping[int, Tensor]) -> dict[int, Tensor] | None:
        """Run the operations again with other values for some tensors; return all values that change.

        None where an operation on the way is random, or needs a value that was overwritten.
        """
        values = dict(changes)
        for node in self.nodes:
            if not any(id(t) in values for t in node.inputs):
                continue
            unknown = any(id(t) in node.lost and id(t) not in values for t in node.inputs)
            if unknown or node.random:
                return None
            args, kwargs = tree_map(lambda leaf: values.get(id(leaf), leaf), (node.args, node.kwargs))
            if node.in_place:
                if not (isinstance(args[0], Tensor) and id(node.args[0]) in values and node.args[0]._base is None):
                    return None
                args = (args[0].clone(), *args[1:])
            with torch.no_grad():
                results = [leaf for leaf in tree_leaves(node.func(*args, **kwargs)) if isinstance(leaf, Tensor)]
            for tensor, result in zip(node.outputs, results, strict=True):
                if id(tensor) not in changes or node.in_place:
                    values[id(tensor)] = result
        return values


def without_gradient(forward: Forward, params: Mapping[str, Array], inputs: Mapping[str, Array]) -> list[str]:
    """Return the inputs that torch does not differentiate by here: the classes' weights in a loss, running means."""
    floats = [name for name, array in inputs.items() if array.dtype.kind == "f"]
    if _differentiable(forward, params, inputs, ()) or not _differentiable(forward, params, inputs, floats):
        return []  # if it is for another reason that it fails, that will be said where it is run
    fixed = list(floats)
    for name in floats:
        fewer = [other for other in fixed if other != name]
        fixed = fewer if _differentiable(forward, params, inputs, fewer) else fixed
    return fixed


def _differentiable(
    forward: Forward, params: Mapping[str, Array], inputs: Mapping[str, Array], fixed: Collection[str]
) -> bool:
    p, x = _leaves(params), _leaves(inputs, fixed)
    try:
        loss, _ = _parts(forward(dict(p), dict(x)))
        leaves = [t for t in (*p.values(), *x.values()) if t.requires_grad]
        if leaves and isinstance(loss, Tensor) and loss.requires_grad and loss.numel() == 1:
            torch.autograd.grad(loss, leaves, allow_unused=True)
    except RuntimeError as error:
        return not any(word in str(error) for word in ("differentiable with respect to", "derivative for"))
    return True


def _leaves(arrays: Mapping[str, Array], fixed: Collection[str] = ()) -> dict[str, Tensor]:
    found = {}
    for name, array in arrays.items():
        tensor = torch.from_numpy(np.array(array))  # a copy: from_numpy shares memory
        found[name] = tensor.requires_grad_() if tensor.is_floating_point() and name not in fixed else tensor
    return found


def _parts(result: Any) -> tuple[Any, dict[str, Tensor]]:
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping):
        return result[0], dict(result[1])
    return result, {}


def _check_loss(loss: Any) -> None:
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.is_floating_point():
        shape = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise UsageError(
            f"forward returned {shape} as the loss; return a tensor of one number, or (loss, {{name: tensor}})"
        )
    if not loss.requires_grad:
        raise UsageError(
            "the loss that forward returned depends on no parameter and no input; leave out detach() and .item()"
        )


def _check_names(named: Mapping[str, Any], *taken: Mapping[str, Any]) -> None:
    for name, tensor in named.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UsageError(
                f"forward named {name!r} a {type(tensor).__name__}; names are strings, their values tensors"
            )
        for other in taken:
            if name in other and other[name] is not tensor:
                raise UsageError(
                    f"forward gives the name {name!r} to another tensor than the parameter or input {name!r}"
                )
    for name in list(named):
        if any(name in other for other in taken):
            del named[name]  # type: ignore[attr-defined]
