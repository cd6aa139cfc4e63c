"""What goes wrong in kernels alone: strides, races, memory that nobody wrote, state, how a backward is called."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from handgrad.checking.calls import Call, Tensors
from handgrad.checking.record import Tensor
from handgrad.checking.report import Cause
from handgrad.checking.running import Problem
from handgrad.checking.verdicts import ALLOWED

HERE = "run here: "


class Runs:
    """A plain call of the function under test, and others that must give the same numbers.

    The same is: to rounding, or to twice the function's own error, where it computes in fewer digits than it is given.
    A problem without a name is fine.
    """

    def __init__(self, call: Call, dtype: torch.dtype, rng: np.random.Generator) -> None:
        self.call, self.dtype, self.allowed = call, dtype, ALLOWED * torch.finfo(dtype).eps
        shapes = [(o.shape, o.device) for o in call.outputs(call.fn, self._tensors())]
        self.upstream = [torch.tensor(rng.standard_normal(tuple(s)), dtype=dtype, device=d) for s, d in shapes]
        self.plain, right = (self._once(function) for function in (call.fn, call.reference))
        sizes = {n: float(t.abs().nan_to_num(posinf=0.0).max()) if t.numel() else 0.0 for n, t in right.items()}
        own = [float((self.plain[n] - t).abs().max()) / sizes[n] for n, t in right.items() if sizes[n]]
        self.allowed += 2 * min(0.05, max([error for error in own if np.isfinite(error)], default=0.0))

    def unreliable(self, runs: int) -> Iterator[Problem]:
        """Yield what makes other comparisons worthless: numbers that change by themselves, or never."""
        yield from self._repeated(runs)
        yield from self._uninitialised()
        yield from self._upstream_used()

    def problems(self) -> Iterator[Problem]:
        """Yield what changes the numbers although it may not."""
        overwritten = list(self._overwritten())
        yield from overwritten
        if not overwritten:
            yield from self._strides()
            yield from self._twice()
            yield from self._each_output()
            yield from self._each_input()

    def _once(self, function: Callable[..., Any]) -> Tensors:
        tensors = self._tensors()
        outputs = self.call.outputs(function, tensors)
        kept = [o.detach().clone() for o in outputs]
        return self._named(kept, self.call.grads(outputs, tensors, self._fresh()))

    def _tensors(self, only: str | None = None) -> Tensors:
        found = self.call.tensors(self.call.inputs, self.dtype)
        return {n: t if only in (None, n) else t.detach() for n, t in found.items()}

    def _fresh(self) -> list[Tensor]:
        return [g.clone() for g in self.upstream]

    def _named(self, outputs: Sequence[Tensor], grads: Mapping[str, Tensor]) -> Tensors:
        several = len(outputs) > 1
        values = {f"output{number}" if several else "output": o.detach().clone() for number, o in enumerate(outputs)}
        return values | {f"d{name}": g.clone() for name, g in grads.items()}

    def _run(
        self,
        how: str,
        change: Callable[[Tensor], Tensor] | None = None,
        upstream: Sequence[Tensor] | None = None,
        only: str | None = None,
    ) -> Tensors:
        """Call with each input, or one, passed through `change`; an error of the function's says how it was called."""
        tensors = self._tensors()
        changed = [n for n, t in tensors.items() if t.is_floating_point() and only in (None, n)]
        handed = {n: change(t) if change is not None and n in changed else t for n, t in tensors.items()}
        with _told(how):
            outputs = self.call.outputs(self.call.fn, handed)
            grads = self.call.grads(outputs, tensors, self._fresh() if upstream is None else upstream)
        return self._named(outputs, grads)

    def _differ(self, found: Tensors, right: Tensors | None = None) -> list[str]:
        """Return the names of all that differs by more than rounding."""
        return [
            name
            for name, t in (self.plain if right is None else right).items()
            if name in found and not self._near(found[name], t)
        ]

    def _near(self, a: Tensor, b: Tensor) -> bool:
        if a.shape != b.shape:
            return False
        size = b.abs().nan_to_num(posinf=0.0).max() if b.numel() else torch.zeros(())
        close = ((a - b).abs() <= self.allowed * size) | (a == b) | (a.isnan() & b.isnan())
        return bool(close.all())

    def _repeated(self, runs: int) -> Iterator[Problem]:
        others = [self._run("again with the same arguments") for _ in range(runs - 1)]
        wrong = list(dict.fromkeys(name for other in others for name in self._differ(other)))
        if wrong:
            said = (
                f"{runs} runs with the same arguments give different numbers: writes race, or something random is drawn"
            )
            yield _problem(wrong[0], Cause("KERN-RACE", said, f"{HERE}{', '.join(wrong)} differ between runs"))
        elif any(
            not torch.equal(other[n].nan_to_num(), t.nan_to_num()) for other in others for n, t in self.plain.items()
        ):
            yield Problem("", "", None, "two runs differ by rounding: sums are added up in another order each time")

    def _uninitialised(self) -> Iterator[Problem]:
        with _empty_is_nan():
            found = self._run("with memory of torch.empty filled with NaN")
        wrong = self._differ(found)
        if wrong:
            said = "memory from torch.empty is read before it is written: take zeros, or write every entry"
            yield _problem(
                wrong[0], Cause("KERN-UNINIT", said, f"{HERE}with NaN in fresh memory {', '.join(wrong)} change")
            )

    def _overwritten(self) -> Iterator[Problem]:
        tensors, upstream = self._tensors(), self._fresh()
        outputs = self.call.outputs(self.call.fn, tensors)
        kept = [o.detach().clone() for o in outputs]
        self.call.grads(outputs, tensors, upstream)
        handed = [*((n, tensors[n], t) for n, t in self._tensors().items())]
        handed += [("grad_output", g, t) for g, t in zip(upstream, self.upstream, strict=True)]
        handed += [("output", o, t) for o, t in zip(outputs, kept, strict=True)]
        for name, now, before in handed:
            if not torch.equal(now.detach().nan_to_num(), before.detach().nan_to_num()):
                said = f"{name} is overwritten, which belongs to the caller"
                yield Problem(name, "backward", Cause("CACHE-INPLACE", said, f"{HERE}before and after"))

    def _upstream_used(self) -> Iterator[Problem]:
        """A backward is linear: with twice the upstream gradients it returns twice the gradients, to the last digit."""
        found = self._run("with twice grad_output", None, [2 * g for g in self.upstream])
        names = [name for name in self.plain if name.startswith("d")]
        right = {name: 2 * self.plain[name] for name in names}
        for name in self._differ(found, right):
            ignored = not self._differ(found, {name: self.plain[name]})
            cause = Cause("UPSTREAM-IGNORED", "backward does not use grad_output", f"{HERE}with it and with twice it")
            fact = "with twice grad_output it is not twice as large"
            yield Problem(name, "backward", cause if ignored else None, fact)

    def _strides(self) -> Iterator[Problem]:
        found = self._run("with grad_output that is not contiguous", None, [_strided(g) for g in self.upstream])
        if wrong := self._differ(found):
            said = "grad_output is read as if it were contiguous: use its strides, or grad_output.contiguous()"
            yield _problem(
                wrong[0], Cause("KERN-STRIDE", said, f"{HERE}a grad_output with gaps changes {', '.join(wrong)}")
            )
        ones = [torch.ones_like(g) for g in self.upstream]
        spread = [torch.ones((), dtype=g.dtype, device=g.device).expand(g.shape) for g in self.upstream]
        right = self._run("with grad_output of ones", None, ones)
        if not wrong and (wrong := self._differ(self._run("with an expanded grad_output", None, spread), right)):
            said = "grad_output of strides 0, as out.sum().backward() hands it on, is read as if it were contiguous"
            yield _problem(
                wrong[0], Cause("KERN-STRIDE", said, f"{HERE}an expanded grad_output changes {', '.join(wrong)}")
            )
        if wrong := self._differ(self._run("with inputs that are not contiguous", _strided)):
            alone = ((n, self._run(f"with {n} not contiguous", _strided, only=n)) for n in self.call.inputs)
            named = [n for n, found in alone if self._differ(found)]
            who = f"{' and '.join(named)} {'are' if len(named) > 1 else 'is'}" if named else "the inputs are"
            said = f"{who} read as if contiguous: use the strides, or {(named or ['x'])[0]}.contiguous()"
            yield _problem(wrong[0], Cause("KERN-STRIDE", said, f"{HERE}with gaps in it {', '.join(wrong)} change"))

    def _twice(self) -> Iterator[Problem]:
        tensors = self._tensors()
        outputs = self.call.outputs(self.call.fn, tensors)
        first = {n: g.clone() for n, g in self.call.grads(outputs, tensors, self._fresh(), retain=True).items()}
        second = self.call.grads(outputs, tensors, self._fresh())
        for name in first:
            if not self._near(second[name], first[name]):
                said = "backward overwrites what forward has saved: a second backward gives other numbers"
                yield Problem(
                    f"d{name}", "backward", Cause("CACHE-INPLACE", said, f"{HERE}backward twice, with retain_graph")
                )
                return

    def _each_output(self) -> Iterator[Problem]:
        """A loss that uses one output alone: autograd hands zeros, or None, for the others."""
        if len(self.upstream) < 2:
            return
        for number in range(len(self.upstream)):
            found = []
            for function in (self.call.fn, self.call.reference):
                tensors = self._tensors()
                outputs = self.call.outputs(function, tensors)
                found.append(self.call.grads(outputs[number : number + 1], tensors, self._fresh()[number : number + 1]))
            for name in found[0]:
                if not self._near(found[0][name], found[1][name]):
                    fact = f"it is wrong where the loss uses output{number} alone"
                    yield Problem(f"d{name}", "backward", None, fact)

    def _each_input(self) -> Iterator[Problem]:
        """One input that requires a gradient, the others not: ctx.needs_input_grad is then false for those."""
        if len(self.call.wanted) < 2:
            return
        for name in self.call.wanted:
            tensors = self._tensors(name)
            outputs = self.call.outputs(self.call.fn, tensors)
            if not any(o.requires_grad for o in outputs):
                continue
            if not self._near(self.call.grads(outputs, tensors, self._fresh())[name], self.plain[f"d{name}"]):
                yield Problem(f"d{name}", "backward", None, f"it is wrong where {name} alone requires a gradient")


def _problem(name: str, cause: Cause) -> Problem:
    return Problem(name, "backward" if name.startswith("d") else "forward", cause)


def _strided(tensor: Tensor) -> Tensor:
    """Return the same values in memory with gaps, the axes in reverse order."""
    axes = list(range(tensor.dim()))[::-1]
    turned = tensor.permute(axes)
    wide = torch.stack([turned, torch.full_like(turned, 17.0)], dim=-1)
    return wide[..., 0].permute(axes)


class _told:  # noqa: N801 - reads as a statement
    """Adds to an error of the function's how it was called."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            error.add_note(f"handgrad: fn was called {self.how}")


@contextmanager
def _empty_is_nan() -> Iterator[None]:
    """Let torch.empty return NaN, as torch does for deterministic algorithms."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    memory.fill_uninitialized_memory = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        memory.fill_uninitialized_memory = filled
