"""What the tensors of a recorded step should have been, and how large one rounding of each is.

The truth comes from neither backward under test. For float32 it is autograd in float64. For float64 it is the
complex step of the forward (see truth.py) at the very place that a name stands for: the network runs in the widest
complex type, the one entry is moved by ih as it goes by, and the imaginary part of the loss, divided by h, is its
gradient.

One rounding is measured on autograd in float64: every operation's result, forward and back, is changed by a relative
DELTA, up or down at random. By how much a tensor then moves, times eps / DELTA, is what rounding does to it, with
cancellation, saturation and ill conditioning in it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np
import torch
from torch._decomp import decomposition_table
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from handgrad.experiment import State
from handgrad.recording import MISFITS, by_hand
from handgrad.truth import STEP, published_sigmoid
from manual.module import Module, Parameter
from manual.networks.perceptron import DoubleSigmoid

Array = np.ndarray[Any, np.dtype[Any]]
Index = tuple[int, ...]

# Small enough that no mask or maximum flips by it, large enough that the runs' own rounding is lost beside it.
DELTA, DRAWS = 2.0**-38, 6
TRANSCENDENTAL = {
    *("sigmoid", "tanh", "exp", "exp2", "expm1", "log", "log2", "log1p", "erf", "_softmax", "_log_softmax"),
    *("softplus", "log_sigmoid_forward", "elu", "gelu", "silu", "mish"),
}
# What these compute inside is rounded too, and cancels: where a class is nearly sure, log p and p - 1 are what is left
# of numbers of order one. So they are taken apart into their operations.
TAKEN_APART = (
    *(torch.ops.aten._log_softmax.default, torch.ops.aten._log_softmax_backward_data.default),
    *(torch.ops.aten.native_layer_norm.default, torch.ops.aten.native_layer_norm_backward.default),
)


class Truth(Protocol):
    """Whatever knows the right entries of a named tensor; `kind` says in words what it is."""

    kind: str

    def entries(self, name: str, indices: Sequence[Index]) -> Array:
        """Return these entries of the tensor called `name`; NaN where they are not known."""


class WideTruth:
    """The same step, taken with more digits by autograd."""

    kind = "autograd in float64"

    def __init__(self, tensors: State) -> None:
        self.tensors = tensors

    def entries(self, name: str, indices: Sequence[Index]) -> Array:
        """Return these entries of the tensor called `name`."""
        return np.array([self.tensors[name][index] for index in indices])


class NoTruth:
    """Where nothing more exact is to be had, the two sides are held against each other."""

    kind = "each other alone"

    def entries(self, name: str, indices: Sequence[Index]) -> Array:
        """Return NaN for every entry."""
        return np.full(len(indices), np.nan)


class ComplexTruth:
    """Im f(w + ih) / h at any place of a hand-written forward.

    `roots` are its modules, in complex numbers, `parameters` theirs by name, and `forward` runs them and returns the
    loss. `lr` is the rate of plain descent, by which the updated parameters follow.
    """

    kind = "a complex step of the forward"

    def __init__(
        self,
        roots: Mapping[str, Module],
        parameters: Mapping[str, Parameter],
        forward: Callable[[], Any],
        lr: float = 0.0,
    ) -> None:
        self.roots, self.parameters, self.forward, self.lr = roots, parameters, forward, lr
        for root in roots.values():
            for _, module in root.named_modules():
                if isinstance(module, DoubleSigmoid):  # the published rule is no derivative of its forward
                    vars(module)["forward"] = lambda z: (published_sigmoid(z), None)
        with by_hand(roots) as recording:
            loss = np.asarray(forward())
        self.values = {**recording.values, "loss": loss}

    def entries(self, name: str, indices: Sequence[Index]) -> Array:
        """Return these entries: of a value, of a gradient, or of a parameter after the step."""
        if name.startswith("d_L_d_"):
            return np.array([self._gradient(name.removeprefix("d_L_d_"), index) for index in indices], np.longdouble)
        if name in self.values:
            value = self.values[name]
            return np.array([value[index].real for index in indices], np.longdouble)
        before = self.parameters[name].data.real
        return np.array([before[i] - np.longdouble(self.lr) * self._gradient(name, i) for i in indices], np.longdouble)

    def _gradient(self, place: str, index: Index) -> Any:
        if place in self.parameters:
            parameter = self.parameters[place]
            kept = parameter.data
            parameter.data = _moved(kept, index)
            loss = self.forward()
            parameter.data = kept
        elif place not in self.values:
            return np.longdouble("nan")  # no such place was gone by: its gradient is not known, and not 0
        else:
            with by_hand(self.roots, lambda name, value: _moved(value, index) if name == place else value):
                loss = self.forward()
        return np.asarray(loss).imag[()] / np.longdouble(STEP)


def complex_truth(
    roots: Mapping[str, Module], parameters: Mapping[str, Parameter], forward: Callable[[], Any], lr: float = 0.0
) -> Truth:
    """Return the truth by complex steps of a hand-written forward, or none where the forward raises."""
    try:
        return ComplexTruth(roots, parameters, forward, lr)
    except MISFITS:
        return NoTruth()


def _moved(array: Any, index: Index) -> Array:
    moved = np.array(array)
    moved[index] += 1j * STEP
    return moved


class _Noise(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Changes what every operation returns, and what the sums and differences are given, by +-delta of itself.

    Integers made of integers by arithmetic stay: it is exact on them, and their ties and zeros are real ones. The
    1 that a sigmoid gives for a large integer is not.
    """

    def __init__(self, seed: int, delta: float = DELTA) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.delta = delta
        self.random = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in TAKEN_APART:
            with self:
                return decomposition_table[func](*args, **kwargs)
        if _moves_only(func):
            return func(*args, **kwargs)
        exact = func._schema.name.removeprefix("aten::") not in TRANSCENDENTAL
        exact = exact and all(bool((leaf == leaf.round()).all()) for leaf in tree_leaves(args) if _real(leaf))
        # An element-wise operation errs in its result alone; inside of a sum of products every term is rounded.
        if torch.Tag.pointwise not in func.tags:
            args = [self._noisy(part, integers_stay=True) for part in args]
        return self._noisy(func(*args, **kwargs), integers_stay=exact)

    def _noisy(self, leaf: Any, integers_stay: bool) -> Any:
        if isinstance(leaf, tuple | list):
            return type(leaf)(self._noisy(part, integers_stay) for part in leaf)
        if not _real(leaf) or leaf.numel() == 0:
            return leaf
        with torch.no_grad():
            factor = (
                torch.empty(leaf.shape, dtype=leaf.dtype)
                .bernoulli_(generator=self.random)
                .mul_(2 * self.delta)
                .add_(1 - self.delta)
            )
            return torch.where(leaf == leaf.round(), leaf, leaf * factor) if integers_stay else factor.mul_(leaf)


@cache
def _moves_only(func: Any) -> bool:
    """Return whether an operation makes a copy or a view, or writes into what it is given, which has to stay shared."""
    schema = func._schema
    return schema.name == "aten::clone" or any(argument.alias_info is not None for argument in schema.arguments)


def _real(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.is_floating_point()


def units(run: Callable[[Any], State], dtype: str, draws: int = DRAWS, delta: float = DELTA) -> State:
    """Return one rounding in `dtype` of every entry of the tensors that `run`, autograd in float64, returns.

    `run` is given the mode in which to compute, or None. Of a million entries, six draws come out small for some, all
    of them; more `draws` leave none of these. With `delta` as large as eps a maximum or a kink that is within rounding
    of falling the other way does so in some of the draws, and the unit is as large as what that changes.
    """
    eps, tiny = float(np.finfo(dtype).eps), float(np.finfo(dtype).tiny)
    true = run(None)
    found = {name: np.zeros(value.shape) for name, value in true.items()}
    for draw in range(draws):
        moved = run(_Noise(draw, delta))
        for name, value in true.items():
            with np.errstate(invalid="ignore", over="ignore"):
                change = np.abs(moved[name] - value) * (eps / delta)
            found[name] = np.maximum(found[name], np.where(np.isfinite(change), change, 0.0))
    for name, value in true.items():
        finite = np.abs(value[np.isfinite(value)])
        # By chance all draws may cancel in one entry; a rounding of the entry itself is always there.
        found[name] += eps * (np.abs(np.nan_to_num(value)) + 2.0**-10 * finite.max(initial=0.0)) + tiny
    return found
