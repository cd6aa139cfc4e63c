"""What an explanation quotes: the lines of a function, and the values that they had when it ran."""

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import manual

ROOT = Path(manual.__file__).parents[1]


@dataclass(frozen=True)
class Line:
    """A line of a file; `path` is relative to the project's root."""

    path: str
    number: int
    code: str

    def __str__(self) -> str:
        return f"{self.path}:{self.number}"


class Source:
    """The syntax tree of one function, with the line numbers that it has in its file."""

    def __init__(self, function: Callable[..., Any]) -> None:
        function = inspect.unwrap(function)  # what a decorator stands above, not the decorator
        file = Path(inspect.getsourcefile(function) or "")
        self.path = (file.relative_to(ROOT) if file.is_relative_to(ROOT) else file).as_posix()
        self.lines, self.first = inspect.getsourcelines(function)
        self.nodes = [_plain(node) for node in ast.walk(ast.parse(textwrap.dedent("".join(self.lines))))]

    def line(self, statement: ast.stmt) -> Line:
        """Return where a statement begins."""
        return Line(self.path, self.first + statement.lineno - 1, self.lines[statement.lineno - 1].strip())

    def assignment(self, name: str) -> ast.Assign | None:
        """Return the last assignment to `name` alone, or None."""
        found = [node for node in self.nodes if isinstance(node, ast.Assign) and _targets(node) == [name]]
        return max(found, key=lambda node: node.lineno, default=None)

    def input_gradient(self) -> tuple[ast.stmt, ast.expr]:
        """Return the statement and the expression in it that give the gradient for the first input of a backward."""
        returns = [n for n in self.nodes if isinstance(n, ast.Return) and not isinstance(n.value, ast.Constant | None)]
        statement: ast.stmt = max(returns, key=lambda node: node.lineno)
        expression: Any = statement.value  # type: ignore[attr-defined]
        if isinstance(expression, ast.Tuple):
            expression = expression.elts[0]
        if isinstance(expression, ast.IfExp):
            expression = expression.body
        if isinstance(expression, ast.Name) and (assigned := self.assignment(expression.id)):
            return assigned, assigned.value
        return statement, expression

    def accumulated(self, parameter: str) -> tuple[ast.stmt, ast.expr]:
        """Return the statement `self.PARAMETER.accumulate(gradient)` and its gradient."""
        statements = [node for node in self.nodes if isinstance(node, ast.Expr)]
        for node in statements:
            if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == f"self.{parameter}.accumulate":
                return node, node.value.args[0]
        raise LookupError(f"no line of {self.path} hands a gradient to self.{parameter}.accumulate")

    def name_of_saved(self) -> str:
        """Return the name that a backward gives to `saved`."""
        for node in self.nodes:
            if isinstance(node, ast.Assign) and ast.unparse(node.value) == "saved":
                return ast.unparse(node.targets[0])
        return "saved"


def _plain(node: ast.AST) -> ast.AST:
    """Return `name: type = value` as `name = value`, any other node as it is."""
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return ast.copy_location(ast.Assign([node.target], node.value), node)
    return node


def _targets(node: ast.Assign) -> list[str]:
    return [ast.unparse(target) for target in node.targets]


@cache
def source_of(function: Callable[..., Any]) -> Source:
    """Return the function's source, parsed once."""
    return Source(function)


def operands(expression: ast.expr) -> list[ast.expr]:
    """Return a, b, c of a product a * b * c; of anything else, itself."""
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, ast.Mult):
        return [*operands(expression.left), *operands(expression.right)]
    return [expression]


@dataclass(frozen=True, eq=False)
class Call:
    """A call that has returned: its function, its local variables at the end, and what it returned."""

    function: Callable[..., Any]
    values: dict[str, Any]
    scope: dict[str, Any]
    result: Any

    @property
    def source(self) -> Source:
        """The source of the function that was called."""
        return source_of(self.function)

    def evaluate(self, expression: ast.expr) -> Any:
        """Return the value that an expression of the function's source had."""
        return eval(compile(ast.unparse(expression), "<explained>", "eval"), self.scope, dict(self.values))


@contextmanager
def watched(*functions: Callable[..., Any]) -> Iterator[list[Call]]:
    """Collect the calls of `functions` that return inside the `with`, in that order.

    Arrays among the local variables are copied. A profiler that was set before is put back in any case.
    """
    wanted = {inspect.unwrap(function).__code__: function for function in functions}
    calls: list[Call] = []

    def on_event(frame: FrameType, event: str, result: Any) -> None:
        if event == "return" and frame.f_code in wanted:
            values = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in frame.f_locals.items()}
            calls.append(Call(wanted[frame.f_code], values, frame.f_globals, result))

    previous = sys.getprofile()
    sys.setprofile(on_event)
    try:
        yield calls
    finally:
        sys.setprofile(previous)
