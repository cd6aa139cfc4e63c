"""check.function: functions whose backward somebody wrote, beside the plain formula, in every way to call them."""

import inspect
import sys
from functools import cache
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from handgrad.checking.from_jax import from_jax
from handgrad.checking.functions import check_function
from handgrad.errors import UsageError
from parity_tests.checking.functions import Gate, Loss, gate, reference

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(5, 4)), RNG.normal(size=4)


@cache
def report(wrong="", **options):
    return check_function(gate(wrong), reference, X, W, **options)


def test_right():
    found = report(dtypes=(torch.float64, torch.float32, torch.float16, torch.bfloat16))
    assert found.ok, str(found)
    names = [row.name for row in found.table]
    assert names[:4] == ["output0", "output1", "dx", "dw"]
    assert {"dx in float32", "output1 in bfloat16", "dw in float16"} <= set(names)
    assert not found.fine


MISTAKES = {
    "forward": ("output0", "forward", None),
    "branch lost": ("dx", "backward", "ACC-BRANCH-LOST"),
    "none": ("dw", "backward", None),
    "unwritten": ("dx", "backward", "KERN-UNINIT"),
    "reads grad_output as contiguous": ("dx", "backward", "KERN-STRIDE"),
    "reads an expanded grad_output": ("dx", "backward", "KERN-STRIDE"),
    "reads x as contiguous": ("output0", "forward", "KERN-STRIDE"),
    "overwrites x": ("x", "backward", "CACHE-INPLACE"),
    "overwrites grad_output": ("grad_output", "backward", "CACHE-INPLACE"),
    "overwrites saved": ("dx", "backward", "CACHE-INPLACE"),
    "no partials kept": ("dx", "backward", ""),
    "needs": ("dw", "backward", ""),
}


@pytest.mark.parametrize("wrong", MISTAKES)
def test_where_and_why(wrong):
    found = report(wrong)
    first, stage, cause = MISTAKES[wrong]
    assert (found.first_wrong, found.stage) == (first, stage), str(found)
    assert cause is None or cause == (found.causes[0].id if found.causes else ""), str(found)


def test_a_race():
    """Right in nine calls of ten, as a race is: the formula agrees, and only runs that are repeated tell."""
    calls = count(1)

    class Racing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            late = torch.arange(len(g))[:, None] == 3
            return torch.where(late & (next(calls) % 10 == 0), 0, 2 * g)

    found = check_function(Racing.apply, lambda x: 2 * x, X, runs=12)
    assert (found.first_wrong, found.causes[0].id) == ("dx", "KERN-RACE"), str(found)


def test_another_order_of_sums_is_fine():
    torch.manual_seed(0)
    found = report("other order", runs=12)
    assert found.ok, str(found)
    assert any("another order" in note for note in found.fine)


def test_the_input_that_is_read_as_contiguous_is_named():
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x.clone(), w.clone())
            return x * torch.as_strided(w, w.shape, (1,), w.storage_offset())

        @staticmethod
        def backward(ctx, up):
            x, w = ctx.saved_tensors
            return up * w, (up * x).sum(0)

    found = check_function(Scaled.apply, lambda x, w: x * w, X, W)
    assert found.causes[0].id == "KERN-STRIDE", str(found)
    assert found.causes[0].sentence.startswith("w is read as if contiguous")


def test_a_buffer_of_its_own_that_a_second_backward_scales_again():
    """The first call's result is that very buffer, so that the two look alike unless the first is copied."""

    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.slope = 3 * x.detach() ** 2
            return x**3

        @staticmethod
        def backward(ctx, up):
            ctx.slope *= up
            return ctx.slope

    found = check_function(Cube.apply, lambda x: x**3, X)
    assert (found.first_wrong, [c.id for c in found.causes]) == ("dx", ["CACHE-INPLACE"]), str(found)


def test_other_inputs_of_make_inputs():
    def make(rng):
        n, d = rng.integers(3, 9, 2)
        return rng.normal(size=(n, d)), rng.normal(size=d)

    assert report(make_inputs=make).ok
    found = report("branch lost", make_inputs=make)
    assert found.causes[0].id == "ACC-BRANCH-LOST"
    assert "fresh inputs" in found.probe


@pytest.mark.parametrize(
    ("wrong", "cause"), [("", None), ("no mean", "LOSS-NO-MEAN"), ("upstream ignored", "UPSTREAM-IGNORED")]
)
def test_losses(wrong, cause):
    found = check_function(lambda x, t: Loss.apply(x, t, wrong), torch.nn.functional.mse_loss, X, X[::-1].copy())
    assert found.ok == (cause is None), str(found)
    assert cause is None or found.causes[0].id == cause, str(found)


def test_indices_and_what_needs_no_gradient():
    def pick(table, index):
        return table[index]

    found = check_function(pick, pick, X, np.array([0, 3, 3]))
    assert found.ok
    assert "dindex" not in [row.name for row in found.table]
    x, w = torch.tensor(X, requires_grad=True), torch.tensor(W)
    found = check_function(gate("none"), reference, x, w)
    assert found.ok, str(found)
    assert [row.name for row in check_function(lambda table: table.tanh(), torch.tanh, X).table][1] == "dtable"
    assert not report("none").ok


def test_the_caller_s_tensors_and_settings_stay():
    x = torch.tensor(X, requires_grad=True)
    check_function(gate("overwrites grad_output"), reference, x, torch.tensor(W))
    assert np.array_equal(x.detach().numpy(), X)
    assert x.grad is None
    assert not torch.are_deterministic_algorithms_enabled()


def test_an_operator_of_torch_library():
    @torch.library.custom_op("handgrad_tests::cube", mutates_args=())
    def cube(x: torch.Tensor) -> torch.Tensor:
        return x**3

    factor = {"right": 3.0}
    cube.register_autograd(
        lambda ctx, g: factor["right"] * ctx.saved_tensors[0] ** 2 * g,
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
    )
    assert check_function(cube, lambda x: x * x * x, X).ok
    factor["right"] = 1.5
    found = check_function(cube, lambda x: x * x * x, X)
    assert found.first_wrong == "dx"
    assert "it is the right one times 0.5" in found.facts


def test_a_triton_kernel_under_its_interpreter(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    pytest.importorskip("triton")
    from parity_tests.checking.triton_kernel import Square

    def run(factor=2.0, contiguous=True):
        return check_function(lambda x: Square.apply(x, factor, contiguous), torch.square, X, dtypes=(torch.float32,))

    assert run().ok, str(run())
    wrong = run(factor=1.0)
    assert (wrong.first_wrong, wrong.causes[0].id) == ("dx", "OP-POW"), str(wrong)
    assert run(contiguous=False).causes[0].id == "KERN-STRIDE"


def test_a_custom_vjp_of_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)

    def system(factor):
        @jax.custom_vjp
        def square(x):
            return x * x

        square.defvjp(lambda x: (x * x, x), lambda x, g: (factor * x * g,))
        return from_jax(square)

    assert check_function(system(2.0), lambda x: x * x, X).ok
    assert check_function(system(1.0), lambda x: x * x, X).first_wrong == "dx"


class Structure:
    def __init__(self, kind):
        self.kind = kind


def stand_in(factor, x64=True):
    """What from_jax uses of JAX, in NumPy: a function (x, w) -> (x w, sum x) with its vjp."""

    def vjp(fn, x, w):
        return fn(x, w), lambda g: (w * g[0] + g[1], factor * (x * g[0]).sum(0))

    trees = SimpleNamespace(tree_flatten=lambda out: (list(out), Structure(tuple)))
    trees.tree_unflatten = lambda structure, leaves: structure.kind(leaves)
    return SimpleNamespace(
        vjp=vjp, numpy=np, tree_util=trees, device_get=np.asarray, config=SimpleNamespace(jax_enable_x64=x64)
    )


def test_the_jax_adapter_on_a_stand_in(monkeypatch):
    """JAX itself may not be there; that arrays, gradients and dtypes find their places is seen without it."""

    def plain(x, w):
        return x * w, x.sum()

    for factor, ok in ((1.0, True), (-1.0, False)):
        monkeypatch.setitem(sys.modules, "jax", stand_in(factor))
        found = check_function(from_jax(plain), plain, X, W)
        assert found.ok == ok, str(found)
    assert found.first_wrong == "dw"
    assert "it is the right one times -1" in found.facts
    monkeypatch.setitem(sys.modules, "jax", stand_in(1.0, x64=False))
    with pytest.raises(UsageError, match="jax_enable_x64"):
        check_function(from_jax(plain), plain, X, W)


def test_without_jax(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(UsageError, match="not installed"):
        from_jax(lambda x: x)


WRONG_USE = {
    "no function": (lambda: check_function(3, reference, X, W), "fn is a int"),
    "no floats": (lambda: check_function(gate(), reference, np.array([1])), "no input is a tensor"),
    "another shape": (lambda: check_function(lambda x: x.sum(0), torch.tanh, X), "compare like with like"),
    "detached": (lambda: check_function(lambda x: torch.tanh(x).detach(), torch.tanh, X), "has no grad_fn"),
    "no dtypes": (lambda: check_function(gate(), reference, X, W, dtypes=()), "dtypes is empty"),
}


@pytest.mark.parametrize("case", WRONG_USE)
def test_wrong_use(case):
    run, message = WRONG_USE[case]
    with pytest.raises(UsageError, match=message):
        run()


def test_an_error_in_the_function_is_theirs_and_says_how_it_was_called():
    def picky(x):
        return torch.tanh(x.view(-1)).view(x.shape)

    with pytest.raises(RuntimeError, match="view") as raised:
        check_function(picky, torch.tanh, X)
    assert "not contiguous" in raised.value.__notes__[0]


def test_the_given_switches_are_all_planted():
    source = inspect.getsource(Gate)
    assert all(f'"{wrong}"' in source for wrong in MISTAKES)
