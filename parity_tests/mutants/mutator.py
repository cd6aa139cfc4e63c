"""From a module's source to its mutants: the same source with one planted mistake each.

What is no computation stays as it is: docstrings, annotations and type aliases, imports, decorators, assertions,
`__all__`, what `repr` shows, and all that only words an error (what is raised, f-strings, strings that are handed
by position to a function, but for NumPy's).
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from parity_tests.mutants.changes import OPERATORS, exchanges, is_assertion, is_negative, is_numpy, of_expression, text

SHOWN = ("__repr__", "extra_repr")
COMPOUND = (ast.If, ast.For, ast.While, ast.With, ast.Try)
ATOMS = (ast.Name, ast.Constant, ast.Call, ast.Attribute, ast.Subscript, ast.List, ast.Dict, ast.Set, ast.Tuple)
FORMULAS = (ast.BinOp, ast.UnaryOp)


@dataclass(frozen=True)
class Mutant:
    """One planted mistake: where it stands, what the line says before and after, and the whole source with it."""

    file: str
    function: str  # with its class, "" at the module's level
    kind: str
    line: int
    reach: tuple[int, int]  # lines, first and last: only a test that runs one of them can notice
    before: str
    after: str
    source: str
    imported: bool  # it is in what the import runs (a default, a constant), so a test may see it without running it

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What names it wherever its line moves in the function."""
        return self.file, self.function, self.before, self.after


@dataclass(frozen=True)
class _Place:
    function: str
    reach: tuple[int, int]
    runs: bool = False  # code of a function; all else runs when the module is imported


def mutants(file: str, source: str) -> list[Mutant]:
    """Return every mutant of a module, in the order of its lines; no two have the same source."""
    walk = _Walk(file, source)
    found: dict[str, Mutant] = {}
    for mutant in walk.block(ast.parse(source).body, _Place("", (1, len(walk.lines))), set()):
        if mutant.source != source and mutant.source not in found:
            compile(mutant.source, file, "exec", dont_inherit=True)  # one that is no Python would count as killed
            found[mutant.source] = mutant
    seen: Counter[Any] = Counter()
    result = []
    for mutant in sorted(found.values(), key=lambda mutant: mutant.line):
        seen[mutant.key] += 1
        if seen[mutant.key] > 1:  # the same line stands in the function again
            mutant = replace(mutant, before=f"({seen[mutant.key]}) {mutant.before}")
        result.append(mutant)
    return result


class _Walk:
    def __init__(self, file: str, source: str) -> None:
        self.file = file
        self.lines = source.encode().splitlines(keepends=True)  # Python counts columns in bytes

    def block(self, statements: list[ast.stmt], place: _Place, bound: set[str]) -> Iterator[Mutant]:
        """Yield the mutants of statements; `bound` are the names that have a value before them."""
        for statement in statements:
            yield from self.statement(statement, place, bound)
            bound = bound | {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and _is_stored(n)}

    def statement(self, node: ast.stmt, place: _Place, bound: set[str]) -> Iterator[Mutant]:
        match node:
            case ast.FunctionDef():
                yield from self.function(node, place)
            case ast.ClassDef():
                yield from self.block(node.body, _Place(_dotted(place, node.name), _span(node), place.runs), set())
            case ast.Import() | ast.ImportFrom() | ast.Assert() | ast.Expr(value=ast.Constant()):
                return
            case ast.Assign(targets=[ast.Name(id="__all__")]):
                return
            case ast.Assign(value=value) if not place.function and _is_type(value):
                return
            case _:
                if place.runs:
                    place = replace(place, reach=_header(node) if isinstance(node, COMPOUND) else _span(node))
                yield from self.whole(node, place, bound)
                if not isinstance(node, ast.Raise):
                    yield from self.parts(node, place, bound)

    def function(self, node: ast.FunctionDef, place: _Place) -> Iterator[Mutant]:
        if node.name in SHOWN or any(text(decorator).endswith("overload") for decorator in node.decorator_list):
            return
        inside = _Place(_dotted(place, node.name), (node.body[0].lineno, _span(node)[1]), runs=True)
        given = node.args
        for default in [*given.defaults, *given.kw_defaults]:
            if default is not None:
                yield from self.expression(default, given, replace(inside, runs=False))
        names = {a.arg for a in [*given.posonlyargs, *given.args, *given.kwonlyargs]}
        yield from self.block(node.body, inside, names)

    def whole(self, node: ast.stmt, place: _Place, bound: set[str]) -> Iterator[Mutant]:
        """The statement as a whole: left out, its result forgotten, its targets exchanged."""
        match node:
            case ast.Assign(targets=targets) if not all(_is_new(target, bound) for target in targets):
                yield self.mutant(node, "dropped statement", "pass", place)
            case ast.AnnAssign(target=target, value=ast.expr()) if not _is_new(target, bound):
                yield self.mutant(node, "dropped statement", "pass", place)
            case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Delete() | ast.Continue() | ast.Break():
                yield self.mutant(node, "dropped statement", "pass", place)
            case ast.For():
                yield self.mutant(node.iter, "dropped statement", "()", place)
            case ast.Return(value=ast.expr() as value) if text(value) != "None":
                yield self.mutant(value, "dropped result", "None", place)
            case ast.With(items=[ast.withitem(context_expr=context, optional_vars=None)]):
                yield self.mutant(context, "dropped context", "__import__('contextlib').nullcontext()", place)
            case ast.If(body=[ast.Raise()], orelse=[]):
                yield self.mutant(node.test, "condition", "True", place)  # never: as without the statement
            case ast.If() | ast.While():
                yield self.mutant(node.test, "condition", "True", place)
                yield self.mutant(node.test, "condition", "False", place)
        match node:
            case ast.AugAssign(target=target, op=op, value=value):
                for other in (value, ast.BinOp(target, OPERATORS[type(op)](), value)):
                    yield self.mutant(node, "operator", f"{text(target)} = {text(other)}", place)
            case ast.Assign(targets=[ast.Tuple() as target]) if not isinstance(node.value, ast.Tuple):
                for elements in exchanges(target.elts):
                    yield self.mutant(target, "exchanged", ", ".join(text(e) for e in elements), place)

    def parts(self, node: ast.AST, place: _Place, bound: set[str]) -> Iterator[Mutant]:
        """What the statement is made of: expressions, and blocks of statements."""
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "target", "targets", "type"):  # the last is that of an except
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.expr):
                    yield from self.expression(child, node, place)
                elif isinstance(child, ast.withitem | ast.ExceptHandler | ast.match_case):
                    yield from self.parts(child, place, bound)
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                yield from self.block(value, place, bound | _loop_names(node))

    def expression(self, node: ast.expr, parent: ast.AST, place: _Place) -> Iterator[Mutant]:
        if isinstance(node, ast.JoinedStr) or _is_word(node, parent):
            return
        for kind, other in of_expression(node, parent):
            yield self.mutant(node, kind, self.fitting(node, other, parent), place)
        for child in () if is_negative(node) else ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from self.expression(child, node, place)
            elif isinstance(child, ast.keyword) and not is_assertion(child):
                yield from self.expression(child.value, child, place)
            elif isinstance(child, ast.comprehension):
                yield from self.expression(child.iter, child, place)
                for test in child.ifs:
                    yield self.mutant(test, "condition", "True", place)
                    yield from self.expression(test, child, place)

    def fitting(self, node: Any, other: ast.expr, parent: ast.AST) -> str:
        """Return the source of the replacement, in parentheses where it would not hold together without."""
        written = text(other)
        if '"' not in written:
            written = written.replace("'", '"')
        first, end = _span(node)
        left, right = self.lines[first - 1][: node.col_offset], self.lines[end - 1][node.end_col_offset :]
        enclosed = left.endswith(b"(") and right.startswith(b")")
        return written if enclosed or _holds_together(other, parent) else f"({written})"

    def mutant(self, node: Any, kind: str, written: str, place: _Place) -> Mutant:
        """Return the mutant that has `written` in the place of `node`."""
        first, end = _span(node)
        touched = b"".join(self.lines[first - 1 : end])
        stop = len(touched) - len(self.lines[end - 1]) + node.end_col_offset
        changed = touched[: node.col_offset] + written.encode() + touched[stop:]
        source = b"".join([*self.lines[: first - 1], changed, *self.lines[end:]]).decode()
        before, after = (_words(part.decode()) for part in (touched, changed))
        return Mutant(self.file, place.function, kind, first, place.reach, before, after, source, not place.runs)


def _words(lines: str) -> str:
    """Return the source without its comments and line breaks."""
    return " ".join(word for line in lines.splitlines() for word in line.partition("  # ")[0].split())


def _holds_together(other: ast.expr, parent: ast.AST) -> bool:
    """Whether `other` may stand in `parent` without parentheses."""
    match parent:
        case ast.IfExp() | ast.comprehension():
            return not isinstance(other, ast.IfExp | ast.Lambda)
        case ast.BoolOp():
            return isinstance(other, (*ATOMS, *FORMULAS, ast.Compare))
        case ast.Compare():
            return isinstance(other, (*ATOMS, *FORMULAS))
        case ast.Call():
            return True
        case _:
            return isinstance(other, ATOMS) or not isinstance(parent, ast.expr)


def _dotted(place: _Place, name: str) -> str:
    return f"{place.function}.{name}" if place.function else name


def _span(node: Any) -> tuple[int, int]:
    return node.lineno, node.end_lineno


def _header(node: Any) -> tuple[int, int]:
    """The lines of `if ...:`, without what it governs."""
    return node.lineno, max(node.lineno, node.body[0].lineno - 1)


def _is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _loop_names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)} if isinstance(node, ast.For) else set()


def _is_new(target: ast.expr, bound: set[str]) -> bool:
    """Whether all names of the target are new: without the statement whatever follows fails for lack of them."""
    if isinstance(target, ast.Tuple):
        return all(_is_new(element, bound) for element in target.elts)
    return isinstance(target, ast.Name) and target.id not in bound


def _is_type(value: ast.expr) -> bool:
    """Whether a module's constant is a type alias: `tuple[Array, int]`, `Array | None`."""
    names = (ast.Name, ast.Attribute, ast.Constant, ast.Subscript, ast.Tuple, ast.List, ast.BinOp, ast.BitOr, ast.Load)
    return isinstance(value, ast.Subscript | ast.BinOp) and all(isinstance(n, names) for n in ast.walk(value))


def _is_word(node: ast.expr, parent: ast.AST) -> bool:
    """Whether this is a string that a function of ours is handed by position, as a name or a word of a message."""
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str) and isinstance(parent, ast.Call)):
        return False
    return node in parent.args and not is_numpy(parent.func)
