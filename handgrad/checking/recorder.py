"""What torch runs while somebody's code runs: every operation, its operands, its result and who called it.

A dispatch mode sees what the autograd graph alone has lost: constants, in-place results, integer operands, and which
line of the forward asked for the operation.
"""

import os
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Tensor = torch.Tensor

_OURS = f"{Path(__file__).parents[1]}{os.sep}"
_TORCH = f"{Path(torch.__file__).parent}{os.sep}"


@dataclass(eq=False)
class Node:
    """One operation of the forward, below autograd: `inputs` are its tensors, in the order of its arguments.

    `site` says where in the code under test it was called, through all of that code's frames: a line in a loop
    is one site. `line` and `file` are those of the innermost frame. `stale` is set where a later in-place
    operation has overwritten an operand or the result; `lost` are the identities of those operands; `random` where
    it draws numbers.
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
    random: bool = False


# What gives a tensor in several parts is noted as several operations, each with a part of its own.
_IN_PARTS = ("split", "split_with_sizes", "unsafe_split", "unbind", "chunk", "tensor_split")


def _part(func: Any, number: int, *args: Any, **kwargs: Any) -> Tensor:
    found: Tensor = func(*args, **kwargs)[number]
    return found


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation; those that only make an alias of a tensor are kept, detach alone is not.

    `last` is the code object whose frame is below all of the code under test.
    """

    def __init__(self, last: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.last = last
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
        site, file, line = _caller(self.last)
        lost = {id(args[0])} if written and args and isinstance(args[0], Tensor) else set()
        op = func._schema.name.removeprefix("aten::")
        parts = [(func, outputs)]
        if op in _IN_PARTS:
            parts = [(partial(_part, func, number), [output]) for number, output in enumerate(outputs)]
        for part, made in parts:
            self.nodes.append(
                Node(
                    *(len(self.nodes), op, part, tuple(args), kwargs, inputs, made, site, file, line),
                    *(written, written, lost, torch.Tag.nondeterministic_seeded in func.tags),
                )
            )
        return result

    def _overwritten(self, tensor: Any) -> None:
        if isinstance(tensor, Tensor):
            for node in self.nodes:
                shared = [t for t in (*node.inputs, *node.outputs) if storage(t) == storage(tensor)]
                node.stale = node.stale or bool(shared)
                node.lost.update(id(t) for t in shared if any(t is operand for operand in node.inputs))


def storage(tensor: Tensor) -> int:
    """Return what tells whether two tensors share their memory."""
    return int(tensor.untyped_storage().data_ptr())


def _caller(last: Any) -> tuple[tuple[Any, ...], str, int]:
    """Return the frames of the code under test that led here, and the innermost one's file and line."""
    frame: Any = sys._getframe(2)
    site: list[Any] = []
    file, line = "", 0
    while frame is not None:
        code = frame.f_code
        if code is last:
            break
        if not code.co_filename.startswith((_TORCH, _OURS)):
            if not site:
                file, line = code.co_filename, frame.f_lineno
            site.append((code.co_filename, code.co_qualname, frame.f_lasti))
        frame = frame.f_back
    return tuple(site), file, line
