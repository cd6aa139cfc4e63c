"""The one helper of the layer tests: a module by hand against the same module of torch.

    def network(nn): return nn.Sequential(nn.Linear(5, 3), nn.Sigmoid())
    check(network, normal(4, 5), dtype="float64")

One function builds both sides. Parameters and upstream gradients are random, never ones or zeros; every
output, every input's gradient and every parameter's is judged by `judge`, NaN first. Along the way: forward
and backward change nothing that they were given, backward twice gives the same and adds to `.grad`,
`input_grad=False` changes no other gradient, dtypes stay.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import manual.nn
from manual.module import Module

Array = np.ndarray[Any, np.dtype[Any]]

# The hand-written error against the truth may be this many times autograd's own, or this many eps * scale.
# Measured over the cases here: 2.5 at most, where a sum is taken in another order. A formula that is wrong by
# 1e-9 is off by 1e-9 / eps = 4,500,000.
FACTOR = 8.0
STEP = 1e-100


def normal(*shape: int, seed: int = 0) -> Array:
    """Return standard normal numbers in float64."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def probabilities(*shape: int, seed: int = 0) -> Array:
    """Return numbers in (0.02, 0.98)."""
    return np.random.default_rng([seed, 7, *shape]).uniform(0.02, 0.98, shape)


def judge(name: str, hand: Array, autograd: Array, truth: Array, scale: float, dtype: str) -> None:
    """Assert that `hand` is as near to the truth as autograd is, up to FACTOR; `scale` is the tensor's size."""
    assert hand.shape == autograd.shape, f"{name}: shape {hand.shape} by hand, {autograd.shape} with autograd"
    assert hand.dtype == autograd.dtype, f"{name}: {hand.dtype} by hand, {autograd.dtype} with autograd"
    assert (np.isnan(hand) == np.isnan(autograd)).all(), f"{name}: NaN on one side alone"
    same = (hand == autograd) | np.isnan(hand)
    if same.all():
        return
    unit = np.finfo(dtype).eps * scale
    hand_error = float(np.abs(hand - truth)[~same].max())
    autograd_error = float(np.abs(autograd - truth)[~same].max())
    allowed = FACTOR * max(autograd_error, unit)
    assert hand_error <= allowed, f"{name}: off by {hand_error:.3e}, autograd by {autograd_error:.3e}, unit {unit:.3e}"
    # In float64 the truth is a complex step of the hand-written forward: autograd has to be near it too.
    assert autograd_error <= FACTOR * max(hand_error, unit), f"{name}: autograd is off by {autograd_error:.3e}"


def check(
    build: Callable[[Any], Any], *inputs: Array, dtype: str = "float64", device: str = "cpu", seed: int = 1
) -> None:
    """Assert parity of `build(manual.nn)` with `build(torch.nn)` on these inputs."""
    check_module(build(manual.nn), build(torch.nn), *inputs, dtype=dtype, device=device, seed=seed)


def check_module(
    hand: Module, autograd: torch.nn.Module, *inputs: Array, dtype: str = "float64", device: str = "cpu", seed: int = 1
) -> None:
    """Assert parity of one module with its twin; the weights of both are drawn anew."""
    random = np.random.default_rng([seed, 99])
    hand = hand.to(dtype)
    state = {name: random.normal(size=value.shape).astype(dtype) for name, value in hand.state_dict().items()}
    hand.load_state_dict(state)
    given = [np.array(array, dtype=dtype) for array in inputs]
    autograd = _prepared(autograd, state, dtype, device)
    theirs = _tensors(given, dtype, device)

    kept = copy.deepcopy(given)
    y, saved = hand.forward(*given)
    kept_saved = copy.deepcopy(saved)
    output = autograd(*theirs)
    assert y.dtype == np.dtype(dtype), f"the output is {y.dtype}"
    upstream = random.normal(size=np.shape(y)).astype(dtype)
    kept_upstream = upstream.copy()
    grads = hand.backward(upstream, saved)
    grads = grads if isinstance(grads, tuple) else (grads,)
    output.backward(torch.tensor(upstream, device=device))

    values: dict[str, Array] = {"output": np.asarray(y)}
    values |= {f"grad of input {i}": grad for i, grad in enumerate(grads)}
    values |= {f"grad of {name}": np.asarray(p.grad) for name, p in hand.named_parameters()}
    references = {"output": _array(output)}
    references |= {f"grad of input {i}": _array(tensor.grad) for i, tensor in enumerate(theirs)}
    references |= {f"grad of {name}": _array(p.grad) for name, p in autograd.named_parameters()}
    assert list(values) == list(references), "the parameters have other names than torch's"
    truth = _wide_autograd(autograd, given, upstream) if dtype == "float32" else _complex_step(hand, given, upstream)
    scales = _scales(autograd, given, upstream, random)
    for name, value in values.items():
        judge(name, value, references[name], truth[name], scales[name], dtype)

    assert _same([given, upstream, saved], [kept, kept_upstream, kept_saved]), "something handed in was changed"
    _check_contract(hand, given, upstream, saved, values, grads)


def _check_contract(hand: Module, given: list[Array], upstream: Array, saved: Any, values: Any, grads: Any) -> None:
    again = hand.backward(upstream, saved)
    again = again if isinstance(again, tuple) else (again,)
    assert _same(list(grads), list(again)), "backward twice with one `saved` gives two answers"
    for name, p in hand.named_parameters():
        assert _same(p.grad, 2 * values[f"grad of {name}"]), f"gradients of {name} do not add up"
    hand.zero_grad()
    without = hand.backward(upstream, saved, input_grad=False)
    first, *others = without if isinstance(without, tuple) else (without,)
    assert first is None, "input_grad=False still returns the first input's gradient"
    assert _same(others, list(grads[1:]))
    for name, p in hand.named_parameters():
        assert _same(p.grad, values[f"grad of {name}"]), f"input_grad=False changes the gradient of {name}"
    assert _same(hand(*given), values["output"]), "calling the module gives another output than forward"
    hand.zero_grad()


def _prepared(module: torch.nn.Module, state: dict[str, Array], dtype: str, device: str) -> torch.nn.Module:
    module = module.to(getattr(torch, dtype)).to(device)
    module.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    return module


def _tensors(arrays: list[Array], dtype: str, device: str) -> list[torch.Tensor]:
    return [torch.tensor(a, dtype=getattr(torch, dtype), device=device, requires_grad=True) for a in arrays]


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.detach().cpu().numpy())


def _wide_autograd(autograd: torch.nn.Module, given: list[Array], upstream: Array) -> dict[str, Array]:
    """Autograd in float64 on the CPU, from the float32 values."""
    wide = copy.deepcopy(autograd).double().cpu()
    wide.zero_grad()
    tensors = _tensors(given, "float64", "cpu")
    output = wide(*tensors)
    output.backward(torch.tensor(upstream, dtype=torch.float64))
    found = {"output": _array(output)}
    found |= {f"grad of input {i}": _array(tensor.grad) for i, tensor in enumerate(tensors)}
    return found | {f"grad of {name}": _array(p.grad) for name, p in wide.named_parameters()}


def _scales(
    autograd: torch.nn.Module, given: list[Array], upstream: Array, random: np.random.Generator
) -> dict[str, float]:
    """The size of each tensor's entries, also under upstream gradients whose signs are drawn anew.

    One upstream gradient may by chance cancel in a sum, and then leaves a result that is smaller than the
    rounding of its terms.
    """
    signs = [np.ones(np.shape(upstream)), *(random.choice([-1.0, 1.0], np.shape(upstream)) for _ in range(4))]
    draws = [_wide_autograd(autograd, given, upstream * sign) for sign in signs]
    finite = [{name: value[np.isfinite(value)] for name, value in draw.items()} for draw in draws]
    return {name: max(float(np.abs(draw[name]).max(initial=0.0)) for draw in finite) for name in finite[0]}


def _complex_step(hand: Module, given: list[Array], upstream: Array) -> dict[str, Array]:
    """Im f(w + ih) / h of the forward, entry by entry, in the widest complex type there is."""
    wide = copy.deepcopy(hand).to(np.clongdouble)
    arrays = [np.array(array, dtype=np.clongdouble) for array in given]
    found = {"output": np.asarray(wide(*arrays).real)}

    def gradient(array: Array) -> Array:
        grad = np.zeros(array.shape, np.longdouble)
        for index in np.ndindex(array.shape):
            array[index] += 1j * STEP
            grad[index] = (wide(*arrays).imag * upstream).sum() / STEP
            array[index] = array[index].real
        return grad

    for number, array in enumerate(arrays):
        found[f"grad of input {number}"] = gradient(array)
    for name, parameter in wide.named_parameters():
        found[f"grad of {name}"] = gradient(parameter.data)
    return found


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(np.array_equal(a, b, equal_nan=True)) if isinstance(a, np.ndarray | np.generic) else bool(a == b)
