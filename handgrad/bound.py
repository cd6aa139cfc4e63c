"""How far rounding can take a multi-layer perceptron's numbers at most: a bound carried beside every value.

`rounding.py` says how large one rounding of a number is. Here every operation adds all that it can err by, and hands
on what its operands may be off by, so that no right computation, in whichever order it adds, is further from the exact
value than the bound. Nothing in it is measured, and a network may be as ill conditioned as it likes.

With u = eps/2, a sum of K products errs by at most g_K sum |terms|, g_K = K u / (1 - K u). To first order in the
errors, and with the second order where the slope can be 0 and nothing else is left:

    z = a W^T + b            e_z  = e_a |W|^T + g_(K+1) (|a| |W|^T + |b|)
    y = f(z)                 e_y  = |f'(z)| e_z + max|f''| e_z^2 / 2 + F |y|
    d' = (d W) * f'          e_d' = e_p f' + |p| e_f' + e_p e_f' + 2u |p| f',    p = d W,  e_p = e_d |W| + g_K |d| |W|
    dL/dW = d^T a            e    = e_d^T |a| + |d|^T e_a + e_d^T e_a + g_N |d|^T |a|
    dL/db = sum over d       e    = sum e_d + g_N sum |d|

F is what a library's function may be off by, FUNCTION eps of its result.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, 3.1 and 3.3 (running error analysis).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from manual.nn.activation import sigmoid

Array = np.ndarray[Any, np.dtype[Any]]
Layer = tuple[Array, Array]

FUNCTION = 4.0
# The largest |f''| anywhere; a ReLU's mask can flip instead, see _slope.
CURVATURE = {"sigmoid": 0.0963, "tanh": 0.7699, "relu": 0.0, "identity": 0.0}


class Bounded(NamedTuple):
    """A value, and how far any right computation of it can be off."""

    value: Array
    error: Array


class Precision(NamedTuple):
    """What a dtype can err by: `eps` relative to a result, and `tiny` where the result leaves the normal numbers."""

    eps: float
    tiny: float

    def sums(self, terms: int) -> float:
        """Return g_K of a sum of K terms."""
        rounded = terms * self.eps / 2
        return rounded / (1 - rounded)


def gradient_bounds(
    layers: Sequence[Layer], activations: Sequence[str], inputs: Array, targets: Array, dtype: str
) -> list[tuple[Bounded, Bounded]]:
    """Return dL/dW and dL/db of every layer with their bounds, for L = mean (y - t)^2 in this dtype.

    `layers` has (W, b) of each layer, (out, in) and (out,), `activations` the name of what follows it: sigmoid, tanh,
    relu or identity. inputs (N, in), targets (N, out). All of them as the dtype has them, given in float64.
    """
    info = np.finfo(dtype)
    precision = Precision(float(info.eps), float(info.tiny))
    kept = [Bounded(inputs, np.zeros_like(inputs))]
    slopes = []
    for (weight, bias), name in zip(layers, activations, strict=True):
        z = _linear(kept[-1], weight, bias, precision)
        y = _activation(name, z, precision)
        slopes.append(_slope(name, z, y, precision))
        kept.append(y)

    y = kept[-1]
    residual = y.value - targets
    count = residual.size
    grad = Bounded(2 * residual / count, 2 * y.error / count + 2 * precision.eps * np.abs(2 * residual / count))
    found = []
    for (weight, _), a, slope in zip(reversed(layers), reversed(kept[:-1]), reversed(slopes), strict=True):
        delta = _times(grad, slope, precision)
        found.append(_parameters(delta, a, precision))
        grad = _linear(delta, weight.T, np.zeros(weight.shape[1]), precision)
    return found[::-1]


def _linear(a: Bounded, weight: Array, bias: Array, precision: Precision) -> Bounded:
    """a W^T + b."""
    size = np.abs(a.value) @ np.abs(weight).T + np.abs(bias)
    error = a.error @ np.abs(weight).T + precision.sums(weight.shape[1] + 1) * size
    return Bounded(a.value @ weight.T + bias, error + weight.shape[1] * precision.tiny)


def _activation(name: str, z: Bounded, precision: Precision) -> Bounded:
    """f(z)."""
    if name in ("relu", "identity"):
        return Bounded(np.maximum(z.value, 0) if name == "relu" else z.value, z.error)
    y = sigmoid(z.value) if name == "sigmoid" else np.tanh(z.value)
    slope = y * (1 - y) if name == "sigmoid" else 1 - y * y
    through = slope * z.error + CURVATURE[name] / 2 * z.error**2
    # Neither function leaves its range, however wrong z is.
    return Bounded(y, np.minimum(through, 2.0) + FUNCTION * precision.eps * np.abs(y) + precision.tiny)


def _slope(name: str, z: Bounded, y: Bounded, precision: Precision) -> Bounded:
    """f'(z), computed from y = f(z)."""
    if name == "identity":
        return Bounded(np.ones_like(y.value), np.zeros_like(y.value))
    if name == "relu":  # where z is not known to be above or below 0, the mask is not known
        return Bounded((z.value > 0).astype(float), (np.abs(z.value) <= z.error).astype(float))
    a, e = y
    if name == "sigmoid":  # y (1 - y), whose derivative by y is 1 - 2y
        slope, error = a * (1 - a), np.abs(1 - 2 * a) * e + e * e
        return Bounded(slope, error + precision.eps * slope + precision.tiny)
    slope, error = 1 - a * a, 2 * np.abs(a) * e + e * e
    return Bounded(slope, error + precision.eps * (a * a + slope) / 2)


def _times(p: Bounded, q: Bounded, precision: Precision) -> Bounded:
    """p q, entry by entry; it may be computed as (p y) (1 - y), which is one more product."""
    value = p.value * q.value
    error = p.error * np.abs(q.value) + np.abs(p.value) * q.error + p.error * q.error
    return Bounded(value, error + precision.eps * np.abs(value) + precision.tiny)


def _parameters(delta: Bounded, a: Bounded, precision: Precision) -> tuple[Bounded, Bounded]:
    """delta^T a, and the sum of delta over the samples."""
    samples = len(delta.value)
    d, x = np.abs(delta.value), np.abs(a.value)
    weight = delta.error.T @ (x + a.error) + d.T @ a.error + precision.sums(samples) * d.T @ x
    bias = delta.error.sum(axis=0) + precision.sums(samples) * d.sum(axis=0)
    return (
        Bounded(delta.value.T @ a.value, weight + samples * precision.tiny),
        Bounded(delta.value.sum(axis=0), bias),
    )
