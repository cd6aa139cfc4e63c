"""Containers: modules made of modules."""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, Self, SupportsIndex, overload

from manual.module import Array, Module


class _Row(Module):
    """Modules in a row, each an attribute under its name, and what Python's lists do with them.

    The names are "0", "1", ... as in torch, and are numbered anew after a deletion or an insertion.
    """

    _slice: Callable[[slice], Self]

    def _hold(self, modules: Mapping[str, Module]) -> None:
        """Hold these modules in this order, and no others."""
        who = type(self).__name__
        for name, module in modules.items():
            if not isinstance(module, Module):
                raise TypeError(f"{who} takes modules, not {type(module).__name__} for {name!r}")
            if not name or "." in name or hasattr(type(self), name):
                raise KeyError(f"{who}: {name!r} is no name for a module; use one without dots that {who} has not")
        for name, _ in list(self.named_children()):
            delattr(self, name)
        for name, module in modules.items():
            setattr(self, name, module)

    def _at(self, index: SupportsIndex) -> int:
        """Return the number of a module that is here, from either end."""
        at, length = operator.index(index), len(self)
        if not -length <= at < length:
            raise IndexError(f"{type(self).__name__} has {length} modules, and none is number {at}")
        return at

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.named_children())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Module | Self:
        return self._slice(index) if isinstance(index, slice) else list(self)[self._at(index)]

    def __setitem__(self, index: SupportsIndex, module: Module) -> None:
        children = dict(self.named_children())
        self._hold(children | {list(children)[self._at(index)]: module})

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        left = list(self)
        del left[index if isinstance(index, slice) else self._at(index)]
        self._hold(numbered(left))

    def append(self, module: Module) -> Self:
        """Put `module` at the end, under the number of its place, and return self."""
        children, name = dict(self.named_children()), str(len(self))
        if name in children:
            raise KeyError(f"{type(self).__name__} already has a module {name!r}, which would be replaced")
        self._hold(children | {name: module})
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Put all `modules` at the end, and return self."""
        for module in list(modules):
            self.append(module)
        return self

    __iadd__ = extend

    def insert(self, index: int, module: Module) -> Self:
        """Put `module` before the one of that number, and return self."""
        if not -len(self) <= index <= len(self):
            raise IndexError(f"{type(self).__name__} has {len(self)} modules: there is no place {index}")
        modules = list(self)
        modules.insert(index, module)
        self._hold(numbered(modules))
        return self

    def pop(self, index: SupportsIndex) -> Module:
        """Take the module of that number out, and return it."""
        module = self[index]
        del self[index]
        return module


def numbered(modules: Iterable[Module]) -> dict[str, Module]:
    """Return the modules under the names "0", "1", ..."""
    return {str(number): module for number, module in enumerate(modules)}


class ModuleList(_Row):
    """A list of modules whose parameters are its owner's: "layers.0.weight", "layers.1.weight", ...

    It computes nothing. The module that holds it says how they are connected, and walks them in reverse on the way
    back, each with what it saved on the way there:

        for layer in self.layers:                       for layer in reversed(self.layers):
            x, saved_here = layer.forward(x)                grad = layer.backward(grad, next(last_saved))
            saved.append(saved_here)

    where last_saved = reversed(saved), so that `saved` stays as it is. A plain Python list would hide the modules from
    `parameters()`, and so from the optimizer.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ModuleList.html
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self._hold(numbered(modules or ()))

    def _slice(self, index: slice) -> Self:
        return type(self)(list(self)[index])

    def __add__(self, other: Iterable[Module]) -> "ModuleList":
        return ModuleList([*self, *other])

    def __repr__(self) -> str:
        lines = []
        for inside, group in groupby(self.named_children(), key=lambda child: repr(child[1])):
            names = [name for name, _ in group]  # modules in a row that look alike are counted, as in torch
            alike = f"({names[0]}-{names[-1]}): {len(names)} x " if len(names) > 1 else f"({names[0]}): "
            lines.append(f"\n{alike}{inside}".replace("\n", "\n  "))
        return f"{type(self).__name__}(" + "".join(lines) + ("\n)" if lines else ")")


class Sequential(_Row):
    """y = f_K(... f_2(f_1(x))): each of the K modules takes what the one before it gave.

    Chain rule: dL/dx = dL/dy * df_K/df_(K-1) * ... * df_1/dx, multiplied from the left, so `backward`
    walks the modules from the last to the first. The modules are named "0", "1", ..., or as
    the one mapping that is given names them, as in torch; a slice keeps the names.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Sequential.html
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        given: tuple[Any, ...] = modules
        self._hold(given[0] if len(given) == 1 and isinstance(given[0], Mapping) else numbered(given))

    def _slice(self, index: slice) -> Self:
        return type(self)(dict(list(self.named_children())[index]))

    def __add__(self, other: "Sequential") -> "Sequential":
        return Sequential(*self, *other) if isinstance(other, Sequential) else NotImplemented

    def forward(self, x: Array) -> tuple[Array, list[Any]]:
        """Return y and `saved` = what each module saved, in their order."""
        saved = []
        for module in self:
            x, saved_here = module.forward(x)
            saved.append(saved_here)
        return x, saved

    def backward(self, grad_output: Array, saved: list[Any], *, input_grad: bool = True) -> Array | None:
        """Return grad_input; every module adds to its own parameters' gradients."""
        grad: Any = grad_output
        for index, module in reversed(list(enumerate(self))):
            # Only the first module's input gradient may be left out: all others feed the module before.
            grad = module.backward(grad, saved[index], input_grad=input_grad or index > 0)
        return grad if input_grad else None
