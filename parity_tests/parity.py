"""The one helper of the layer tests: a module by hand against the same module of torch.

    def network(nn): return nn.Sequential(nn.Linear(5, 3), nn.Sigmoid())
    check(network, normal(4, 5), dtype="float64")

One function builds both sides. An input of floats has a gradient, one of integers or bools is an index or a mask; a
tuple stands for a tuple (the states of an LSTM), and what is given by name is an option of forward, without a
gradient. Parameters and upstream gradients are random, never ones or zeros; every output, buffer, input gradient and
parameter gradient is judged by `judge`, NaN first. Along the way: forward and backward change nothing that they were
given, backward twice gives the same and adds to `.grad`, its gradients stand as the inputs do, `input_grad=False`
changes no other gradient, dtypes stay.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import manual.nn
from manual.module import Module
from parity_tests.devices import chosen
from parity_tests.sides import (
    Array,
    Case,
    Numbers,
    autograd,
    complex_step,
    each,
    leaves,
    named,
    scales,
    share_generator,
)

# The hand-written error against the truth may be this many times autograd's own, or this many eps * scale.
# Measured over the cases here: 5.0 at most, in mixtures of experts and softmax in float32, mostly below 2. A formula
# that is wrong by 1e-9 is off by 1e-9 / eps = 4,500,000.
FACTOR = 8.0


def normal(*shape: int, seed: int = 0) -> Array:
    """Return standard normal numbers in float64."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def probabilities(*shape: int, seed: int = 0) -> Array:
    """Return numbers in (0.02, 0.98)."""
    return np.random.default_rng([seed, 7, *shape]).uniform(0.02, 0.98, shape)


def integers(*shape: int, below: int, seed: int = 0) -> Array:
    """Return integers from 0 to below - 1: classes, indices."""
    return np.random.default_rng([seed, 8, *shape]).integers(0, below, shape)


def check(
    build: Callable[[Any], Any],
    *inputs: Any,
    dtype: str = "float64",
    device: str | None = None,
    seed: int = 1,
    training: bool = True,
    unused: tuple[int, ...] = (),
    spread: float = 1.0,
    **options: Any,
) -> None:
    """Assert parity of `build(manual.nn)` with `build(torch.nn)` on these inputs and options of forward.

    Autograd's side runs on `device`, else on the one that the run has chosen; the truth stays on the CPU.
    `unused` names, by number, outputs that get no gradient; `spread` is the parameters' standard deviation.
    """
    hand, theirs = build(manual.nn), build(torch.nn)
    check_module(
        hand,
        theirs,
        *inputs,
        dtype=dtype,
        device=device,
        seed=seed,
        training=training,
        unused=unused,
        spread=spread,
        **options,
    )


def check_module(
    hand: Module,
    theirs: torch.nn.Module,
    *inputs: Any,
    dtype: str = "float64",
    device: str | None = None,
    seed: int = 1,
    training: bool = True,
    unused: tuple[int, ...] = (),
    spread: float = 1.0,
    **options: Any,
) -> None:
    """Assert parity of one module with its twin, as `check` does; the weights of both are drawn anew."""
    device = device or chosen.device(dtype)
    _check(hand.train(training), theirs.train(training), Case(inputs, options, seed, unused), dtype, device, spread)


def check_exact(
    build: Callable[[Any], Any], *inputs: Any, training: bool = True, seed: int = 1, **options: Any
) -> None:
    """Assert parity bit for bit, on parameters and upstream gradients that are small integers.

    For modules that only add, multiply, choose and move: small integers are exact in any order of summation.
    """
    random = np.random.default_rng([seed, 96])
    case = Case(inputs, options, seed)
    for dtype in ("float32", "float64"):
        hand, theirs = build(manual.nn).to(dtype).train(training), build(torch.nn).train(training)
        state = {name: random.integers(-4, 5, value.shape) for name, value in hand.state_dict().items()}
        load(hand, theirs, state, dtype)
        y, saved = hand.forward(*case.given(dtype), **case.keywords(dtype))
        upstream = each(lambda u: np.round(3 * u), case.upstream(y, dtype))
        values = named(y, hand, leaves(hand.backward(upstream, saved)))
        for name, value in autograd(theirs, case, upstream, dtype, chosen.device(dtype)).items():
            assert np.array_equal(values[name], value), f"{name}: not the same bits in {dtype}"


def check_refused(
    build: Callable[[Any], Any],
    *inputs: Any,
    error: type[Exception],
    match: str,
    dtype: str = "float32",
    **options: Any,
) -> None:
    """Assert that torch refuses this, in the constructor or in forward, and that we do with `error` and `match`."""
    case = Case(inputs, options)
    # torch's own kinds and words are many; ours are what is tested. And what is refused is no matter of the device.
    with torch.device("cpu"), pytest.raises(Exception):  # noqa: B017, PT011
        build(torch.nn)(
            *(each(torch.tensor, part) for part in case.given(dtype)),
            **{name: torch.tensor(o) if isinstance(o, np.ndarray) else o for name, o in case.keywords(dtype).items()},
        )
    with pytest.raises(error, match=match):
        build(manual.nn).to(dtype).forward(*case.given(dtype), **case.keywords(dtype))


def of(nn: Any, array: Array) -> Any:
    """Return the array as the side of `nn` takes it: an argument of the constructor, such as classes' weights."""
    return array if nn is manual.nn else torch.tensor(array)


def judge(name: str, hand: Array, theirs: Array, truth: Array, scale: float, dtype: str) -> None:
    """Assert that `hand` is as near to the truth as autograd is, up to FACTOR; `scale` is the tensor's size."""
    assert hand.shape == theirs.shape, f"{name}: shape {hand.shape} by hand, {theirs.shape} with autograd"
    assert hand.dtype == theirs.dtype, f"{name}: {hand.dtype} by hand, {theirs.dtype} with autograd"
    assert (np.isnan(hand) == np.isnan(theirs)).all(), f"{name}: NaN on one side alone"
    same = (hand == theirs) | np.isnan(hand)
    if same.all():
        return
    assert hand.dtype.kind == "f", f"{name}: {hand.dtype}, and not the same"
    unit = np.finfo(dtype).eps * scale
    hand_error = float(np.abs(hand - truth)[~same].max())
    autograd_error = float(np.abs(theirs - truth)[~same].max())
    allowed = FACTOR * max(autograd_error, unit)
    assert hand_error <= allowed, f"{name}: off by {hand_error:.3e}, autograd by {autograd_error:.3e}, unit {unit:.3e}"
    # In float64 the truth is a complex step of the hand-written forward: autograd has to be near it too.
    assert autograd_error <= FACTOR * max(hand_error, unit), f"{name}: autograd is off by {autograd_error:.3e}"


def load(hand: Module, theirs: torch.nn.Module, state: Numbers, dtype: str) -> None:
    """Give both sides the same state."""
    hand.load_state_dict(state)
    theirs.to(getattr(torch, dtype)).load_state_dict({name: torch.tensor(value) for name, value in state.items()})


def drawn_state(hand: Module, dtype: str, seed: int, spread: float = 1.0) -> Numbers:
    """Return a random state: parameters normal, buffers such as a running variance in (0.5, 1.5), counts small.

    A `spread` below 1 keeps gates from their ends, where 1 - y has lost its digits, by hand and with autograd.
    """
    random = np.random.default_rng([seed, 99])
    buffers = {name for name, _ in hand.named_buffers()}

    def draw(name: str, value: Array) -> Array:
        if value.dtype.kind not in "fc":
            return random.integers(1, 5, value.shape)
        drawn = random.uniform(0.5, 1.5, value.shape) if name in buffers else spread * random.normal(size=value.shape)
        return np.asarray(drawn).astype(dtype)

    return {name: draw(name, value) for name, value in hand.state_dict().items()}


def _check(hand: Module, theirs: torch.nn.Module, case: Case, dtype: str, device: str, spread: float) -> None:
    hand = hand.to(dtype)
    assert list(hand.state_dict()) == list(theirs.state_dict()), "the state has other names than torch's"
    load(hand, theirs, drawn_state(hand, dtype, case.seed, spread), dtype)
    share_generator(hand, case.seed)
    fresh = copy.deepcopy(hand)

    given, options = case.given(dtype), case.keywords(dtype)
    y, saved = hand.forward(*given, **options)
    kept_saved = copy.deepcopy(saved)
    upstream = case.upstream(y, dtype)
    grads = hand.backward(upstream, saved)
    values = named(y, hand, leaves(grads))
    references = autograd(theirs, case, upstream, dtype, device)
    assert list(values) == list(references), f"{set(values) ^ set(references)}: on one side alone"
    wide = case_in(case, dtype)
    truth = autograd(theirs, wide, upstream, "float64") if dtype == "float32" else complex_step(fresh, wide, upstream)
    sizes = scales(theirs, wide, upstream)
    for name, value in values.items():
        judge(name, value, references[name], truth[name], sizes[name], dtype)

    intact = _same(
        [given, options, upstream, saved],
        [case.given(dtype), case.keywords(dtype), case.upstream(y, dtype), kept_saved],
    )
    assert intact, "something handed in was changed"
    _check_contract(hand, fresh, case, saved, values, grads, upstream, dtype)


def case_in(case: Case, dtype: str) -> Case:
    """Return the case with its numbers rounded to `dtype`: the truth is of the numbers that were given."""
    return Case(case.given(dtype), case.keywords(dtype), case.seed, case.unused)


def _check_contract(
    hand: Module, fresh: Module, case: Case, saved: Any, values: Numbers, grads: Any, upstream: Any, dtype: str
) -> None:
    given, options = case.given(dtype), case.keywords(dtype)
    assert _same(grads, hand.backward(upstream, saved)), "backward twice with one `saved` gives two answers"
    of_first, *of_others = _by_input(grads)
    not_given = [None] * (1 + len(of_others) - len(given))  # inputs that may be left out, as a recurrent layer's state
    assert _fits((of_first, *of_others), (*given, *not_given)), "the gradients have another structure than the inputs"
    for name, p in hand.named_parameters():
        if p.grad is not None:
            once = values[f"grad of {name}"]
            # A parameter that stands in two places gets its parts a and b one by one: a + b + a + b, rounded thrice.
            rounding = FACTOR * np.finfo(dtype).eps * np.abs(once).max(initial=0.0)
            same = np.allclose(p.grad, 2 * once, rtol=0, atol=rounding, equal_nan=True)
            assert same, f"gradients of {name} do not add up"
    hand.zero_grad()
    without = hand.backward(upstream, saved, input_grad=False)
    first, *others = _by_input(without)
    assert first is None, "input_grad=False still returns the first input's gradient"
    assert _same(others, of_others)
    for name, p in hand.named_parameters():
        if p.grad is not None:
            assert _same(p.grad, values[f"grad of {name}"]), f"input_grad=False changes the gradient of {name}"
    hand.zero_grad()
    outputs = [y for name, y in values.items() if name.startswith("output")]
    again = [y for y in leaves(copy.deepcopy(fresh)(*given, **options)) if y is not None]
    assert _same(again, outputs), "calling the module gives another output than forward"
    wide = copy.deepcopy(fresh).to(np.longdouble)
    y, saved = wide.forward(*case.given(np.longdouble), **case.keywords(np.longdouble))
    found = leaves(wide.backward(each(lambda u: u.astype(np.longdouble), upstream), saved))
    found += [*leaves(y), *(p.grad for p in wide.parameters())]
    assert all(np.asarray(a).dtype.kind != "f" or a.dtype == np.longdouble for a in found if a is not None), "narrowed"


def _by_input(grads: Any) -> tuple[Any, ...]:
    """Return what backward returned as one gradient for each input: one array stands for one input."""
    return grads if isinstance(grads, tuple) else (grads,)


def _fits(grads: Any, inputs: Any) -> bool:
    """Return whether there is an array, or None, in the place of each input: a tuple for a tuple, None for None."""
    if isinstance(inputs, tuple):
        return isinstance(grads, tuple) and len(grads) == len(inputs) and all(map(_fits, grads, inputs))
    return grads is None or (inputs is not None and isinstance(grads, np.ndarray | np.generic))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(np.array_equal(a, b, equal_nan=True)) if isinstance(a, np.ndarray | np.generic) else bool(a == b)
