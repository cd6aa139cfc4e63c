"""The operations of which a written-out norm is made, and the gain after it: powers, counts, keepdims."""

from collections.abc import Callable, Iterable

import numpy as np

from handgrad.checking.record import Array
from handgrad.checking.rules.rule import Rule, Use, Wrong

Wrongs = Iterable[tuple[str, Wrong]]

POWER = "the power of (var + eps) is wrong on the way back"
KEEPDIMS = "a row's mean or sum is taken without keepdims, and so meets the columns"
COUNT = "the variance is divided by n in the forward and by n - 1 on the way back, or the reverse"


def summed_to(array: Array, shape: tuple[int, ...]) -> Array:
    """Sum out what broadcasting has spread: the gradient of an operand of this shape."""
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    found: Array = array.sum(axis=tuple(i for i, size in enumerate(shape) if size == 1), keepdims=True)
    return found


def _product(make: Callable[[Use], Wrong]) -> Callable[[Use], Wrongs]:
    def formula(use: Use) -> Wrongs:
        wrong = make(use)
        if all(role in use.true and array.shape == use[role].shape for role, array in wrong.items()):
            yield "", wrong

    return formula


def _power(make: Callable[[Use, float], Array], powers: tuple[float, ...]) -> Callable[[Use], Wrongs]:
    """A derivative of x to some power inside a norm, as make(use, power) has it with other powers than the right."""

    def formula(use: Use) -> Wrongs:
        for power in powers:
            if "x0" in use.true:
                yield f"the power {power:g}", {"x0": use.up * make(use, power)}

    return formula


def _power_of_pow(use: Use) -> Wrongs:
    exponent = use.operation.node.args[1]
    if exponent in (0.5, -0.5, -1, -1.0):
        for power in {exponent, exponent - 0.5, exponent + 0.5, exponent + 1, exponent - 2, -exponent + 1}:
            yield f"the power {power:g}", {"x0": use.up * exponent * use["x0"] ** power}


def _power_of_div(use: Use) -> Wrongs:
    if "x1" in use.true and use["x1"].size < use.up.size:
        a, b = (t.detach().numpy() for t in use.operation.node.inputs)
        for power in (0, 1, 3, 4):
            yield f"the power {power}", {"x1": summed_to(-use.up * a / b**power, b.shape)}


def _other_count(use: Use) -> Wrongs:
    """A mean of squares divided by n - 1, not by n, or the reverse."""
    node = use.operation.node
    n = use["x0"].size / use["y"].size
    if node.op == "var":
        ddof = node.kwargs.get("correction", 1)
        ddof = 1 if ddof is None else int(ddof)
        n = n - ddof
    elif node.op in ("div", "mul"):
        number = node.args[1]
        if not isinstance(number, (int, float)) or number == 0:
            return
        n = number if node.op == "div" else 1 / number
    if use.operation.attributes["of squares"] or node.op == "var":
        for other in (n - 1, n + 1):
            if n > 1:
                yield f"{other:g} for {n:g}", {"x0": use.true["x0"] * n / other}


def _reduced_without_keepdims(use: Use) -> Wrongs:
    """The gradient of a row's mean or variance, shaped (rows, 1), meets the columns."""
    x, y = use["x0"], use["y"]
    axes = tuple(i for i, size in enumerate(y.shape) if size == 1 and x.shape[i] > 1) if y.ndim == x.ndim else ()
    if not axes or "x0" not in use.true:
        return
    try:
        spread = np.broadcast_to(use.up.squeeze(axes), x.shape)
    except ValueError:  # the shapes do not fit, so nobody can have computed this
        return
    with np.errstate(all="ignore"):
        yield "", {"x0": np.where(use.up == 0, 0.0, use.true["x0"] / use.up) * spread}


RULES = [
    Rule("NORM-DDOF-BACKWARD", ("norm_mean", "norm_var", "norm_div", "norm_mul"), COUNT, _other_count),
    Rule(
        "NORM-GAMMA-DROPPED",
        ("norm_gain",),
        "the gain is missing: dxhat = dy * gamma, not dy",
        _product(lambda u: {u.operation.attributes["xhat"]: u.up}),
    ),
    Rule(
        "NORM-DGAMMA-X",
        ("norm_gain",),
        "the gain's gradient is formed with x: it is sum(dy * xhat)",
        _product(
            lambda u: {
                u.operation.attributes["gamma"]: summed_to(
                    u.up * u.operation.attributes["x"], u[u.operation.attributes["gamma"]].shape
                )
            }
        ),
    ),
    Rule("NORM-POWER", ("norm_sqrt",), POWER, _power(lambda u, p: 0.5 * u["y"] ** p, (1, 0, -2, -3))),
    Rule("NORM-POWER", ("norm_rsqrt",), POWER, _power(lambda u, p: -0.5 * u["y"] ** p, (0, 1, 2, 4, 5))),
    Rule("NORM-POWER", ("norm_reciprocal",), POWER, _power(lambda u, p: -(u["y"] ** p), (0, 1, 3, 4))),
    Rule("NORM-POWER", ("norm_pow",), POWER, _power_of_pow),
    Rule("NORM-POWER", ("norm_div",), POWER, _power_of_div),
    Rule("NORM-ROW-BROADCAST", ("norm_mean", "norm_sum", "norm_var", "norm_std"), KEEPDIMS, _reduced_without_keepdims),
]
