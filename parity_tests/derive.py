"""Proof that the last formula of a docstring is the derivative of its first, and that the code computes both.

    prove(nn.Sigmoid(), lambda x: 1 / (1 + exp(-x)), lambda g, x: g * exp(-x) / (1 + exp(-x)) ** 2, (2, 3))

The two functions are written on arrays of sympy's symbols, with NumPy's own operators (`@`, `.sum(axis)`, `.T`) and
the functions from here. The proof is symbolic: sum_k g_k dy_k/dx_i minus the claimed gradient simplifies to 0. Then
both sides are evaluated with 30 digits at random points and held against the module's forward and backward.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

sympy = pytest.importorskip("sympy", reason="the extra `derive` is not installed: pip install -e '.[derive]'")

Symbols = np.ndarray[Any, np.dtype[np.object_]]


def _each(function: Any) -> Callable[[Any], Any]:
    return np.vectorize(function, otypes=[object])


exp, log, sqrt, tanh, erf = (_each(f) for f in (sympy.exp, sympy.log, sympy.sqrt, sympy.tanh, sympy.erf))


def where(condition: Callable[[Any], Any], then: Any, otherwise: Any, x: Symbols) -> Symbols:
    """Return entries of `then` where `condition` holds of x's entry, of `otherwise` elsewhere."""
    full = [np.broadcast_to(np.asarray(part, dtype=object), x.shape) for part in (then, otherwise)]
    choose = np.frompyfunc(lambda a, b, c: sympy.Piecewise((a, condition(c)), (b, True)), 3, 1)
    chosen: Symbols = choose(*full, x)
    return chosen


def symbols(name: str, shape: tuple[int, ...]) -> Symbols:
    """Return an array of real symbols x0, x1, ..."""
    size = int(np.prod(shape))
    return np.array([sympy.Symbol(f"{name}{k}", real=True) for k in range(size)], dtype=object).reshape(shape)


def prove(
    module: Any,
    formula: Callable[..., Any],
    backward: Callable[..., Any],
    *shapes: tuple[int, ...],
    draw: Callable[[np.random.Generator, tuple[int, ...]], Any] = lambda random, shape: random.normal(size=shape),
    symbolic: bool = True,
) -> None:
    """Prove `backward(g, *inputs, *parameters)` of `formula(*inputs, *parameters)`, and `module` of both.

    `shapes` are the inputs'; the module's parameters follow them, in the order of `named_parameters()`. `backward`
    returns one array, or a tuple with one for each. With `symbolic=False` the derivative is still sympy's, but the
    difference is not simplified, which takes long where roots are nested: it is 0 to 30 digits at random points.
    """
    random = np.random.default_rng(7)
    parameters = dict(module.double().named_parameters())
    inputs = [symbols("abcdef"[i], shape) for i, shape in enumerate(shapes)]
    given = [*inputs, *(symbols(name.replace(".", "_") + "_", p.shape) for name, p in parameters.items())]
    y = np.asarray(formula(*given), dtype=object)
    g = symbols("g", y.shape)
    claimed = backward(g, *given)
    claimed = [np.asarray(each, dtype=object) for each in (claimed if isinstance(claimed, tuple) else (claimed,))]
    assert len(claimed) == len(given), "one gradient for each input and each parameter"
    total = sum(a * b for a, b in _pairs(g, y))
    numbers = [np.asarray(draw(random, each.shape)) for each in given]
    upstream = random.normal(size=y.shape)
    at = {
        s: sympy.Float(v, 40) for a, n in zip([*given, g], [*numbers, upstream], strict=True) for s, v in _pairs(a, n)
    }
    for array, grads in zip(given, claimed, strict=True):
        assert array.shape == grads.shape, f"a gradient of shape {grads.shape} for {array.shape}"
        for symbol, grad in zip(array.flat, grads.flat, strict=True):
            difference = total.diff(symbol) - grad
            if not symbolic or not _is_zero(difference):  # sympy does not see every identity: 30 digits at random do
                assert abs(sympy.N(difference.subs(at), 30)) < 1e-25, f"d/d{symbol}: off by {difference}"

    for (_, parameter), value in zip(parameters.items(), numbers[len(inputs) :], strict=True):
        parameter.data = value
    output, saved = module.forward(*numbers[: len(inputs)])
    found = module.backward(upstream, saved)
    found = [*(found if isinstance(found, tuple) else (found,)), *(p.grad for p in parameters.values())]
    for array, code in [(y, output), *zip(claimed, found, strict=True)]:
        expected = np.array([float(sympy.N(sympy.sympify(e).subs(at), 30)) for e in array.flat]).reshape(array.shape)
        # A few operations on numbers of order one: 1e-13 is some 500 units of rounding.
        np.testing.assert_allclose(code, expected, rtol=1e-13, atol=1e-13)


def _is_zero(expression: Any) -> bool:
    """Whether sympy sees that this is 0, first as a rational function of its exponentials and hyperbolic tangents.

    With exp and tanh of each argument taken for one more symbol this is a matter of a common denominator. It takes a
    moment where `simplify`, which looks for every identity, takes minutes: in gates within gates.
    """
    symbol_of: dict[Any, Any] = {}
    rational = sympy.sympify(expression).replace(
        lambda part: part.func in (sympy.exp, sympy.tanh), lambda part: symbol_of.setdefault(part, sympy.Dummy())
    )
    return bool(sympy.numer(sympy.together(rational)).expand() == 0) or bool(sympy.simplify(expression) == 0)


def _pairs(array: Symbols, numbers: Any) -> Any:
    return zip(array.flat, np.asarray(numbers).flat, strict=True)
