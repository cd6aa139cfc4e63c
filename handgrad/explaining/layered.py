"""The chain rule in a Sequential of Linear layers and activations, read from the backward of every module.

Layers are counted from 1: z2 is what the second Linear gives, a2 what its activation makes of it. In a
perceptron they are called in and out, and the loss E, as in part I. A unit's number stands in brackets where
its layer has more than one.
"""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handgrad.explaining.factors import Chain, Factor
from handgrad.explaining.source import Call, operands
from manual.module import Module

Array = np.ndarray[Any, np.dtype[Any]]
Nodes = Mapping[str, Sequence[str]]
LossFactor = Callable[[str, str, int, Sequence[str]], Factor]


@dataclass(frozen=True, eq=False)
class Layer:
    """A Linear with its activation, None for a linear output: their names in the Sequential, their backwards."""

    linear: str
    call: Call
    weight: Array  # before the step
    activation: str | None = None
    activation_call: Call | None = None

    @property
    def units(self) -> int:
        """How many outputs the layer has."""
        return len(self.weight)


class Layers:
    """A layered network in one step. `state` has the weights before it, `calls` all backwards of it."""

    def __init__(self, network: Module, state: Mapping[str, Array], calls: Sequence[Call], perceptron: bool) -> None:
        backwards = {id(call.values["self"]): call for call in calls}
        self.layers: list[Layer] = []
        for name, module in network.named_children():
            call = backwards[id(module)]
            if f"{name}.weight" in state:
                self.layers.append(Layer(name, call, state[f"{name}.weight"]))
            else:
                below = self.layers.pop()
                self.layers.append(Layer(below.linear, below.call, below.weight, name, call))
        self.perceptron = perceptron
        self.loss_name = "E" if perceptron else "L"

    def chain(self, key: str, index: tuple[int, ...], label: str, nodes: Nodes, loss: LossFactor) -> Chain:
        """Return the chain of one entry of one tensor; `key` and `index` as in the state dict, `label` its name.

        `nodes` are autograd's by module, "" for the loss; `loss(name, output, unit, nodes)` makes the loss's factor.
        """
        module, _, kind = key.partition(".")
        at = next(number for number, layer in enumerate(self.layers) if layer.linear == module)
        # Upwards as long as there is one way only: from a layer into a single unit.
        top = at
        while top + 1 < len(self.layers) and self.layers[top + 1].units == 1:
            top += 1
        unit = index[0]
        factors = [self._into(top, unit if top == at else 0, nodes, loss)]
        for number in range(top, at - 1, -1):
            here = unit if number == at else 0
            if self.layers[number].activation is not None:
                factors.append(self._slope(number, here, nodes))
            if number > at:
                factors.append(self._weight(number, here, unit if number - 1 == at else 0, nodes))
        factors.append(self._last(at, kind, index, label, nodes))
        return Chain(_partial(self.loss_name, label), factors, factors[-1].line)

    def _name(self, number: int, unit: int, activated: bool) -> str:
        if self.perceptron:
            return "out" if activated else "in"
        which = f"[{unit}]" if self.layers[number].units > 1 else ""
        return f"{'a' if activated else 'z'}{number + 1}{which}"

    def _output(self, number: int, unit: int) -> str:
        return self._name(number, unit, self.layers[number].activation is not None)

    def _into(self, top: int, unit: int, nodes: Nodes, loss: LossFactor) -> Factor:
        """dL/d(output) of the unit where the chain begins: the loss's, or a sum over all paths above."""
        output = self._output(top, unit)
        name = _partial(self.loss_name, output)
        if top == len(self.layers) - 1:
            return loss(name, output, unit, nodes[""])
        above = self.layers[top + 1]
        paths = int(np.prod([layer.units for layer in self.layers[top + 1 :]]))
        z = self._name(top + 1, 0, False).replace("[0]", "[j]")
        weight = f"{above.linear}.weight[j,{unit}]"
        formula = f"sum over j of {_partial(self.loss_name, z)} * {weight}   ({paths} paths to the loss)"
        statement, _ = above.call.source.input_gradient()
        modules = [
            "",
            *(n for layer in reversed(self.layers[top + 1 :]) for n in (layer.activation, layer.linear) if n),
        ]
        through = [node for module in modules for node in nodes.get(module, ())]
        return Factor(name, formula, above.call.result[:, unit], above.call.source.line(statement), through)

    def _slope(self, number: int, unit: int, nodes: Nodes) -> Factor:
        """f'(z): what the activation's backward multiplies grad_output by."""
        layer = self.layers[number]
        assert layer.activation is not None
        assert layer.activation_call is not None
        call = layer.activation_call
        statement, expression = call.source.input_gradient()
        factors = [part for part in operands(expression) if ast.unparse(part) != "grad_output"]
        product = ast.parse(" * ".join(f"({ast.unparse(part)})" for part in factors), mode="eval").body
        z, a, saved = self._name(number, unit, False), self._name(number, unit, True), call.source.name_of_saved()
        formula = re.sub(rf"\b{saved}\b", a, ast.unparse(product))
        values, outputs = call.evaluate(product)[:, unit], call.values[saved][:, unit]
        return Factor(
            _partial(a, z), formula, values, call.source.line(statement), nodes[layer.activation], {a: outputs}
        )

    def _weight(self, number: int, unit: int, below: int, nodes: Nodes) -> Factor:
        """dz/da of the layer below: the weight between them."""
        layer = self.layers[number]
        statement, _ = layer.call.source.input_gradient()
        name = _partial(self._name(number, unit, False), self._output(number - 1, below))
        values = np.full(len(layer.call.values["saved"]), layer.weight[unit, below])
        formula = f"{layer.linear}.weight[{unit},{below}]"
        return Factor(name, formula, values, layer.call.source.line(statement), nodes[layer.linear])

    def _last(self, number: int, kind: str, index: tuple[int, ...], label: str, nodes: Nodes) -> Factor:
        """dz/dw, the layer's input; dz/db, 1."""
        layer = self.layers[number]
        statement, expression = layer.call.source.accumulated(kind)
        name = _partial(self._name(number, index[0], False), label)
        line = layer.call.source.line(statement)
        samples = len(layer.call.values["saved"])
        if kind == "bias":
            return Factor(name, "1", np.ones(samples, layer.weight.dtype), line, nodes[layer.linear])
        assert isinstance(expression, ast.BinOp)
        values = layer.call.evaluate(expression.right)[:, index[1]]  # g.T @ x
        formula = self._output(number - 1, index[1]) if number else f"x{index[1] + 1}"
        return Factor(name, formula, values, line, nodes[layer.linear])


def _partial(of: str, by: str) -> str:
    """Return d(of)/d(by), in brackets where a name has a dot of its own, as 0.weight[1,0] has."""
    return f"d{of}/d({by})" if "." in by else f"d{of}/d{by}"
