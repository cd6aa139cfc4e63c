"""Every intermediate of one step of a chain of modules, on both sides: outputs forward, gradients back."""

from typing import Any

import numpy as np

from handgrad.experiment import State
from handgrad.sides import ManualSide
from handgrad.torch_side import TorchSide
from manual.nn import Sequential

Array = np.ndarray[Any, np.dtype[Any]]


def by_hand(side: ManualSide, rows: Array) -> State:
    """Return the intermediates of one step, in order of computation; the parameters stay as they are."""
    assert isinstance(side.network, Sequential)
    x, targets = side.inputs[rows], side.targets[rows]
    found: State = {}
    saved = []
    for name, module in side.network.named_children():
        x, saved_here = module.forward(x)
        saved.append((name, module, saved_here))
        found[f"{name} {type(module).__name__}"] = x
    loss, saved_loss = side.objective.forward(x, targets)
    found["loss"] = np.asarray(loss)
    grad, _ = side.objective.backward(1.0, saved_loss)
    for name, module, saved_here in reversed(saved):
        found[f"d_L_d_({name} {type(module).__name__})"] = grad
        grad = module.backward(grad, saved_here)
    side.network.zero_grad()
    return found


def with_autograd(side: TorchSide, rows: Array) -> State:
    """Return the same of autograd, under the same names."""
    x, outputs = side.inputs[rows], {}
    for name, module in side.network.named_children():
        x = module(x)
        x.retain_grad()
        outputs[f"{name} {type(module).__name__}"] = x
    loss = side.objective(x, side.targets[rows])
    loss.backward()
    found = {name: value.detach().cpu().numpy() for name, value in outputs.items()}
    found["loss"] = loss.detach().cpu().numpy()
    gradients = {f"d_L_d_({name})": value.grad for name, value in reversed(outputs.items())}
    side.network.zero_grad()
    return found | {name: grad.cpu().numpy() for name, grad in gradients.items() if grad is not None}


def lines(hand: State, autograd: State) -> list[str]:
    """Return a table with a line for each entry of each intermediate."""
    width = max(map(len, hand)) + 5
    table = [f"  {'':{width}}  {'by hand':>24}  {'with autograd':>24}  {'difference':>10}"]
    for name, value in hand.items():
        for index in np.ndindex(value.shape):
            place = f"[{','.join(map(str, index))}]" if value.size > 1 else ""
            a, b = value[index], autograd[name][index]
            table.append(f"  {name + place:{width}}  {a!s:>24}  {b!s:>24}  {abs(float(a) - float(b)):>10.1e}")
    return table
