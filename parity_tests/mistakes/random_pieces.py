"""The pieces of random networks: each a forward in torch, and in NumPy with its way back beside it.

A piece is drawn for a shape, (batch, features) or (batch, steps, features), and tells the shape of its output. Its
NumPy half returns y and a function that takes dy, adds to the parameters' gradients and returns dx.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays

Shape = tuple[int, ...]
Back = Callable[[Array, Arrays], Array]


@dataclass(frozen=True, eq=False)
class Piece:
    """y = f(x, params), of this shape."""

    torch: Callable[[Any, Any], Any]
    numpy: Callable[[Array, Arrays], tuple[Array, Back]]
    shape: Shape


@dataclass(eq=False)
class Draw:
    """The parameters drawn so far. Unless `mild`, some are badly scaled, some hold zeros, some are whole numbers."""

    rng: np.random.Generator
    mild: bool
    params: Arrays = field(default_factory=dict)

    def numbers(self, *shape: int, scale: float = 0.7) -> Array:
        numbers = scale * self.rng.standard_normal(shape)
        if self.mild:
            return numbers
        kind = self.rng.choice(["large", "small", "zeros", "whole", "plain"], p=[0.05, 0.04, 0.05, 0.05, 0.81])
        if kind == "zeros":
            return numbers * (self.rng.random(shape) < 0.6)
        return {"large": 30 * numbers, "small": 1e-3 * numbers, "whole": np.round(2 * numbers)}.get(kind, numbers)

    def new(self, letter: str, *shape: int) -> str:
        """Draw a parameter; return its name."""
        name = f"{letter}{len(self.params)}"
        self.params[name] = self.numbers(*shape) + (1.5 if letter == "g" else 0)
        return name

    def size(self, low: int = 2, high: int = 7) -> int:
        return int(self.rng.integers(low, high + 1))

    def yes(self, probability: float = 0.5) -> bool:
        return bool(self.rng.random() < probability)


def sigmoid(z: Array) -> Array:
    return np.exp(-np.logaddexp(0, -z))


def products(x: Array, dy: Array) -> Array:
    """x^T dy, summed over samples and steps: a weight's gradient."""
    return x.reshape(-1, x.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])


def normal_cdf(z: Array) -> Array:
    return 0.5 * (1 + np.vectorize(math.erf, otypes=[z.dtype])(z / math.sqrt(2)))


def gelu_inner(z: Array) -> tuple[Array, Array]:
    c = math.sqrt(2 / math.pi)
    return np.tanh(c * (z + 0.044715 * z**3)), c * (1 + 3 * 0.044715 * z**2)


# name: torch's, f(z), f'(z) from z and a
ACTIVATIONS: dict[str, tuple[Any, Any, Any]] = {
    "sigmoid": (torch.sigmoid, sigmoid, lambda z, a: a * (1 - a)),
    "tanh": (torch.tanh, np.tanh, lambda z, a: 1 - a * a),
    "relu": (torch.relu, lambda z: np.maximum(z, 0), lambda z, a: z > 0),
    "leaky relu": (lambda z: F.leaky_relu(z, 0.2), lambda z: np.where(z > 0, z, 0.2 * z),
                   lambda z, a: np.where(z > 0, 1, 0.2)),
    "gelu": (F.gelu, lambda z: z * normal_cdf(z),
             lambda z, a: normal_cdf(z) + z * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)),
    "gelu's tanh form": (lambda z: F.gelu(z, approximate="tanh"), lambda z: 0.5 * z * (1 + gelu_inner(z)[0]),
                         lambda z, a: 0.5 * (1 + gelu_inner(z)[0])
                         + 0.5 * z * (1 - gelu_inner(z)[0] ** 2) * gelu_inner(z)[1]),
    "silu": (F.silu, lambda z: z * sigmoid(z), lambda z, a: sigmoid(z) * (1 + z * (1 - sigmoid(z)))),
    "softplus": (lambda z: torch.logaddexp(z, torch.zeros_like(z)), lambda z: np.logaddexp(z, 0),
                 lambda z, a: sigmoid(z)),
    "elu": (F.elu, lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))), lambda z, a: np.where(z > 0, 1, a + 1)),
}  # fmt: skip


def activation(draw: Draw, shape: Shape) -> Piece:
    spelled, f, slope = ACTIVATIONS[str(draw.rng.choice(list(ACTIVATIONS)))]

    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        a = f(x)
        return a, lambda da, grads: da * slope(x, a)

    return Piece(lambda x, params: spelled(x), by_hand, shape)


def linear(draw: Draw, shape: Shape, out: int = 0) -> Piece:
    """x W + b, or torch's layout x W^T + b; now and then without b."""
    d, out, torch_layout = shape[-1], out or draw.size(), draw.yes()
    W = draw.new("W", out, d) if torch_layout else draw.new("W", d, out)
    b = draw.new("b", out) if draw.yes(0.8) else ""

    def spelled(x: Any, params: Any) -> Any:
        if torch_layout:
            return F.linear(x, params[W], params.get(b))
        return x @ params[W] + params[b] if b else x @ params[W]

    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        weight = params[W].T if torch_layout else params[W]

        def back(dy: Array, grads: Arrays) -> Array:
            dW = products(x, dy)
            grads[W] += dW.T if torch_layout else dW
            if b:
                grads[b] += dy.reshape(-1, dy.shape[-1]).sum(axis=0)
            return dy @ weight.T

        return x @ weight + (params[b] if b else 0), back

    return Piece(spelled, by_hand, (*shape[:-1], out))


def layer_norm(draw: Draw, shape: Shape) -> Piece:
    d = shape[-1]
    g, b = draw.new("g", d), draw.new("b", d)

    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        centred = x - x.mean(axis=-1, keepdims=True)
        rstd = 1 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
        hat = centred * rstd

        def back(dy: Array, grads: Arrays) -> Array:
            grads[g] += (dy * hat).reshape(-1, d).sum(axis=0)
            grads[b] += dy.reshape(-1, d).sum(axis=0)
            dhat = dy * params[g]
            along = dhat.mean(axis=-1, keepdims=True)
            return rstd * (dhat - along - hat * (dhat * hat).mean(axis=-1, keepdims=True))

        return hat * params[g] + params[b], back

    return Piece(lambda x, params: F.layer_norm(x, (d,), params[g], params[b]), by_hand, shape)


def rms_norm(draw: Draw, shape: Shape) -> Piece:
    d = shape[-1]
    g = draw.new("g", d)

    def spelled(x: Any, params: Any) -> Any:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * params[g]

    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        rms = np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)

        def back(dy: Array, grads: Arrays) -> Array:
            grads[g] += (dy * x / rms).reshape(-1, d).sum(axis=0)
            dn = dy * params[g]
            return dn / rms - x * (dn * x).mean(axis=-1, keepdims=True) / rms**3

        return x / rms * params[g], back

    return Piece(spelled, by_hand, shape)


def shifted_softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_back(p: Array, dp: Array) -> Array:
    return p * (dp - (dp * p).sum(axis=-1, keepdims=True))


def softmax(draw: Draw, shape: Shape) -> Piece:
    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        p = shifted_softmax(x)
        return p, lambda dp, grads: softmax_back(p, dp)

    return Piece(lambda x, params: torch.softmax(x, dim=-1), by_hand, shape)


def tied(draw: Draw, shape: Shape) -> Piece:
    """tanh(x W) W^T: one weight, used twice."""
    W = draw.new("W", shape[-1], draw.size())

    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        h = np.tanh(x @ params[W])

        def back(dy: Array, grads: Arrays) -> Array:
            dz = dy @ params[W] * (1 - h * h)
            grads[W] += products(dy, h) + products(x, dz)
            return dz @ params[W].T

        return h @ params[W].T, back

    return Piece(lambda x, params: torch.tanh(x @ params[W]) @ params[W].T, by_hand, shape)


def gate(draw: Draw, shape: Shape) -> Piece:
    """x times sigmoid(x W)."""
    W = draw.new("W", shape[-1], shape[-1])

    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        s = sigmoid(x @ params[W])

        def back(dy: Array, grads: Arrays) -> Array:
            dz = dy * x * s * (1 - s)
            grads[W] += products(x, dz)
            return dy * s + dz @ params[W].T

        return x * s, back

    return Piece(lambda x, params: x * torch.sigmoid(x @ params[W]), by_hand, shape)
