"""What passes through every module of a network, recorded from outside, on both sides under one set of names.

    0.input  0.output  1.input  1.output  ...      on the way forward, in order of computation
    1.output  1.input  0.output  0.input  ...      their gradients, on the way back

A module has its name of named_modules, the outermost one its own ("network"). One that is called again gets the
number of the call, `cell#3` is its third; several inputs or outputs have an index each, `objective.input[1]`.
Where autograd fuses what is inside a module, or somebody calls a function instead of a module, what goes in and what
comes out is compared.

The gradient of an input is the part that comes through this one call, as a full backward hook of torch's gives it
and as `backward` returns it. Such a hook does not tell which of a module's calls it belongs to. So each call is
given a copy of every tensor, and the hook is on that.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from handgrad.experiment import State
from manual.module import Module

Array = np.ndarray[Any, np.dtype[Any]]
Change = Callable[[str, Any], Any]
# What a hand-written half can raise about what it meets: shapes, dtypes, indices, names, a half that is not there.
MISFITS = (ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError)


@dataclass(eq=False)
class Call:
    """One call of a module: `name` with its number, `path` without.

    `inputs` and `options` are what torch's was given, as arrays; `saved` is what the hand-written one has saved.
    """

    name: str
    path: str
    inputs: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    saved: Any = None
    single: bool = True


@dataclass(eq=False)
class Recording:
    """What went by: `values` forward and `grads` back, by name, and the calls of all modules, in order.

    `stopped` says in which half of which module the hand-written side raised an error about what it met.
    """

    values: State = field(default_factory=dict)
    grads: State = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    stopped: str = ""

    def enter(self, path: str) -> Call:
        """Return a new call of the module at `path`."""
        number = 1 + sum(call.path == path for call in self.calls)
        call = Call(path if number == 1 else f"{path}#{number}", path)
        self.calls.append(call)
        return call


def mapped(value: Any, name: str, change: Change) -> Any:
    """Return `value`, a tensor or a structure of tensors, with every tensor replaced by change(its name, it)."""
    if isinstance(value, tuple | list):
        return type(value)(mapped(part, f"{name}[{i}]", change) for i, part in enumerate(value))
    if isinstance(value, dict):
        return {key: mapped(part, f"{name}[{key}]", change) for key, part in value.items()}
    return value if value is None else change(name, value)


def mapped_inputs(inputs: tuple[Any, ...], name: str, change: Change, single: bool = True) -> tuple[Any, ...]:
    """Return the inputs of a call likewise; a single one has no index, and None at the end is none.

    Gradients are `single` only where the inputs were: a target of classes has none, and is an input all the same.
    """
    if single and sum(value is not None for value in inputs[1:]) == 0:
        return (*(mapped(value, name, change) for value in inputs[:1]), *inputs[1:])
    return tuple(mapped(value, f"{name}[{i}]", change) for i, value in enumerate(inputs))


def modules(roots: Mapping[str, Any]) -> dict[str, Any]:
    """Return every module below `roots` by its path; a root with an empty name is called network."""
    found = {}
    for prefix, root in roots.items():
        for path, module in root.named_modules(prefix=prefix):
            found[path or "network"] = module
    return found


# ---------------------------------------------------------------------- by hand


@contextmanager
def by_hand(roots: Mapping[str, Module], change: Change = lambda name, value: value) -> Iterator[Recording]:
    """Record what the modules below `roots` are given and return, while the context lasts.

    `change(name, value)` may put another value in its place on the way forward. Every backward is asked for all
    gradients, whether its caller wants them or not.
    """
    recording = Recording()
    with replaced((module, _halves(module, path, recording, change)) for path, module in modules(roots).items()):
        yield recording


@contextmanager
def replaced(halves: Iterable[tuple[Module, Mapping[str, Any]]]) -> Iterator[None]:
    """Give modules a forward and a backward of their own, and put back what each had before."""
    pairs = list(halves)
    before = [{half: vars(module)[half] for half in own if half in vars(module)} for module, own in pairs]
    try:
        for module, own in pairs:
            vars(module).update(own)
        yield
    finally:
        for (module, own), kept in zip(pairs, before, strict=True):
            for half in own:
                del vars(module)[half]
            vars(module).update(kept)


def _halves(module: Module, path: str, recording: Recording, change: Change) -> dict[str, Any]:
    """Return a forward and a backward that keep what goes by and do what the module's own do."""
    forward, backward = module.forward, module.backward
    calls: list[Call] = []  # of this module

    def value(name: str, array: Any) -> Any:
        recording.values[name] = np.array(array)
        return change(name, array)

    def grad(name: str, array: Any) -> Any:
        # A Python number, such as the 1.0 that a backward starts from, has no dtype of its own.
        like = recording.values.get(name) if isinstance(array, int | float) else None
        kept = np.array(array, dtype=None if like is None else like.dtype)
        # Handed down in parts, an upstream gradient is their sum: a backward is linear in it.
        recording.grads[name] = np.asarray(recording.grads[name] + kept) if name in recording.grads else kept
        return array

    def traced_forward(*inputs: Any, **options: Any) -> tuple[Any, Any]:
        call = recording.enter(path)
        call.single = sum(given is not None for given in inputs[1:]) == 0
        inputs = mapped_inputs(inputs, f"{call.name}.input", value)
        with _noting(recording, f"the forward of {call.name}"):
            output, saved = forward(*inputs, **options)
        # A second call that saved the very same object, such as None, could not be told from the first.
        call.saved = _Ticket(saved) if any(other.saved is saved for other in calls) else saved
        calls.append(call)
        return mapped(output, f"{call.name}.output", value), call.saved

    def traced_backward(grad_output: Any, saved: Any, *, input_grad: bool = True) -> Any:
        call = next((call for call in calls if call.saved is saved), None)
        own = saved.saved if isinstance(saved, _Ticket) else saved
        if call is None:  # not of a forward that was recorded
            return backward(grad_output, own, input_grad=input_grad)
        mapped(grad_output, f"{call.name}.output", grad)
        with _noting(recording, f"the backward of {call.name}"):
            grads = backward(grad_output, own, input_grad=True)
        mapped_inputs(grads if isinstance(grads, tuple) else (grads,), f"{call.name}.input", grad, call.single)
        return grads

    return {"forward": traced_forward, "backward": traced_backward}


@dataclass(eq=False)
class _Ticket:
    """Stands for what a call saved, so that its backward is known to be of this call."""

    saved: Any


@contextmanager
def _noting(recording: Recording, half: str) -> Iterator[None]:
    try:
        yield
    except MISFITS as error:
        recording.stopped = recording.stopped or f"{half} raised {type(error).__name__}: {error}"
        raise


# ---------------------------------------------------------------------- with autograd


@contextmanager
def with_autograd(roots: Mapping[str, nn.Module]) -> Iterator[Recording]:
    """Record the same of torch's modules, by hooks that are removed at the end."""
    recording = Recording()
    handles = []
    try:
        for path, module in modules(roots).items():
            handles += _hook(module, path, recording)
        yield recording
    finally:
        for handle in handles:
            handle.remove()


def _hook(module: nn.Module, path: str, recording: Recording) -> list[Any]:
    open_calls: list[Call] = []  # of this module: it may be inside itself

    def copy(name: str, tensor: Any) -> Any:
        if not isinstance(tensor, Tensor):
            return tensor
        recording.values[name] = array(name, tensor)
        if not tensor.requires_grad:
            return tensor
        own = tensor.clone()

        def keep(grad: Tensor) -> None:
            recording.grads[name] = array(name, grad)

        own.register_hook(keep)  # type: ignore[no-untyped-call]
        return own

    def before(module: nn.Module, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        call = recording.enter(path)
        open_calls.append(call)
        call.inputs, call.options = mapped(inputs, "", array), mapped(options, "", array)
        return mapped_inputs(inputs, f"{call.name}.input", copy), options

    def after(module: nn.Module, inputs: Any, output: Any) -> Any:
        return mapped(output, f"{open_calls.pop().name}.output", copy)

    return [module.register_forward_pre_hook(before, with_kwargs=True), module.register_forward_hook(after)]


def array(name: str, value: Any) -> Any:
    """Return a tensor as an array of its own; what is no tensor stays."""
    return value.detach().cpu().numpy().copy() if isinstance(value, Tensor) else value
