"""The forward under test as a graph: every operation that torch ran, its operands, its result and who called it.

A dispatch mode sees what the autograd graph alone has lost: constants, in-place results, integer operands,
and which line of the forward asked for the operation. Gradients come from autograd, for every tensor on the way,
and `after` tells how they would change if one of them were another.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from handgrad.errors import UsageError

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]
Tensor = torch.Tensor
Forward = Callable[[Any, Any], Any]

_OURS = str(Path(__file__).parents[1])
_TORCH = str(Path(torch.__file__).parent)


@dataclass(eq=False)
class Node:
    """One operation of the forward, below autograd: `inputs` are its tensors, in the order of its arguments.

    `site` says where in the code under test it was called, through all of that code's frames: a line in a loop
    is one site. `line` and `file` are those of the innermost frame. `stale` is set where a later in-place
    operation has overwritten an operand or the result; `lost` are the identities of those operands.
    """

    index: int
    op: str
    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: list[Tensor]
    outputs: list[Tensor]
    site: tuple[Any, ...]
    file: str
    line: int
    in_place: bool = False
    stale: bool = False
    lost: set[int] = field(default_factory=set)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation; those that only make an alias of a tensor are kept, detach alone is not."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes: list[Node] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is torch.ops.aten.detach.default:  # autograd's own, for what it saves
            return result
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        written = func._schema.is_mutable
        if written:
            self._overwritten(args[0] if args else kwargs.get("out"))
        site, file, line = _caller()
        lost = {id(args[0])} if written and args and isinstance(args[0], Tensor) else set()
        op = func._schema.name.removeprefix("aten::")
        self.nodes.append(
            Node(
                len(self.nodes),
                op,
                func,
                tuple(args),
                kwargs,
                inputs,
                outputs,
                site,
                file,
                line,
                written,
                written,
                lost,
            )
        )
        return result

    def _overwritten(self, tensor: Any) -> None:
        if isinstance(tensor, Tensor):
            for node in self.nodes:
                shared = [t for t in (*node.inputs, *node.outputs) if _storage(t) == _storage(tensor)]
                node.stale = node.stale or bool(shared)
                node.lost.update(id(t) for t in shared if any(t is operand for operand in node.inputs))


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage().data_ptr())


def _caller() -> tuple[tuple[Any, ...], str, int]:
    """Return the frames of the code under test that led here, and the innermost one's file and line."""
    frame: Any = sys._getframe(2)
    site: list[Any] = []
    file, line = "", 0
    while frame is not None:
        code = frame.f_code
        if code is Record.run.__code__:
            break
        if not code.co_filename.startswith((_TORCH, _OURS)):
            if not site:
                file, line = code.co_filename, frame.f_lineno
            site.append((code.co_filename, code.co_qualname, frame.f_lasti))
        frame = frame.f_back
    return tuple(site), file, line


@dataclass(eq=False)
class Record:
    """One run of the forward: leaves, named tensors in order of computation, the loss and all operations.

    `named` holds the parameters', inputs' and intermediates' tensors by name; `parameters`, `inputs` and
    `intermediates` are those names. `grads` has, by the tensor's identity, the gradient of the loss with
    respect to every tensor that has one.
    """

    nodes: list[Node]
    named: dict[str, Tensor]
    parameters: list[str]
    inputs: list[str]
    intermediates: list[str]
    loss: Tensor
    grads: dict[int, Tensor] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)

    @staticmethod
    def run(forward: Forward, params: Mapping[str, Array], inputs: Mapping[str, Array], mode: Any = None) -> "Record":
        """Run `forward` on tensors made of these arrays, and return what was seen."""
        p, x = _leaves(params), _leaves(inputs)
        recorder = _Recorder() if mode is None else mode
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
            by_storage.setdefault(_storage(self.named[name]), []).append(name)
        used: set[int] = set()
        for node in self.nodes:
            if node.in_place and isinstance(node.args[0], Tensor):
                target = node.args[0]
                names = by_storage.get(_storage(target), [])
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
        grads = torch.autograd.grad(self.loss, self.tensors, retain_graph=True, allow_unused=True)
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
        outside = [t for t in wanted if t.requires_grad]
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
            if unknown or torch.Tag.nondeterministic_seeded in node.func.tags:
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


def _leaves(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    found = {}
    for name, array in arrays.items():
        tensor = torch.from_numpy(np.array(array))  # a copy: from_numpy shares memory
        found[name] = tensor.requires_grad_() if tensor.is_floating_point() else tensor
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
