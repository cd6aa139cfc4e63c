"""Rotary position embedding: a position is an angle, and a query meets a key at the difference of theirs."""

from typing import Any

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_array, check_gradient

Saved = tuple[int, tuple[int, ...], np.dtype[Any]]


class RotaryEmbedding(Module):
    """Each pair of entries (x1, x2) of the vector at position t is turned in its plane by the angle t w[i].

    With d = `dim` there are d/2 pairs; pair i turns at the speed w[i] = base^(-2i/d), from 1 radian a position for
    i = 0 down to nearly 1/base. At position t = offset, offset + 1, ...:

        y1[t,i] = x1[t,i] cos(t w[i]) - x2[t,i] sin(t w[i])
        y2[t,i] = x1[t,i] sin(t w[i]) + x2[t,i] cos(t w[i])            y[t] = R(t) x[t]

    R(t) is block-diagonal with a 2 x 2 rotation for each pair. It has no parameters. What it is for: rotations of a
    plane add their angles, so R(s)^T R(t) = R(t - s), and the score of a query at t with a key at s is

        (R(t) q) . (R(s) k) = q^T R(t)^T R(s) k = q . R(s - t) k,

    a function of the distance alone, without a table of positions. Values are not rotated.

    Backward: y is linear in x, so the gradient goes through the transpose, and the transpose of a rotation is the
    rotation by the negative angle. With g = dL/dy,

        dy1/dx1 = cos      dy1/dx2 = -sin      dL/dx1[t,i] =  g1[t,i] cos(t w[i]) + g2[t,i] sin(t w[i])
        dy2/dx1 = sin      dy2/dx2 =  cos      dL/dx2[t,i] = -g1[t,i] sin(t w[i]) + g2[t,i] cos(t w[i])

        dL/dx[t] = R(t)^T g[t] = R(-t) g[t]

    So forward and backward are one kernel with one sign between them, and |dL/dx[t]| = |g[t]|: the layer neither
    shrinks nor amplifies a gradient.

    Two layouts of the pairs are in use. `interleaved=True`, the paper's: pair i is (x[2i], x[2i+1]), one complex
    number x1 + j x2 times e^(j t w[i]). `interleaved=False`, that of GPT-NeoX and Llama's checkpoints: pair i is
    (x[i], x[i + d/2]), two contiguous halves, which vector loads like better. One is the other with entries in
    another order; weights that were trained with one give wrong numbers, and no error, with the other.

    Saved: `offset`, one integer, and no entry of x. The angles are computed anew, (T, d/2) of them, which costs less
    than reading them back. 3 flops an entry each way (two products, one sum), against 2 moves: the layer is bound by
    memory, and is best applied where q and k are loaded anyway.

    Precision: the angle t w[0] = t is as large as the position, and in float32 an angle of 100,000 is known to 0.004
    radian only. So angles are computed in float64, cosine and sine then rounded to the dtype of x.

    x has shape (..., T, E) with E >= d, y the same. Entries from d on stay as they are (partial rotary, as in
    GPT-NeoX).

    Source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021, section 3.4.2.
    """

    def __init__(self, dim: int, base: float = 10000.0, interleaved: bool = True) -> None:
        if dim < 0 or dim % 2:
            raise ValueError(f"RotaryEmbedding turns pairs of entries: dim is even and 0 or above, not {dim}")
        if base <= 0:
            raise ValueError(f"RotaryEmbedding: base is above 0, not {base}")
        self.dim, self.base, self.interleaved = dim, base, interleaved

    def extra_repr(self) -> str:
        """Return the size, the base and the layout."""
        return f"{self.dim}, base={self.base}, interleaved={self.interleaved}"

    @beyond_the_finite()
    def forward(self, x: Array, offset: int = 0) -> tuple[Array, Saved]:
        """Return y (..., T, E) and `saved` = (offset, the position of x[..., 0, :]; the shape and the dtype of y).

        Raises ValueError where x has fewer than two axes, or fewer than `dim` entries along the last.
        """
        check_array(x, "RotaryEmbedding")
        if not isinstance(offset, int | np.integer):
            raise TypeError(f"RotaryEmbedding: offset is the first position, an integer, not {offset!r}")
        if x.ndim < 2 or x.shape[-1] < self.dim:
            raise ValueError(
                f"RotaryEmbedding takes (..., T, E) with E of {self.dim} or above, but was given shape {x.shape}"
            )
        return self._turned(x, offset, 1), (offset, x.shape, x.dtype)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input (..., T, E)."""
        offset, shape, dtype = saved
        check_gradient(grad_output, shape, dtype, "RotaryEmbedding")
        return self._turned(grad_output, offset, -1) if input_grad else None

    def _turned(self, x: Array, offset: int, direction: int) -> Array:
        """Return R(direction * t) x[t] for t = offset, offset + 1, ..."""
        wide = np.result_type(x.dtype, np.float64)
        speed = self.base ** (-np.arange(0, self.dim, 2, dtype=wide) / self.dim)  # (d/2,)
        angle = (offset + np.arange(x.shape[-2]))[:, None] * speed  # (T, d/2)
        cos, sin = np.cos(angle).astype(x.dtype), direction * np.sin(angle).astype(x.dtype)
        d = self.dim
        first, second = (slice(0, d, 2), slice(1, d, 2)) if self.interleaved else (slice(d // 2), slice(d // 2, d))
        x1, x2 = x[..., first], x[..., second]  # (..., T, d/2)
        y = x.copy()
        y[..., first] = x1 * cos - x2 * sin
        y[..., second] = x1 * sin + x2 * cos
        return y
