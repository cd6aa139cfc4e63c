"""Free runs of an update rule: the code under test, torch's optimizer, and a formula with that optimizer's settings."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from handgrad.checking.record import Array, Arrays
from handgrad.checking.rules.update import clipped
from handgrad.checking.rules.update_forms import Formula, Step
from handgrad.errors import UsageError

Factory = Callable[[list[torch.Tensor]], torch.optim.Optimizer]

_FAMILIES = ("AdamW", "Adam", "SGD", "RMSprop", "Adagrad")


@dataclass(eq=False)
class Run:
    """All parameters at the start and after every step, and the state beside them.

    `state` is by step the dict that the code under test keeps, or torch's {tensor: {entry: array}}; `settings`
    torch's hyperparameters in force at each step by tensor; `optimizer` the family whose formula is known, or "".
    """

    start: Arrays
    params: list[Arrays] = field(default_factory=list)
    state: list[dict[Any, Any]] = field(default_factory=list)
    settings: list[dict[str, Mapping[str, Any]]] = field(default_factory=list)
    optimizer: str = ""
    overwritten: list[str] = field(default_factory=list)


def by_hand(step: Callable[..., Any], start: Arrays, gradients: Sequence[Arrays]) -> Run:
    """Run the code under test on copies, with one `state` for all steps."""
    run, state = Run(start), dict[str, Any]()
    params = {name: value.copy() for name, value in start.items()}
    for grads in gradients:
        handed = {name: g.copy() for name, g in grads.items()}
        result = step(params, handed, state)
        params = _returned(params if result is None else result, start)
        run.params.append({name: value.copy() for name, value in params.items()})
        run.state.append(copy.deepcopy(state))
        changed = [name for name, g in grads.items() if not np.array_equal(handed.get(name, np.nan), g)]
        run.overwritten += [name for name in changed if name not in run.overwritten]
    return run


def _returned(result: Any, start: Arrays) -> Arrays:
    if not isinstance(result, Mapping):
        raise UsageError(
            f"step returned {type(result).__name__}; return the new parameters as a dict of arrays by name, "
            "or None after changing them in place"
        )
    missing, unknown = [n for n in start if n not in result], [str(n) for n in result if n not in start]
    if missing or unknown:
        raise UsageError(
            f"step returned parameters without {', '.join(missing) or 'none'}, and with {', '.join(unknown) or 'none'} "
            f"that are unknown; the names are {', '.join(start)}"
        )
    found = {name: np.asarray(result[name]) for name in start}
    for name, value in found.items():
        if value.shape != start[name].shape or value.dtype.kind != "f":
            raise UsageError(
                f"step returned {name} of shape {value.shape} and dtype {value.dtype}; "
                f"it is a float array of shape {start[name].shape}"
            )
    return found


def by_torch(
    factory: Factory,
    start: Arrays,
    gradients: Sequence[Arrays],
    clip_norm: float | None,
    mirrored: bool = False,
) -> Run:
    """Run torch's optimizer; `mirrored` takes every step in the opposite direction."""
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
    if isinstance(factory, torch.optim.Optimizer):
        raise UsageError(
            "torch_optimizer is an optimizer; give a function that builds one from a list of tensors, "
            "as lambda tensors: torch.optim.SGD(tensors, lr=0.1)"
        )
    optimizer = factory(list(tensors.values()))
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise UsageError(f"torch_optimizer returned a {type(optimizer).__name__}; return a torch.optim.Optimizer")
    if isinstance(optimizer, torch.optim.LBFGS):
        raise UsageError("LBFGS asks for the loss again within a step; give an optimizer that takes gradients alone")
    run = Run(start)
    for grads in gradients:
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(grads[name])
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(list(tensors.values()), clip_norm)
        before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
        run.settings.append(_settings(optimizer, tensors))
        optimizer.step()
        if mirrored:
            with torch.no_grad():
                for name, tensor in tensors.items():
                    tensor.copy_(2 * before[name] - tensor)
        run.params.append({name: tensor.detach().numpy().copy() for name, tensor in tensors.items()})
        run.state.append({name: _state(optimizer, tensor) for name, tensor in tensors.items()})
    decoupled = any(s.get("decoupled_weight_decay") for s in run.settings[0].values())
    family = next((name for name in _FAMILIES if isinstance(optimizer, getattr(torch.optim, name))), "")
    run.optimizer = "AdamW" if family == "Adam" and decoupled else family
    return run


def _settings(optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> dict[str, Mapping[str, Any]]:
    always = {"decoupled_weight_decay": isinstance(optimizer, torch.optim.AdamW)}
    found: dict[str, Mapping[str, Any]] = {}
    for group in optimizer.param_groups:
        numbers = {key: float(v) if isinstance(v, torch.Tensor) else v for key, v in group.items() if key != "params"}
        held = {id(tensor) for tensor in group["params"]}
        found |= {name: always | numbers for name, tensor in tensors.items() if id(tensor) in held}
    missing = [name for name in tensors if name not in found]
    if missing:
        raise UsageError(f"the optimizer has no group with {', '.join(missing)}; give it all tensors that it is handed")
    return found


def _state(optimizer: torch.optim.Optimizer, tensor: torch.Tensor) -> Arrays:
    entries = optimizer.state.get(tensor, {})
    return {k: v.detach().numpy().copy() for k, v in entries.items() if isinstance(v, torch.Tensor)}


def by_formula(formula: Formula, start: Arrays, gradients: Sequence[Arrays], limit: float, truth: Run) -> Run:
    """Run one tensor's formula for all, with the settings that torch's optimizer had."""
    run = Run(start)
    kept: dict[str, dict[str, Any]] = {name: {} for name in start}
    params: Arrays = start
    with np.errstate(all="ignore"):
        for number, grads in enumerate(gradients):
            grads = clipped(grads, limit)
            moved: dict[str, Array] = {}
            for place, (name, p) in enumerate(params.items()):
                settings = truth.settings[number][name]
                moved[name] = formula(Step(p, grads[name], kept[name], settings, number + 1, place, len(params)))
            params = moved
            run.params.append(params)
    return run
