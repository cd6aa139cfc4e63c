"""What a layer promises beyond right numbers: nothing handed in is changed, nothing is hidden, gradients add up."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from handgrad.checking.conventions import near
from handgrad.checking.record import Array, Arrays
from handgrad.checking.report import Cause
from handgrad.checking.running import Problem
from handgrad.checking.twins import HandSide, at, floats, grad_output

MEASURED = "run here: "


class Contract:
    """The promises of one layer with one set of weights, inputs and upstream gradients."""

    def __init__(
        self, hand: HandSide, params: Arrays, buffers: Arrays, inputs: Arrays, upstream: Sequence[Any], training: bool
    ) -> None:
        self.hand, self.inputs, self.params = hand, inputs, params
        self._loaded: Callable[[], Any] = lambda: hand.loaded(params, buffers, training)
        self.upstream = upstream

    def problems(self) -> list[Problem]:
        """Return all promises that are broken, in the order in which a run meets them."""
        found = list(self._overwritten())
        if not found:  # with an overwritten array all that follows is wrong as well
            found = [*self._twice(), *self._hidden()]
        return [*found, *self._upstream_used(), *self._input_grad(), *self._called()]

    def _copies(self) -> Arrays:
        return {name: value.copy() for name, value in self.inputs.items()}

    def _step(self, layer: Any, upstream: Sequence[Any], saved: Any, y: Any, **options: Any) -> Arrays:
        """One backward: the gradients of the inputs, and of the parameters as they stand then."""
        grads = self.hand.backward(layer, grad_output(y, upstream), saved, self.inputs, **options)
        held = {name: at(layer, name).grad for name in self.params}
        return {**grads, **{name: np.array(grad) for name, grad in held.items() if grad is not None}}

    def _overwritten(self) -> Iterator[Problem]:
        layer, inputs = self._loaded(), self._copies()
        y, saved = self.hand.forward(layer, inputs)
        yield from self._changed("forward", inputs, self.inputs, "forward")
        before, kept = {name: value.copy() for name, value in inputs.items()}, numbers(saved)
        handed = [np.array(g) if np.ndim(g) else g for g in self.upstream]
        self._step(layer, handed, saved, y)
        yield from self._changed("backward", inputs, before, "backward")
        if not same(numbers(saved), kept):
            said = "backward overwrites what forward has saved: a second backward with it gives other numbers"
            yield Problem("saved", "backward", Cause("CACHE-INPLACE", said, f"{MEASURED}saved before and after"))
        if not same(numbers(handed), numbers(self.upstream)):
            said = "backward overwrites the gradient it is handed: others may still need it"
            yield Problem("grad_output", "backward", Cause("CACHE-INPLACE", said, f"{MEASURED}before and after"))

    def _changed(self, half: str, now: Arrays, before: Arrays, stage: str) -> Iterator[Problem]:
        for name in before:
            if not same([now[name]], [before[name]]):
                said = f"{half} overwrites its input {name!r}, which belongs to the caller"
                yield Problem(name, stage, Cause("CACHE-INPLACE", said, f"{MEASURED}before and after"))

    def _twice(self) -> Iterator[Problem]:
        layer = self._loaded()
        y, saved = self.hand.forward(layer, self._copies())
        first, second = (self._step(layer, self.upstream, saved, y) for _ in range(2))
        for name in self.inputs:
            if name in first and not agree(first[name], second[name]):
                fact = "a second backward with the same `saved` gives another gradient"
                yield Problem(f"d{name}", "backward", None, fact)
        for name in self.params:
            if name not in first or agree(2 * first[name], second[name]):
                continue
            if agree(first[name], second[name]):
                said = "= stands where += is needed: a second backward replaces the gradient, it does not add to it"
                yield Problem(f"d{name}", "backward", Cause("ACC-OVERWRITE", said, f"{MEASURED}backward twice"))
            else:
                yield Problem(f"d{name}", "backward", None, "after two backwards it is not twice that after one")

    def _hidden(self) -> Iterator[Problem]:
        """Two forwards, then the first one's backward: with all in `saved`, the second cannot disturb it."""
        layer = self._loaded()
        y, saved = self.hand.forward(layer, self._copies())
        alone = self._step(layer, self.upstream, saved, y)
        layer = self._loaded()
        y, saved = self.hand.forward(layer, self._copies())
        self.hand.forward(
            layer, {name: value[::-1].copy() if value.ndim else value for name, value in self.inputs.items()}
        )
        after = self._step(layer, self.upstream, saved, y)
        wrong = [name for name in alone if not agree(alone[name], after[name])]
        if wrong:
            said = "backward reads what the last forward left on the layer, not `saved`: a layer used twice goes wrong"
            evidence = f"{MEASURED}two forwards, then the first one's backward; d{', d'.join(wrong)} differ"
            yield Problem(f"d{wrong[0]}", "backward", Cause("CACHE-STALE", said, evidence))

    def _upstream_used(self) -> Iterator[Problem]:
        """A loss of one number got the upstream gradient 1; with another, all gradients are that many times those."""
        if any(np.ndim(g) for g in self.upstream):
            return
        found = []
        for factor in (1.0, 2.0):
            layer = self._loaded()
            y, saved = self.hand.forward(layer, self._copies())
            found.append(self._step(layer, [factor], saved, y))
        for name in found[0]:
            if not agree(2 * found[0][name], found[1][name]):
                ignored = agree(found[0][name], found[1][name])
                cause = Cause("UPSTREAM-IGNORED", "backward does not use grad_output", f"{MEASURED}with 1 and with 2")
                yield Problem(
                    f"d{name}",
                    "backward",
                    cause if ignored else None,
                    "with grad_output 2 it is not twice that with 1",
                )

    def _input_grad(self) -> Iterator[Problem]:
        """Without the first input's gradient all others stay; a backward without this argument is not asked."""
        if "input_grad" not in inspect.signature(self.hand.layer.backward).parameters:
            return
        found = []
        for options in ({}, {"input_grad": False}):
            layer = self._loaded()
            y, saved = self.hand.forward(layer, self._copies())
            found.append(self._step(layer, self.upstream, saved, y, **options))
        full, without = found
        first = next(iter(self.inputs))
        if first in without:
            yield Problem(f"d{first}", "backward", None, "input_grad=False still returns the first input's gradient")
        for name in full:
            if name != first and not (name in without and agree(full[name], without[name])):
                yield Problem(f"d{name}", "backward", None, f"input_grad=False changes the gradient of {name}")

    def _called(self) -> Iterator[Problem]:
        """Calling the layer, where it can be called, is forward without `saved`."""
        if not callable(self.hand.layer):
            return
        y = self.hand.forward(self._loaded(), self._copies())[0]
        given = self.hand.call(self._loaded(), self._copies())
        if not same(numbers(floats(given)), numbers(floats(y))):
            yield Problem("output", "forward", None, "layer(*inputs) returns another output than forward")


def same(a: Sequence[Array], b: Sequence[Array]) -> bool:
    """Return whether two lists hold the same numbers, to the last digit."""
    return len(a) == len(b) and all(
        np.array_equal(x, y, equal_nan=x.dtype.kind in "fc") for x, y in zip(a, b, strict=True)
    )


def numbers(value: Any) -> list[Array]:
    """Return copies of all numbers in a structure, whatever it is made of; layers and parameters are left out."""
    found: list[Array] = []
    seen: set[int] = set()

    def walk(part: Any) -> None:
        if isinstance(part, np.ndarray | np.generic | float | int):
            found.append(np.array(part))
        elif id(part) not in seen and not hasattr(part, "backward") and not hasattr(part, "grad"):
            seen.add(id(part))
            inner = part.values() if isinstance(part, Mapping) else part if isinstance(part, list | tuple) else None
            for each in getattr(part, "__dict__", {}).values() if inner is None else inner:
                walk(each)

    walk(value)
    return found


def agree(a: Array, b: Array) -> bool:
    """Return whether two arrays are the same but for rounding, in the same places not finite."""
    return near(np.nan_to_num(a), np.nan_to_num(b)) and np.array_equal(np.isfinite(a), np.isfinite(b))
