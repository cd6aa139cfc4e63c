"""The mutator plants what it says, and leaves alone what computes nothing."""

import ast

import pytest

from parity_tests.mutants.mutator import mutants


def afters(line):
    """Return what a line of a function is changed into."""
    found = mutants("m.py", f"def f(x, y, w):\n    {line}\n")
    return {mutant.after.replace('"', "'") for mutant in found}


EXPRESSIONS = {
    "x - y": ["x + y", "x", "y", "y - x"],
    "x * y": ["x / y", "x", "y", "-(x * y)"],
    "x @ w.T": ["x * w.T", "x", "w.T", "w.T @ x", "-(x @ w.T)", "x @ w"],
    "-x": ["x"],
    "1e-5": ["2e-05"],
    "x < y": ["x <= y", "x >= y"],
    "x is not y": ["x is y"],
    "not x": ["x"],
    "x and y and w": ["x or y or w", "y and w", "x and w", "x and y"],
    "x if y else w": ["x", "w"],
    "max(x, y)": ["min(x, y)", "x", "max(x)", "-max(x, y)"],
    "np.exp(x)": ["np.expm1(x)", "x", "-np.exp(x)"],
    "x.sum(axis=-1, keepdims=True)": [
        "x", "x.mean(axis=-1, keepdims=True)", "x.sum(keepdims=True)", "x.sum(axis=-1)", "x.sum(axis=1, keepdims=True)",
        "x.sum(axis=0, keepdims=True)", "x.sum(axis=-2, keepdims=True)", "x.sum(axis=-1, keepdims=False)",
        "-x.sum(axis=-1, keepdims=True)",
    ],
    "x.transpose(0, 2)": [
        "x", "x.transpose(2, 0)", "x.transpose(0)", "x.transpose(1, 2)", "x.transpose(0, 3)", "x.transpose(0, 1)",
        "-x.transpose(0, 2)",
    ],
    "x.swapaxes(0, 2)": [
        "x", "x.swapaxes(0)", "x.swapaxes(1, 2)", "x.swapaxes(0, 3)", "x.swapaxes(0, 1)", "-x.swapaxes(0, 2)",
    ],
    "x.reshape(-1, w)": [
        "x", "x.reshape(w, -1)", "x.reshape(-1)", "x.reshape(1, w)", "x.reshape(0, w)", "-x.reshape(-1, w)",
    ],
    "x[1:, :y]": ["x[:, :y]", "x[1:, :]", "x[2:, :y]", "x[0:, :y]", "x[:y, 1:]"],
    "x[0:y]": ["x[0:]", "x[1:y]"],
    "x[y, w]": ["x[w, y]"],
    "{**x, 'y': y}": ["{'y': y}", "{**x}", "{'y': y, **x}", "{**x, '': y}"],
    "[i for i in x if i > y]": ["[i for i in x if True]", "[i for i in x if i >= y]", "[i for i in x if i <= y]"],
    "np.einsum('nk,ok->no', x, y)": [
        "np.einsum('nk,ok->on', x, y)", "np.einsum('nk,ok->n', x, y)", "np.einsum('ok,nk->no', x, y)",
        "np.einsum('nk,ok->no', y, x)", "np.einsum('nk,ok->no', x)", "np.einsum('', x, y)",
        "np.einsum(x, 'nk,ok->no', y)", "'nk,ok->no'", "-np.einsum('nk,ok->no', x, y)",
    ],
    "x.max(axis=(0, 2))": [
        "x", "x.max()", "x.min(axis=(0, 2))", "x.max(axis=(1, 2))", "x.max(axis=(0, 3))", "x.max(axis=(0, 1))",
        "x.max(axis=(2,))", "x.max(axis=(0,))", "-x.max(axis=(0, 2))",
    ],
    "zip(x, y, strict=True)": ["zip(y, x, strict=True)", "zip(x, strict=True)", "x"],
}  # fmt: skip

STATEMENTS = {
    "x += y": ["pass", "x = y", "x = x - y"],
    "self.a.accumulate(x)": ["pass"],
    "x = y": ["pass"],
    "new = y": [],  # what follows fails for lack of the name
    "a, b = x": ["b, a = x"],
    "if x: raise ValueError(y - 1)": ["if True: raise ValueError(y - 1)", "if x: pass"],
    "for i in x: self.f(i)": ["for i in (): self.f(i)", "for i in x: pass"],
    "try: self.f(x)\n    except (A, B): self.g(y)": ["try: pass", "except (A, B): pass"],
    "match x:\n        case 1 if y:\n            self.g(y)": ["pass"],
    "with x: self.f(y)": ["with __import__('contextlib').nullcontext(): self.f(y)", "with x: pass"],
}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_and_its_mutants(expression):
    assert afters(f"return {expression}") == {f"return {after}" for after in [*EXPRESSIONS[expression], "None"]}


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_and_its_mutants(statement):
    assert afters(statement) == set(STATEMENTS[statement])


def test_parentheses_stay_where_they_are_needed():
    assert "return (x + y) * w" in afters("return (x - y) * w")
    assert "return (y - x) * w" in afters("return (x - y) * w")
    assert "return x - (y + w)" in afters("return x - (y - w)")
    assert "return w - x * y" not in afters("return (w + x) * y")
    for after in afters("return (x - y @ w.T) / (1 + x) ** 2 if x and not y else -x"):
        ast.parse(f"def f():\n {after}")


QUIET = '''
"""The module's docstring: 1 + 1."""
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Maybe = Array | None
__all__ = ["A", "B"]


class A:
    """x + 1."""

    def __repr__(self) -> str:
        return "A" + "B"

    def f(self, x: Array | None) -> Array | None:
        """x + 1."""
        assert x is not None
        check(x, "A's input")
        raise ValueError(f"{x + 1} is " + "wrong")
'''


def test_what_computes_nothing_is_left_alone():
    assert {(m.function, m.after) for m in mutants("m.py", QUIET)} == {
        ("A.f", "pass"),
        ("A.f", 'check("A\'s input", x)'),
        ("A.f", "check(x)"),
    }


def test_a_default_is_mutated_and_belongs_to_the_whole_function():
    (mutant,) = [m for m in mutants("m.py", "def f(x, eps=1e-5):\n    y = x\n    return y\n") if m.line == 1]
    assert mutant.after == "def f(x, eps=2e-05):"
    assert mutant.reach == (2, 3)
    assert mutant.imported


def test_every_mutant_is_another_program_and_has_a_name_of_its_own():
    source = "def f(x):\n    if x > 1:\n        return x + 1  # up\n    y = x\n    return x + 1  # up again\n"
    found = mutants("m.py", source)
    assert len({m.source for m in found}) == len({m.key for m in found}) == len(found)
    assert source not in {m.source for m in found}
    assert {m.before for m in found if m.line == 3} == {"return x + 1"}
    assert {m.before for m in found if m.line == 5} == {"(2) return x + 1"}


def test_names_do_not_hang_on_where_the_function_stands():
    source = "def f(x):\n    return x - 1\n"
    moved = "import math\n\n\ndef f(x):\n    # why\n    return x - 1  # how\n"
    assert [m.key for m in mutants("m.py", source)] == [m.key for m in mutants("m.py", moved)]


def test_columns_are_counted_in_bytes():
    source = 'def f(x):\n    return g("ö", x - 1)\n'
    assert 'return g("ö", x + 1)' in {m.after for m in mutants("m.py", source)}
