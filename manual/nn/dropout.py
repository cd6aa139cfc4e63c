"""Dropout: entries set to zero at random while training."""

from typing import Any

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_array, check_gradient, plain, unsupported

Saved = tuple[Array | None, tuple[int, ...], np.dtype[Any]]


class Dropout(Module):
    """y = m x / (1 - p), where each entry of the mask m is 0 with probability p and 1 otherwise.

    E[m] = 1 - p, so E[y] = x: the next layer sees inputs of the same mean in training as in evaluation, where y = x
    and nothing is drawn. The variance does grow: Var[y] = x^2 p / (1 - p).

    Each entry is multiplied by a number that does not depend on x. Hence, with g = dL/dy and the m of the forward,

        dy[k]/dx[k] = m[k] / (1 - p)       dL/dx[k] = g[k] m[k] / (1 - p)

    The gradient passes where the entry passed, with the same factor; a second mask, or no factor, would be the
    gradient of another function. What is kept of the entries is m, one byte each. At p = 0 nothing is drawn and y = x.
    At p = 1 every m is 0, and the division is left out: y and dL/dx are zero, not 0 / 0.

    x has any shape, y the same. Entry k is kept where the k-th number of `generator.random(x.shape)` is p or above.
    `inplace=True` is not supported, since forward never changes its input.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html; Srivastava et al., "Dropout: A
    Simple Way to Prevent Neural Networks from Overfitting", 2014.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: np.random.Generator | None = None) -> None:
        unsupported("Dropout", inplace=inplace or None)
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is the probability that an entry is dropped, from 0 to 1, not {p}")
        self.p = plain(p)
        self.generator = np.random.default_rng() if generator is None else generator

    def extra_repr(self) -> str:
        """Return the probability."""
        return f"p={self.p}, inplace=False"

    @beyond_the_finite()
    def forward(self, x: Array) -> tuple[Array, Saved]:
        """Return y and `saved` = (the mask m, None in evaluation and at p = 0; the shape and the dtype of y)."""
        check_array(x, "Dropout")
        if not self.training or self.p == 0:
            return x, (None, x.shape, x.dtype)
        m = self.generator.random(x.shape) >= self.p
        return self._scaled(x * m), (m, x.shape, x.dtype)  # an infinity that is dropped is 0 * inf = NaN, as in torch

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        m, shape, dtype = saved
        check_gradient(grad_output, shape, dtype, "Dropout")
        if m is None or not input_grad:
            return grad_output if input_grad else None
        return self._scaled(grad_output * m)

    def _scaled(self, kept: Array) -> Array:
        """Return what is kept / (1 - p); at p = 1, where nothing is, the zeros as they are."""
        return kept / (1 - self.p) if self.p < 1 else kept


def dropout_mask(
    shape: tuple[int, ...], p: float, dtype: np.dtype[Any], generator: np.random.Generator
) -> Array | None:
    """Return M: 0 with probability p, else 1 / (1 - p), so that what it multiplies keeps its mean; None where p is 0.

    Entry k is kept where the k-th number of `generator.random(shape)` is p or above. At p = 1 all entries are 0.
    """
    if p == 0:
        return None
    kept: Array = (generator.random(shape) >= p).astype(dtype)
    return kept / plain(1 - p) if p < 1 else kept
