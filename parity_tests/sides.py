"""The two sides of one case, run on the same numbers, and what is nearer to the truth than either.

`Case` holds what both are given. A side's numbers come back under one set of names, in order of computation:
"output", "output 1", "buffer running_mean", "grad of input 0", "grad of weight".
"""

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from manual.module import Module

Array = np.ndarray[Any, np.dtype[Any]]
Numbers = dict[str, Array]
STEP = 1e-100


@dataclass
class Case:
    """What both sides are given: arrays, tuples of them, or None; floats have gradients, integers and bools none."""

    inputs: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 1
    unused: tuple[int, ...] = ()  # the outputs that get no gradient

    def given(self, dtype: Any) -> tuple[Any, ...]:
        """Return fresh copies of the inputs, the floats among them in `dtype`."""
        return tuple(each(lambda array: cast(array, dtype), part) for part in self.inputs)

    def keywords(self, dtype: Any) -> dict[str, Any]:
        """Return fresh copies of the options: arrays of floats in `dtype`, all else as it is."""
        return {name: cast(o, dtype) if isinstance(o, np.ndarray) else o for name, o in self.options.items()}

    def upstream(self, outputs: Any, dtype: Any) -> Any:
        """Return random gradients in the structure of the outputs, None for an output that has none."""
        random = np.random.default_rng([self.seed, 98])
        number = iter(range(99))

        def draw(y: Any) -> Any:
            drawn = random.normal(size=np.shape(y)).astype(dtype)
            return None if next(number) in self.unused or np.asarray(y).dtype.kind not in "fc" else drawn

        return each(draw, outputs)


def each(change: Callable[[Any], Any], structure: Any) -> Any:
    """Return the structure of tuples with every leaf changed; None stays."""
    if isinstance(structure, tuple | list):
        return tuple(each(change, part) for part in structure)
    return None if structure is None else change(structure)


def leaves(structure: Any) -> list[Any]:
    """Return the leaves of a structure of tuples, in order."""
    if isinstance(structure, tuple | list):
        return [leaf for part in structure for leaf in leaves(part)]
    return [structure]


def cast(array: Array, dtype: Any) -> Array:
    """Return a copy, in `dtype` where the array is of floats."""
    return np.array(array, dtype=dtype if array.dtype.kind in "fc" else array.dtype)


def named(outputs: Any, module: Any, input_grads: list[Any]) -> Numbers:
    """Return a side's numbers under their names; `module` is of either side."""
    found: Numbers = {}
    for number, y in enumerate(leaves(outputs)):
        if y is not None:
            found[f"output {number}" if number else "output"] = as_array(y)
    found |= {f"buffer {name}": as_array(value) for name, value in module.named_buffers()}
    found |= {f"grad of input {i}": as_array(grad) for i, grad in enumerate(input_grads) if grad is not None}
    return found | {f"grad of {name}": as_array(grad_of(p)) for name, p in module.named_parameters()}


def grad_of(parameter: Any) -> Any:
    """Return a parameter's gradient; zeros where it took no part."""
    data = parameter.data
    return parameter.grad if parameter.grad is not None else 0 * (data if isinstance(data, np.ndarray) else data.cpu())


def as_array(value: Any) -> Array:
    """Return an array of either side's value."""
    return np.asarray(value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value)


# ------------------------------------------------------------------ by hand


def share_generator(module: Module, seed: int) -> bool:
    """Let every module that draws masks draw from one generator; return whether there is one."""
    generator = np.random.default_rng([seed, 5])
    drawing = [each for _, each in module.named_modules() if hasattr(each, "generator")]
    for one in drawing:
        one.generator = generator
    return bool(drawing)


def stateful(module: Module) -> bool:
    """Return whether a forward changes what the next one gives."""
    return any(hasattr(each, "generator") for _, each in module.named_modules()) or any(module.named_buffers())


def complex_step(hand: Module, case: Case, upstream: Any) -> Numbers:
    """Im f(w + ih) / h of the forward, entry by entry, in the widest complex type there is."""
    wide = copy.deepcopy(hand).to(np.clongdouble)
    inputs, options = case.given(np.clongdouble), case.keywords(np.longdouble)
    again = (lambda: copy.deepcopy(wide)) if stateful(wide) else (lambda: wide)
    weights = [(i, u) for i, u in enumerate(leaves(upstream)) if u is not None]

    def gradient(array: Array) -> Array:
        grad = np.zeros(array.shape, np.longdouble)
        for index in np.ndindex(array.shape):
            array[index] += 1j * STEP
            outputs = leaves(again()(*inputs, **options))
            grad[index] = sum((outputs[i].imag * u).sum() for i, u in weights) / STEP
            array[index] = array[index].real
        return grad

    once = again()
    outputs = once(*inputs, **options)
    found = {name: value.real for name, value in named(outputs, once, []).items() if not name.startswith("grad of")}
    for number, array in enumerate(leaves(inputs)):
        if array is not None and array.dtype.kind == "c":
            found[f"grad of input {number}"] = gradient(array)
    for name, parameter in wide.named_parameters():
        found[f"grad of {name}"] = gradient(parameter.data)
    return found


# ------------------------------------------------------------------ with autograd


@contextlib.contextmanager
def masks(seed: int) -> Iterator[None]:
    """Let torch's dropout draw its masks as the hand-written one does: entry kept where random() >= p.

    And its rrelu its slopes: lower + (upper - lower) * random().
    """
    generator = np.random.default_rng([seed, 5])

    def dropout(input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
        if not training:
            return input
        keep = torch.tensor(generator.random(tuple(input.shape)) >= p, device=input.device)
        return input * keep / (1 - p if p < 1 else 1)

    def rrelu(
        input: torch.Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
    ) -> torch.Tensor:
        if not training:
            return torch.rrelu(input, lower, upper, training=False)
        slope = torch.tensor(lower + (upper - lower) * generator.random(tuple(input.shape)), dtype=input.dtype)
        return torch.where(input <= 0, slope.to(input.device) * input, input)

    plain = torch.nn.functional.scaled_dot_product_attention

    def attention(
        query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, *rest: Any, **options: Any
    ) -> Any:
        if dropout_p == 0:
            return plain(query, key, value, attn_mask, 0.0, *rest, **options)
        # Of the identity as values, the output is the weights: dropout comes between them and the values.
        eye = torch.eye(key.shape[-2], dtype=key.dtype, device=key.device).expand(*key.shape[:-1], -1)
        weights = dropout(plain(query, key, eye, attn_mask, 0.0, *rest, **options), dropout_p)
        if options.get("enable_gqa"):
            value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
        return weights @ value

    # Torch's fused attention computes the weights again in its backward, and is up to 20 units of rounding off where
    # the plain form is off by 2: it would be the reference that is judged.
    with (
        sdpa_kernel(SDPBackend.MATH),
        mock.patch("torch.nn.functional.dropout", dropout),
        mock.patch("torch.nn.functional.rrelu", rrelu),
        mock.patch("torch.nn.functional.scaled_dot_product_attention", attention),
    ):
        yield


def autograd(module: torch.nn.Module, case: Case, upstream: Any, dtype: str, device: str = "cpu") -> Numbers:
    """Run a copy of torch's module in `dtype` on a device and return its numbers.

    Torch's default device is the CPU meanwhile: a constant that a module makes without a device is not hidden.
    """
    with torch.device("cpu"):
        return _autograd(module, case, upstream, dtype, device)


def _autograd(module: torch.nn.Module, case: Case, upstream: Any, dtype: str, device: str) -> Numbers:
    module = copy.deepcopy(module).to(getattr(torch, dtype)).to(device)

    def tensor(array: Array) -> torch.Tensor:
        return torch.tensor(array, device=device, requires_grad=array.dtype.kind == "f")

    inputs = tuple(each(tensor, part) for part in case.given(dtype))
    options = {
        name: torch.tensor(option, device=device) if isinstance(option, np.ndarray) else option
        for name, option in case.keywords(dtype).items()
    }
    with masks(case.seed):
        outputs = module(*inputs, **options)
    pairs = [(y, u) for y, u in zip(leaves(outputs), leaves(upstream), strict=True) if u is not None]
    torch.autograd.backward([y for y, _ in pairs], [torch.tensor(u.astype(dtype), device=device) for _, u in pairs])
    grads = [
        None if leaf is None or not leaf.requires_grad else torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        for leaf in leaves(inputs)
    ]
    return named(outputs, module, grads)


def scales(module: torch.nn.Module, case: Case, upstream: Any) -> dict[str, float]:
    """The size of each tensor's entries, also under upstream gradients whose signs are drawn anew.

    One upstream gradient may by chance cancel in a sum, and then leaves a result that is smaller than the
    rounding of its terms.
    """
    random = np.random.default_rng([case.seed, 97])
    draws = [autograd(module, case, upstream, "float64")]
    for _ in range(4):
        flipped = each(lambda u: u * random.choice([-1.0, 1.0], np.shape(u)), upstream)
        draws.append(autograd(module, case, flipped, "float64"))
    found: dict[str, float] = {}
    for draw in draws:
        for name, value in draw.items():
            size = float(np.abs(value[np.isfinite(value)]).max(initial=0.0))
            found[name] = max(found.get(name, 0.0), size)
    return found
