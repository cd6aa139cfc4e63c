"""What check() says of one planted mistake, and whether the place and the cause are right."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from handgrad import check
from handgrad.checking.report import Report
from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant

WRONG = 1e-8  # relative to the tensor's largest entry: less is rounding, or torch's softplus above its threshold
FINE = 1e-12  # where the forward is wrong on purpose
ALL, HALF, NONE = "all named", "half withheld", "none named"


@dataclass(frozen=True)
class Verdict:
    """What was said of one planted mistake: whether the place and the cause are right."""

    mistake: Mistake
    named: str
    report: Report
    expected: set[str]
    stage: str

    @property
    def hidden(self) -> bool:
        """Whether nothing that was handed in is wrong, and nothing is said to be."""
        return not self.expected and self.report.ok

    @property
    def where(self) -> bool:
        return self.report.first_wrong in self.expected and self.report.stage == self.stage

    @property
    def right(self) -> list[bool]:
        """For each cause that was given, whether it is the one that was planted."""
        return [cause.id in (self.mistake.id, *self.mistake.same) for cause in self.report.causes]

    def __str__(self) -> str:
        causes = ", ".join(cause.id for cause in self.report.causes) or "no known cause"
        place = "" if self.where else f" [{self.report.first_wrong} for {' or '.join(sorted(self.expected))}]"
        planted = self.mistake.id or "(unknown)"
        return f"{self.mistake.system.name}: {self.mistake.wrong}: {planted} -> {causes}{place}"


def seed_of(case: Mistake | Variant) -> list[int]:
    return [*f"{case.system.name}/{case.wrong}".encode()]


def judge(mistake: Mistake, named: str = ALL, probe: bool = True) -> Verdict:
    """Check the system with this mistake in it, with all, half or none of its intermediates handed in."""
    system, seed = mistake.system, seed_of(mistake)
    params, inputs = system.make(np.random.default_rng(seed))
    keep = _kept(system, params, inputs, named, np.random.default_rng([*seed, 1]))
    backward = _withholding(system, mistake.wrong, keep)
    expected, stage = _first(system, backward, params, inputs, FINE if mistake.stage == "forward" else WRONG)
    listed = named != ALL or (mistake.first in expected and mistake.stage == stage)
    assert listed, f"{mistake.first} ({mistake.stage}) is listed as wrong first, not {expected} ({stage})"
    report = check(system.forward, backward, params, inputs, system.make if probe else None)
    return Verdict(mistake, named, report, expected, stage)


def alarm(variant: Variant) -> str:
    """Return what is wrongly called wrong of a legitimate variant, or nothing."""
    params, inputs = variant.system.make(np.random.default_rng(seed_of(variant)))
    backward = _withholding(variant.system, variant.wrong, None)
    report = check(variant.system.forward, backward, params, inputs, variant.system.make)
    return "" if report.ok else f"{variant.system.name}: {variant.wrong}: {report.first_wrong} called wrong"


def _withholding(system: System, wrong: str, keep: set[str] | None) -> Callable[[Any, Any], Any]:
    def backward(params: Arrays, inputs: Arrays) -> Any:
        loss, grads, named = system.backward(params, inputs, wrong)
        if keep is not None:
            named = {name: array for name, array in named.items() if name in keep or name.removeprefix("d") in keep}
        return loss, grads, named

    return backward


def _kept(system: System, params: Arrays, inputs: Arrays, named: str, rng: np.random.Generator) -> set[str] | None:
    """Return the names of the intermediates that are handed in; None for all."""
    if named == ALL:
        return None
    names = sorted(system.forward(_tensors(params), _tensors(inputs))[1])
    return set() if named == NONE else {str(name) for name in rng.permutation(names)[: (len(names) + 1) // 2]}


def _tensors(arrays: Arrays) -> dict[str, torch.Tensor]:
    return {
        name: torch.from_numpy(np.array(array)).requires_grad_(array.dtype.kind == "f")
        for name, array in arrays.items()
    }


def _first(
    system: System, backward: Callable[[Any, Any], Any], params: Arrays, inputs: Arrays, close: float
) -> tuple[set[str], str]:
    """Return the tensors handed in that are wrong though nothing between them and the loss is, and the stage.

    A forward value that is wrong first is one alone; gradients that go wrong side by side are all first.
    """
    p, x = _tensors(params), _tensors(inputs)
    loss, named = system.forward(p, x)
    named = {**p, **x, **named}
    hand_loss, grads, given = backward(
        *({name: array.copy() for name, array in part.items()} for part in (params, inputs))
    )
    for name, tensor in named.items():
        if name in given and _off(given[name], tensor.detach().numpy(), close):
            return {name}, "forward"
    if _off(np.asarray(hand_loss), loss.detach().numpy(), close):
        return {"loss"}, "forward"
    leaves = {name: tensor for name, tensor in named.items() if tensor.requires_grad}
    true = torch.autograd.grad(loss, list(leaves.values()), retain_graph=True, allow_unused=True)
    wrong = set()
    for (name, tensor), grad in zip(leaves.items(), true, strict=True):
        hand = grads.get(name, given.get(f"d{name}"))
        if hand is not None and _off(hand, np.zeros(tensor.shape) if grad is None else grad.numpy()):
            wrong.add(name)
    first = {f"d{name}" for name in wrong if not any(_leads(leaves[name], leaves[w]) for w in wrong if w != name)}
    return first, "backward"


def _leads(tensor: torch.Tensor, later: torch.Tensor) -> bool:
    """Return whether `later` was computed from `tensor`."""
    if later.grad_fn is None:
        return False
    found = torch.autograd.grad(later, tensor, torch.ones_like(later), retain_graph=True, allow_unused=True)
    return found[0] is not None


def _off(given: Array, true: Array, close: float = WRONG) -> bool:
    if np.shape(given) != np.shape(true):
        return True
    return not float(np.abs(given - true).max(initial=0.0)) <= close * float(np.abs(true).max(initial=0.0))


@cache
def corpus() -> tuple[list[Mistake], list[Variant]]:
    """Return all planted mistakes of systems, and all legitimate variants, of the files beside this one."""
    names = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("test_"))
    listed = [
        vars(import_module(f"parity_tests.mistakes.{name}")) for name in names if f"{name}.py" != Path(__file__).name
    ]
    mistakes = [m for file in listed for m in file.get("MISTAKES", []) if isinstance(m, Mistake)]
    return mistakes, [v for file in listed for v in file.get("VARIANTS", []) if isinstance(v, Variant)]
