"""The pieces of random networks that need steps, or put other pieces together; and where the data come in."""

from typing import Any

import numpy as np
import torch

from parity_tests.mistakes.case import Array, Arrays
from parity_tests.mistakes.random_pieces import (
    Back,
    Draw,
    Piece,
    Shape,
    activation,
    linear,
    products,
    shifted_softmax,
    softmax_back,
)


def chain(pieces: list[Piece]) -> Piece:
    """One piece after the other."""

    def spelled(x: Any, params: Any) -> Any:
        for piece in pieces:
            x = piece.torch(x, params)
        return x

    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        backs: list[Back] = []
        for piece in pieces:
            x, back = piece.numpy(x, params)
            backs.append(back)

        def through(dy: Array, grads: Arrays) -> Array:
            for back in reversed(backs):
                dy = back(dy, grads)
            return dy

        return x, through

    return Piece(spelled, by_hand, pieces[-1].shape)


def residual(draw: Draw, shape: Shape) -> Piece:
    """x + f(x)."""
    first = linear(draw, shape)
    middle = activation(draw, first.shape)
    branch = chain([first, middle, linear(draw, middle.shape, shape[-1])])

    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        y, back = branch.numpy(x, params)
        return x + y, lambda dy, grads: dy + back(dy, grads)

    return Piece(lambda x, params: x + branch.torch(x, params), by_hand, shape)


def windows(draw: Draw, shape: Shape) -> Piece:
    """Overlapping windows of two steps, each times one kernel."""
    n, t, d = shape
    K = draw.new("K", 2, d, draw.size())

    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        kernel = params[K]

        def back(dy: Array, grads: Arrays) -> Array:
            dx = np.zeros_like(x)
            for j in range(2):
                grads[K][j] += products(x[:, j : j + t - 1], dy)
                dx[:, j : j + t - 1] += dy @ kernel[j].T
            return dx

        return x[:, :-1] @ kernel[0] + x[:, 1:] @ kernel[1], back

    def spelled(x: Any, params: Any) -> Any:
        return torch.einsum("ntdk,kde->nte", x.unfold(1, 2, 1), params[K])

    return Piece(spelled, by_hand, (n, t - 1, draw.params[K].shape[-1]))


def mixing(draw: Draw, shape: Shape) -> Piece:
    """softmax(x A x^T / sqrt(d)) x: each step a mean of all."""
    A, root = draw.new("A", shape[-1], shape[-1]), shape[-1] ** 0.5

    def spelled(x: Any, params: Any) -> Any:
        return torch.softmax(x @ params[A] @ x.transpose(1, 2) / root, dim=-1) @ x

    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        q = x @ params[A]
        p = shifted_softmax(q @ x.swapaxes(1, 2) / root)

        def back(dy: Array, grads: Arrays) -> Array:
            ds = softmax_back(p, dy @ x.swapaxes(1, 2)) / root
            dq = ds @ x
            grads[A] += products(x, dq)
            return p.swapaxes(1, 2) @ dy + ds.swapaxes(1, 2) @ q + dq @ params[A].T

        return p @ x, back

    return Piece(spelled, by_hand, shape)


def recurrence(draw: Draw, shape: Shape) -> Piece:
    """h_t = tanh(x_t W + h_{t-1} U + b)."""
    n, t, d = shape
    h = draw.size()
    W, U, b = draw.new("W", d, h), draw.new("U", h, h), draw.new("b", h)

    def spelled(x: Any, params: Any) -> Any:
        state, states = x.new_zeros(n, h), []
        for step in range(t):
            state = torch.tanh(x[:, step] @ params[W] + state @ params[U] + params[b])
            states.append(state)
        return torch.stack(states, dim=1)

    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        states = np.zeros((n, t + 1, h), x.dtype)
        for step in range(t):
            z = x[:, step] @ params[W] + states[:, step] @ params[U] + params[b]
            states[:, step + 1] = np.tanh(z)

        def back(dy: Array, grads: Arrays) -> Array:
            dx, carry = np.zeros_like(x), np.zeros((n, h), x.dtype)
            for step in reversed(range(t)):
                dz = (dy[:, step] + carry) * (1 - states[:, step + 1] ** 2)
                grads[W] += x[:, step].T @ dz
                grads[U] += states[:, step].T @ dz
                grads[b] += dz.sum(axis=0)
                dx[:, step], carry = dz @ params[W].T, dz @ params[U].T
            return dx

        return states[:, 1:], back

    return Piece(spelled, by_hand, (n, t, h))


def together(draw: Draw, shape: Shape) -> Piece:
    """From (batch, steps, features) to (batch, features): the mean, the last step, or all in a row."""
    n, t, d = shape
    how = str(draw.rng.choice(["mean", "last", "flatten"]))

    def spelled(x: Any, params: Any) -> Any:
        return {"mean": lambda: x.mean(dim=1), "last": lambda: x[:, -1], "flatten": lambda: x.flatten(1)}[how]()

    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        def back(dy: Array, grads: Arrays) -> Array:
            if how == "mean":
                return np.repeat(dy[:, None] / t, t, axis=1)
            if how == "flatten":
                return dy.reshape(n, t, d)
            dx = np.zeros_like(x)
            dx[:, -1] = dy
            return dx

        return {"mean": lambda: x.mean(axis=1), "last": lambda: x[:, -1], "flatten": lambda: x.reshape(n, -1)}[
            how
        ](), back

    return Piece(spelled, by_hand, (n, t * d) if how == "flatten" else (n, d))


def embedding(draw: Draw, indices: Array) -> Piece:
    """Rows of a table, by indices that repeat; the indices have no gradient."""
    E = draw.new("E", int(indices.max()) + 2, draw.size())

    def by_hand(x: Array, params: Arrays) -> tuple[Array, Back]:
        def back(dy: Array, grads: Arrays) -> Array:
            np.add.at(grads[E], x, dy)
            return np.zeros(x.shape)

        return params[E][x], back

    return Piece(lambda x, params: params[E][x], by_hand, (*indices.shape, draw.params[E].shape[-1]))
