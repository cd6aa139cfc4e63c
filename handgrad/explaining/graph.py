"""Autograd's graph: the nodes between the loss and a parameter."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

Node = Any  # torch.autograd.graph.Node; its subclasses are made at run time
Names = tuple[str, ...]


def path(loss: Tensor, parameter: Tensor) -> list[Node]:
    """Return the nodes from `loss` to the AccumulateGrad of `parameter`, in the order in which backward runs.

    Raises LookupError where the loss does not depend on it.
    """
    stack: list[list[Node]] = [[loss.grad_fn]]
    while stack:
        nodes = stack.pop()
        if getattr(nodes[-1], "variable", None) is parameter:
            return nodes
        stack += [[*nodes, node] for node, _ in nodes[-1].next_functions if node is not None]
    raise LookupError("the loss does not depend on this parameter")


def by_activation(nodes: Sequence[Node]) -> list[Names]:
    """Return the nodes' names in groups; each sigmoid's node begins a new one."""
    groups: list[list[str]] = [[]]
    for name in map(_name, nodes):
        if name.startswith("Sigmoid"):
            groups.append([])
        groups[-1].append(name)
    return [tuple(group) for group in groups]


def by_module(nodes: Sequence[Node], outputs: Mapping[Node, str]) -> dict[str, Names]:
    """Return the nodes' names by module; `outputs` names the module whose output a node is, "" is the loss."""
    groups: dict[str, list[str]] = {"": []}
    here = ""
    for node in nodes:
        here = outputs.get(node, here)
        groups.setdefault(here, []).append(_name(node))
    return {module: tuple(names) for module, names in groups.items()}


def forward(network: nn.Module, inputs: Tensor) -> tuple[Tensor, dict[Node, str]]:
    """Return the network's output, and the nodes of its children's outputs with the children's names."""
    outputs: dict[Node, str] = {}

    def record(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, given: Any, output: Tensor) -> None:
            outputs[output.grad_fn] = name

        return hook

    hooks = [child.register_forward_hook(record(name)) for name, child in network.named_children()]
    output: Tensor = network(inputs)
    for handle in hooks:
        handle.remove()
    return output, outputs


def _name(node: Node) -> str:
    return str(node.name()).rpartition("::")[2]  # torch::autograd::AccumulateGrad
