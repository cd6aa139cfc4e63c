"""Element-wise activations: wrong derivatives, wrong places to take them at."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from torch.nn import functional

from handgrad.checking.operations import FUNCTIONS, Operation, ancestors, equal
from handgrad.checking.record import Array, Node, Record, Tensor
from handgrad.checking.rules.graph import users
from handgrad.checking.rules.norm_inside import summed_to
from handgrad.checking.rules.rule import Rule, Use, Wrong, elementwise

ACTIVATIONS = tuple(FUNCTIONS)
KINKED = ("relu", "leaky_relu", "relu6", "hardtanh", "abs")
SMOOTH = tuple(name for name in FUNCTIONS if name not in KINKED)
PIECEWISE = ("leaky_relu", "elu", "selu")
PRODUCTS = ("gelu", "gelu_tanh", "silu", "mish")  # x times a function of x
GELUS = ("gelu", "gelu_tanh", "gelu_quick")


def of_function(function: Callable[[Tensor], Tensor], x: Array) -> Array:
    """Return the derivative of an element-wise function at x."""
    with torch.enable_grad():
        t = torch.from_numpy(np.array(x, dtype=np.float64)).requires_grad_()
        (grad,) = torch.autograd.grad(function(t).sum(), t)
    slope: Array = grad.numpy()
    return slope


def slope(use: Use, x: Array) -> Array:
    """Return the derivative of the operation's own function at any x."""
    return of_function(use.operation.attributes["function"], x)


def _other(names: tuple[str, ...]) -> Callable[[Use], Iterator[tuple[str, Wrong]]]:
    """Take the derivative of another function."""

    def formula(use: Use) -> Iterator[tuple[str, Wrong]]:
        for name in names:
            if name != use.operation.kind and (use.operation.kind, name) != ("leaky_relu", "relu"):  # ACT-SLOPE's
                other = of_function(OTHERS[name], use["x"])
                if np.ptp(other) > 0:  # where it is all 0 or all 1, the way is lost or the slope is missing
                    yield f"that of {name}", {"x": use.up * other}

    return formula


def _closed_forms(use: Use) -> Iterator[tuple[str, Wrong]]:
    """The closed forms that people mix up, on the whole or where z is negative."""
    x, y, right = use["x"], use["y"], use.true["x"]
    forms = {
        "f' = a": y,
        "f' = 1 - a": 1 - y,
        "f' = a (1 - a)": y * (1 - y),
        "f' = 1 - a^2": 1 - y**2,
        "f' = 1 + a": 1 + y,
        "f' = z": x,
        "f' = sigmoid(-z)": of_function(functional.softplus, -x),
    }
    for detail, form in forms.items():
        yield detail, {"x": use.up * form}
        if use.operation.kind in PIECEWISE:
            yield f"{detail} below zero", {"x": np.where(x > 0, right, use.up * form)}


def _at_zero(use: Use) -> Iterator[tuple[str, Wrong]]:
    x = use["x"]
    below = float(slope(use, np.array([-1.0]))[0])
    for taken in (1.0, below, (1 + below) / 2):
        yield f"{taken:g} was taken", {"x": np.where(x == 0, use.up * taken, use.true["x"])}


def leaky(record: Record, node: Node) -> Iterator[Operation]:
    """Find leaky ReLU with any slope, in any spelling: y = x above zero, a constant times x below."""
    y = node.outputs[0] if node.outputs else None
    if y is None or not y.is_floating_point() or y.numel() < 2:
        return
    for x in ancestors(record, y):
        if x.shape == y.shape and bool((x < 0).any()) and bool((x > 0).any()):
            i = int(x.detach().flatten().argmin())
            ratio = float(y.detach().flatten()[i] / x.detach().flatten()[i])
            function = partial(functional.leaky_relu, negative_slope=ratio)
            if 0 < ratio < 1 and ratio != 0.01 and equal(function(x.detach()), y):
                yield Operation("leaky_relu", node, {"x": x}, y, {"function": function}, composite=True)
                return


def _masks_lost(use: Use) -> Iterator[tuple[str, Wrong]]:
    """where(m, a, b) hands its gradient to a where m holds, maximum to the larger alone; here all of it to both."""
    if use.operation.node.op in ("where", "maximum", "minimum"):
        whole = {role: use.up for role in use.true if use[role].shape == use.up.shape}
        for roles in (whole, *({role: use.up} for role in whole if len(whole) > 1)):
            if roles:
                yield "", roles
    elif use.operation.node.op == "_prelu_kernel" and "x1" in use.true:
        yield "", {"x1": use.up * use["x0"]}


def _slope_of_all(use: Use) -> Iterator[tuple[str, Wrong]]:
    """A learned slope's gradient in where(z > 0, z, a z): summed over all entries, not over those below zero."""
    chosen = [n for n in users(use.record).get(id(use.operation.output), []) if n.op == "where"]
    if len(chosen) != 1 or not use.up.any():
        return
    zero = np.asarray(use.up == 0)
    other = use.record.grad(chosen[0].outputs[0]).numpy()  # the incoming gradient of what is chosen from
    if other.shape != use.up.shape or not zero.any():
        return
    for role, true in use.true.items():
        factors = [t.detach().numpy() for t in use.operation.node.inputs if t is not use.operation.roles[role]]
        if len(factors) == 1 and true.size < use.up.size:
            yield "", {role: summed_to(other * factors[0], true.shape)}


OTHERS: dict[str, Callable[[Tensor], Tensor]] = {**FUNCTIONS, "gelu_quick": lambda x: x * torch.sigmoid(1.702 * x)}
RULES = [
    Rule(
        "ACT-TWICE",
        SMOOTH,
        "the derivative is evaluated at the activation a instead of z: f'(f(z))",
        elementwise(lambda u: u.up * slope(u, u["y"])),
    ),
    Rule(
        "ACT-MISSING",
        ACTIVATIONS,
        "the activation's derivative f'(z) is missing: the gradient passes through unchanged",
        elementwise(lambda u: u.up),
    ),
    Rule(
        "ACT-ON-GRAD",
        ("sigmoid",),
        "the derivative s (1 - s) is formed from the gradient, not from the activation",
        elementwise(lambda u: u.up * (1 - u.up)),
    ),
    Rule(
        "ACT-ON-GRAD",
        ("sigmoid",),
        "the derivative s (1 - s) is formed from the gradient, not from the activation",
        elementwise(lambda u: u.up * u.up * (1 - u.up)),
    ),
    Rule(
        "ACT-PREACT",
        ("sigmoid",),
        "a (1 - a) is applied to z instead of to a",
        elementwise(lambda u: u.up * u["x"] * (1 - u["x"])),
    ),
    Rule(
        "ACT-PREACT",
        ("tanh",),
        "1 - a^2 is applied to z instead of to a",
        elementwise(lambda u: u.up * (1 - u["x"] ** 2)),
    ),
    Rule(
        "ACT-ON-GRAD",
        ("tanh",),
        "the derivative 1 - a^2 is formed from the gradient, not from the activation",
        elementwise(lambda u: u.up * (1 - u.up**2)),
    ),
    Rule(
        "ACT-VARIANT",
        ("gelu", "gelu_tanh"),
        "the derivative is that of another form of GELU than the forward's",
        _other(GELUS),
    ),
    Rule(
        "ACT-PRODUCT-RULE",
        PRODUCTS,
        "x g(x) has two terms, g(x) + x g'(x): the second is dropped",
        elementwise(lambda u: u.up * np.divide(u["y"], u["x"])),
    ),
    Rule(
        "ACT-PRODUCT-RULE",
        PRODUCTS,
        "x g(x) has two terms, g(x) + x g'(x): the first is dropped",
        elementwise(lambda u: u.true["x"] - u.up * np.divide(u["y"], u["x"])),
    ),
    Rule(
        "ACT-MASK-ON-GRAD",
        KINKED,
        "the mask tests the gradient instead of z",
        elementwise(lambda u: u.up * slope(u, u.up)),
    ),
    Rule(
        "ACT-SLOPE",
        ("leaky_relu",),
        "the derivative of ReLU is used for leaky ReLU: 0 below zero, not the slope",
        elementwise(lambda u: u.up * (u["x"] > 0)),
    ),
    Rule(
        "UPSTREAM-IGNORED",
        ACTIVATIONS,
        "the incoming gradient is ignored: this is the local derivative alone",
        elementwise(lambda u: slope(u, u["x"])),
    ),
    Rule(
        "ACT-MASK-VACUOUS",
        ("any",),
        "each entry belongs to one of the two alone: the gradient goes to the other as well",
        _masks_lost,
    ),
    Rule(
        "ACT-MASK-VACUOUS",
        ("mul",),
        "a learned slope's gradient is summed over all entries: it is over those on its side alone",
        _slope_of_all,
    ),
    Rule("ACT-WRONG-FORMULA", ACTIVATIONS, "this closed form is not the derivative of the function", _closed_forms),
    Rule(
        "ACT-WRONG-FORMULA",
        ACTIVATIONS,
        "the derivative is that of another function",
        _other(tuple(name for name in FUNCTIONS if name not in GELUS)),
    ),
    Rule(
        "CTRL-SUBGRADIENT", ("relu", "leaky_relu", "abs"), "at exactly 0 any subgradient is right", _at_zero, fine=True
    ),
]
