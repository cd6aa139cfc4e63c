"""The mistakes that the mutator makes: what an expression, or a statement, may be replaced by.

Each function takes a node and yields pairs (kind, replacement). The nodes of the source are never changed.
"""

import ast
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

Change = tuple[str, ast.expr]

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.MatMult: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
ONE_WAY = (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.MatMult)  # a ? b is not b ? a
PRODUCTS = (ast.Mult, ast.Div, ast.MatMult, ast.Pow)
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}  # fmt: skip

# Functions, methods and constants that are taken for one another, both ways.
PAIRS = [
    ("sum", "mean"), ("max", "min"), ("maximum", "minimum"), ("argmax", "argmin"), ("amax", "amin"), ("any", "all"),
    ("zeros", "ones"), ("zeros_like", "ones_like"), ("floor", "ceil"), ("log", "log1p"), ("exp", "expm1"),
    ("sin", "cos"), ("sinh", "cosh"), ("float32", "float64"), ("triu", "tril"), ("hstack", "vstack"),
    ("less", "greater"), ("append", "extend"), ("logical_and", "logical_or"), ("cumsum", "cumprod"),
]  # fmt: skip
NAMED_ALIKE = dict(PAIRS) | {b: a for a, b in PAIRS}
VIEWS = ("T", "mT", "real", "imag")
# Methods of an array whose loss leaves the array itself.
METHODS = frozenset([
    "sum", "mean", "max", "min", "reshape", "transpose", "swapaxes", "copy", "astype", "any", "all", "squeeze",
    "cumsum", "cumprod", "ravel", "conj", "argmax", "argmin", "repeat", "clip", "std", "var", "prod", "item", "round",
    "flatten", "view", "tolist",
])  # fmt: skip
WITHOUT_SIGN = frozenset({"any", "all", "argmax", "argmin", "tolist", "errstate", "dtype", "default_rng", "shape"})
WHOLE = (ast.Return, ast.Assign, ast.IfExp, ast.Tuple, ast.Call)  # what has a value as it is, in no formula
# Calls that ask for a type or a name: what they would leave is no value of that kind.
ASKING = frozenset({"isinstance", "issubclass", "getattr", "hasattr", "setattr", "super", "type", "vars"})


# Their arguments have no order.
COMMUTATIVE = frozenset([
    "max", "min", "maximum", "minimum", "add", "multiply", "logical_and", "logical_or", "swapaxes", "result_type",
])  # fmt: skip


def text(node: ast.AST) -> str:
    """Return the source of a node."""
    return ast.unparse(node)


def negated(node: ast.expr) -> ast.expr:
    """Return -node."""
    return ast.UnaryOp(ast.USub(), node)


def like(node: Any, **fields: Any) -> Any:
    """Return a copy of `node` with other fields."""
    return type(node)(**{**{name: getattr(node, name) for name in node._fields}, **fields})


def without(items: list[Any], index: int) -> list[Any]:
    """Return the list but for one item."""
    return [*items[:index], *items[index + 1 :]]


def exchanges(items: list[Any]) -> Iterator[list[Any]]:
    """Yield the list with two neighbours exchanged, for every two that differ."""
    for i, (a, b) in enumerate(pairwise(items)):
        if not any(item is None or isinstance(item, ast.Starred) for item in (a, b)) and text(a) != text(b):
            yield [*items[:i], b, a, *items[i + 2 :]]


def of_binary(node: ast.BinOp, parent: ast.AST) -> Iterator[Change]:
    """Another operator, a term or factor dropped, the two exchanged, the sign of a whole product."""
    other = OPERATORS[type(node.op)]
    yield "operator", like(node, op=other())
    yield "dropped term", node.left
    yield "dropped term", node.right
    if isinstance(node.op, ONE_WAY) and text(node.left) != text(node.right):
        yield "exchanged", like(node, left=node.right, right=node.left)
    if isinstance(node.op, PRODUCTS) and not isinstance(parent, ast.BinOp | ast.UnaryOp):
        yield "sign", negated(node)


def of_comparison(node: ast.Compare) -> Iterator[Change]:
    """Another comparison: the boundary moved, or the answer turned round."""
    for i, op in enumerate(node.ops):
        for other in COMPARISONS[type(op)]:
            yield "comparison", like(node, ops=[*node.ops[:i], other(), *node.ops[i + 1 :]])


def of_boolean(node: ast.BoolOp) -> Iterator[Change]:
    """`and` for `or`, and each operand dropped."""
    yield "boolean", like(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    for i in range(len(node.values)):
        rest = without(node.values, i)
        yield "dropped condition", rest[0] if len(rest) == 1 else like(node, values=rest)


def of_constant(node: ast.Constant) -> Iterator[Change]:
    """The next number up and down, twice a float, the other truth value, another string."""
    value = node.value
    if isinstance(value, bool):
        yield "constant", ast.Constant(not value)
    elif isinstance(value, int):
        for other in (value + 1, value - 1) if value else (1,):
            yield "constant", ast.Constant(other)
    elif isinstance(value, float | complex):
        yield "constant", ast.Constant(2 * value if value else value + 1)
    elif isinstance(value, str):
        yield "constant", ast.Constant("" if value else "another")


def is_negative(node: ast.AST) -> bool:
    """Whether this is a negative whole number, such as the axis -1."""
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and _is_whole_number(node)


def of_negative(node: ast.UnaryOp, parent: ast.AST) -> Iterator[Change]:
    """The same number without the sign, the next one up and down."""
    number = ast.literal_eval(node)
    to_reshape = isinstance(parent, ast.Call) and getattr(parent.func, "attr", "") == "reshape"
    for other in (-number, number + 1, number - 1):
        if other >= 0 or not to_reshape:  # to reshape, all negative numbers say the same: what is left
            yield "constant", ast.Constant(other)


def of_call(node: ast.Call, parent: ast.AST) -> Iterator[Change]:
    """The call left out, arguments exchanged, an option dropped."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if not isinstance(parent, ast.Expr) and name not in ASKING:  # a lone call is dropped as a statement
        if isinstance(node.func, ast.Attribute) and name in METHODS and not is_numpy(node.func.value):
            yield "dropped call", node.func.value
        elif node.args and not isinstance(node.args[0], ast.Starred):
            yield "dropped call", node.args[0]
    if isinstance(parent, WHOLE) and name not in WITHOUT_SIGN and (name in METHODS or is_numpy(node.func)):
        yield "sign", negated(node)
    if name not in COMMUTATIVE:
        for args in exchanges(node.args):
            yield "exchanged", like(node, args=args)
    if len(node.args) > 1:
        yield "dropped argument", like(node, args=node.args[:-1])
    if name == "einsum" and isinstance(node.args[0], ast.Constant):
        for subscripts in of_subscripts(str(node.args[0].value)):
            yield "exchanged", like(node, args=[ast.Constant(subscripts), *node.args[1:]])
    for i, keyword in enumerate(node.keywords):
        if not is_assertion(keyword):
            yield "dropped argument", like(node, keywords=without(node.keywords, i))


def of_subscripts(subscripts: str) -> Iterator[str]:
    """einsum's "nk,ok->no" with two axes of the result exchanged, one summed over, two operands exchanged."""
    operands, arrow, result = subscripts.partition("->")
    for i, (a, b) in enumerate(pairwise(result)):
        yield f"{operands}->{result[:i]}{b}{a}{result[i + 2 :]}"
    if result:
        yield f"{operands}->{result[:-1]}"
    terms = operands.split(",")
    for i, (first, second) in enumerate(pairwise(terms)):
        if first != second:
            yield ",".join([*terms[:i], second, first, *terms[i + 2 :]]) + arrow + result


def is_assertion(keyword: ast.keyword) -> bool:
    """Whether this is zip's `strict=True`, which asserts and computes nothing."""
    return keyword.arg == "strict"


def is_numpy(node: ast.expr) -> bool:
    """Whether this is a module of numbers, or stands in one: np, np.random, math."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in ("np", "numpy", "math")


def of_subscript(node: ast.Subscript) -> Iterator[Change]:
    """A bound of a slice dropped, two axes exchanged."""
    axes = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    for i, axis in enumerate(axes):
        if isinstance(axis, ast.Slice):
            for bound in ("lower", "upper", "step"):
                if getattr(axis, bound) is not None and (bound, text(getattr(axis, bound))) != ("lower", "0"):
                    changed = [*axes[:i], like(axis, **{bound: None}), *axes[i + 1 :]]
                    yield "slice", like(node, slice=_index(node, changed))
    for changed in exchanges(axes):
        yield "exchanged", like(node, slice=_index(node, changed))


def _index(node: ast.Subscript, axes: list[ast.expr]) -> ast.expr:
    return ast.Tuple(axes, ast.Load()) if isinstance(node.slice, ast.Tuple) else axes[0]


def of_sequence(node: ast.Tuple | ast.List, parent: ast.AST) -> Iterator[Change]:
    """Two neighbours exchanged; of whole numbers, such as axes, one dropped."""
    if isinstance(parent, ast.Subscript) or (
        isinstance(parent, ast.Compare) and isinstance(parent.ops[-1], ast.In | ast.NotIn)
    ):
        return  # axes are exchanged above, and what is looked for in a set has no order
    if not (isinstance(parent, ast.keyword) and parent.arg == "axis"):  # a sum over axes asks for no order
        for elements in exchanges(node.elts):
            yield "exchanged", like(node, elts=elements)
    if len(node.elts) > 1 and all(_is_whole_number(element) for element in node.elts):
        for i in range(len(node.elts)):
            yield "dropped term", like(node, elts=without(node.elts, i))


def _is_whole_number(node: ast.expr) -> bool:
    node = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(node, ast.Constant) and type(node.value) is int


def of_dict(node: ast.Dict) -> Iterator[Change]:
    """An item dropped; one that overrides exchanged with what it overrides."""
    for i in range(len(node.keys)):
        yield "dropped item", like(node, keys=without(node.keys, i), values=without(node.values, i))
        if i and (node.keys[i] is None) != (node.keys[i - 1] is None):
            order = [*range(i - 1), i, i - 1, *range(i + 1, len(node.keys))]
            yield "exchanged", like(node, keys=[node.keys[j] for j in order], values=[node.values[j] for j in order])


def of_expression(node: ast.expr, parent: ast.AST) -> Iterator[Change]:
    """All that an expression may be replaced by."""
    match node:
        case ast.BinOp():
            yield from of_binary(node, parent)
        case ast.Compare():
            yield from of_comparison(node)
        case ast.BoolOp():
            yield from of_boolean(node)
        case ast.UnaryOp() if is_negative(node):
            yield from of_negative(node, parent)
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert()):
            yield "sign" if isinstance(node.op, ast.USub) else "boolean", node.operand
        case ast.IfExp():
            yield "condition", node.body
            yield "condition", node.orelse
        case ast.Constant():
            yield from of_constant(node)
        case ast.Call():
            yield from of_call(node, parent)
        case ast.Subscript():
            yield from of_subscript(node)
        case ast.Tuple() | ast.List() if isinstance(node.ctx, ast.Load):
            yield from of_sequence(node, parent)
        case ast.Dict():
            yield from of_dict(node)
        case ast.Attribute(attr=attr) if attr in VIEWS:
            yield "dropped view", node.value
        case ast.Attribute(attr=attr) if attr in NAMED_ALIKE:
            yield "named alike", like(node, attr=NAMED_ALIKE[attr])
        case ast.Name(id=name) if name in NAMED_ALIKE and getattr(parent, "func", None) is node:
            yield "named alike", like(node, id=NAMED_ALIKE[name])
