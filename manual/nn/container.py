"""Containers: modules made of modules."""

from collections.abc import Iterator, Mapping
from typing import Any

from manual.module import Array, Module


class Sequential(Module):
    """y = f_L(... f_2(f_1(x))): each module takes what the one before it gave.

    Chain rule: dL/dx = dL/dy * df_L/df_(L-1) * ... * df_1/dx, multiplied from the left, so `backward`
    walks the modules from the last to the first. The modules are named "0", "1", ..., or as
    the one mapping that is given names them, as in torch.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Sequential.html
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        given = modules[0] if len(modules) == 1 and isinstance(modules[0], Mapping) else dict(enumerate(modules))
        for name, module in given.items():
            if not isinstance(module, Module):
                raise TypeError(f"Sequential takes modules, or one mapping of them, not {type(module).__name__}")
            setattr(self, str(name), module)

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.named_children())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __getitem__(self, index: int) -> Module:
        return list(self)[index]

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
