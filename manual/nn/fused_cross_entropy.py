"""The last layer of a language model and its loss in one, without the logits of all rows and classes at once."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, Parameter, check_array, plain
from manual.nn.gradients import gradient_of_loss
from manual.nn.linear import Linear

Saved = tuple[Array, Array, Array, Array]


class LinearCrossEntropy(Module):
    """loss = cross_entropy(x W^T + b, target), computed tile by tile of the logits.

    R rows of x (D numbers each), V = num_classes, `weight` W (V, D), `bias` b (V,), targets y[r] from 0 to V - 1. In
    index form, with s = label_smoothing and q[r,v] = (1 - s) 1[v = y[r]] + s/V, the target as a distribution:

        z[r,v] = sum_d x[r,d] W[v,d] + b[v]
        loss[r] = -sum_v q[r,v] log p[r,v],      p[r,v] = e^z[r,v] / sum_k e^z[r,k]
                = log sum_k e^z[r,k] - sum_v q[r,v] z[r,v]                              as sum_v q[r,v] = 1
                = log sum_k e^z[r,k] - (1 - s) z[r,y[r]] - s mean_v z[r,v]

    The loss needs three numbers of a row, and all are sums over v: they can be brought along while v goes by in
    chunks. The first runs online, as in TiledAttention. With m the largest logit so far and l = sum_k e^(z[k] - m), a
    chunk of logits changes them to

        m' = max(m, max_v z[v]),      l' = e^(m - m') l + sum_v e^(z[v] - m'),

    so that no exponential is above 1, and at the end log sum_k e^z[r,k] = m + log l, with l from 1 to V.

    Partials: dm and dl drop out, d/dz[r,v] of the log of the sum is e^z[r,v] / sum_k e^z[r,k] = p[r,v]. With
    u[r] = dL/dloss[r],

        dL/dz[r,v] = u[r] (p[r,v] - q[r,v])  =: G[r,v],      p[r,v] = e^(z[r,v] - m[r]) / l[r]
        dL/dx[r,d] = sum_v G[r,v] W[v,d]
        dL/dW[v,d] = sum_r G[r,v] x[r,d]                dL/db[v] = sum_r G[r,v]

    Each entry of G is of its own logit and of m, l: tiles of G add to rows of dL/dx and to rows of dL/dW, in any order.

    Reduction 'sum' has u[r] = g, 'mean' u[r] = g / (number of rows that count), 'none' u[r] = g[r]. Rows whose target
    is `ignore_index` do not count: loss 0 and u 0. Where no row counts the mean is 0/0 = NaN, the gradients are 0, both
    as in torch.

    When to compute G. There are two schools.

    (1) In the forward, while the tile of logits is there (Liger). For 'sum' and 'mean', u is one number times a
        constant: dL/dx, dL/dW and dL/db are g times what g = 1 gives. These three are saved, R D + V D + V numbers,
        and the backward is a product with g. 6 R V D flops in all. But a forward without a backward pays three times
        its price; and with 'none' it cannot be done, since dL/dW = sum_r g[r] (...) has another g for each row, and its
        sum over r would be taken before g is known.
    (2) In the backward, from logits made anew (Cut Cross-Entropy). Saved are x, the targets, m and l, 2 R numbers that
        were not there before. 2 R V D flops forward, 6 R V D backward: one product of three is made twice.

    Here it is (2): any reduction, any g, and a forward that costs a forward.

    Memory beside inputs, parameters and results: at most 4 tiles of row_chunk * class_chunk logits, either way;
    forward 8 vectors of R numbers, backward 5 and one chunk each of dL/dx and dL/dW. Unfused, logits and their softmax
    are 2 R V numbers, and their gradient R V more: with R = 8,192 tokens and V = 128,000, 4.2 GB each in float32,
    where the weight of D = 4,096 has 2.1 GB.

    A chunk of the last rows or classes may be shorter. x has shape (..., D), target (...) of integers; the loss has the
    target's shape with 'none', and none else. The initial values are Linear's, drawn from `generator`; to share the
    weight of an embedding, set `weight` to its Parameter.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html; Hsu et al., "Liger Kernel",
    2024; Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models", 2024.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        bias: bool = True,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        row_chunk: int = 256,
        class_chunk: int = 4096,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        if reduction not in ("none", "mean", "sum"):
            raise ValueError(f"{reduction!r} is not a reduction; use 'none', 'mean' or 'sum'")
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"LinearCrossEntropy: label_smoothing is from 0 to 1, not {label_smoothing}")
        if row_chunk < 1 or class_chunk < 1 or num_classes < 1:
            raise ValueError(
                f"LinearCrossEntropy: num_classes, row_chunk and class_chunk are 1 or above, "
                f"not {num_classes}, {row_chunk} and {class_chunk}"
            )
        self.in_features, self.num_classes = in_features, num_classes
        self.ignore_index, self.reduction, self.label_smoothing = ignore_index, reduction, plain(label_smoothing)
        self.row_chunk, self.class_chunk = row_chunk, class_chunk
        drawn = Linear(in_features, num_classes, bias, dtype=dtype, generator=generator)
        self.weight: Parameter = drawn.weight
        self.bias: Parameter | None = drawn.bias

    def extra_repr(self) -> str:
        """Return the sizes and the options of the loss."""
        sizes = f"in_features={self.in_features}, num_classes={self.num_classes}, bias={self.bias is not None}"
        return f"{sizes}, reduction={self.reduction!r}, label_smoothing={self.label_smoothing}"

    @beyond_the_finite()
    def forward(self, x: Array, target: Array) -> tuple[Array, Saved]:
        """Return the loss and `saved` = (x, target, m, l), the last two (R,)."""
        self._check(x, target)
        rows, y = self._flat(x, target)  # (R, D), (R,)
        m = np.full(y.shape, -np.inf, x.real.dtype)
        l = np.zeros(y.shape, x.dtype)  # noqa: E741 - the name in the docstring
        of_target, total = np.zeros_like(l), np.zeros_like(l)
        for r, v in self._tiles(len(y)):
            z = self._logits(rows, r, v)
            larger = np.maximum(m[r], z.real.max(axis=1))
            l[r] = np.exp(m[r] - larger) * l[r] + np.exp(z - larger[:, None]).sum(axis=1)
            m[r] = larger
            inside = (y[r] >= v.start) & (y[r] < v.stop)
            of_target[r][inside] = z[inside, y[r][inside] - v.start]
            total[r] += z.sum(axis=1)
        s = self.label_smoothing
        # m - z before log l: where the logits are large, m + log l would lose the digits of log l.
        loss = (1 - s) * (m - of_target) + s * (m - total / self.num_classes) + np.log(l)
        loss = np.where(y == self.ignore_index, x.dtype.type(0), loss)
        return self._reduce(loss, y).reshape(target.shape if self.reduction == "none" else ()), (x, target, m, l)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> tuple[Array | None, None]:
        """Return (grad_x, None), as a target has no gradient; add to the gradients of weight and bias."""
        x, target, m, l = saved  # noqa: E741
        rows, y = self._flat(x, target)
        s, u = self.label_smoothing, self._spread(grad_output, y, target.shape, x.dtype)
        grad_rows = np.zeros_like(rows) if input_grad else None  # (R, D)
        grad_weight, grad_bias = np.zeros_like(self.weight.data), np.zeros(self.num_classes, x.dtype)
        for r, v in self._tiles(len(y)):
            grad_z = np.exp(self._logits(rows, r, v) - m[r, None]) / l[r, None]  # p
            grad_z -= s / self.num_classes
            inside = (y[r] >= v.start) & (y[r] < v.stop)
            grad_z[inside, y[r][inside] - v.start] -= 1 - s
            grad_z *= u[r, None]
            if grad_rows is not None:
                grad_rows[r] += grad_z @ self.weight.data[v]
            grad_weight[v] += grad_z.T @ rows[r]
            grad_bias[v] += grad_z.sum(axis=0)
        self.weight.accumulate(grad_weight)
        if self.bias is not None:
            self.bias.accumulate(grad_bias)
        return None if grad_rows is None else grad_rows.reshape(x.shape), None

    def _flat(self, x: Array, target: Array) -> tuple[Array, Array]:
        # int64: v.start may be no number of the target's own type.
        return x.reshape(-1, self.in_features), target.reshape(-1).astype(np.int64)

    def _tiles(self, rows: int) -> Iterator[tuple[slice, slice]]:
        """Yield the rows and the classes of each tile, row by row of tiles."""
        for row in range(0, rows, self.row_chunk):
            for first in range(0, self.num_classes, self.class_chunk):
                yield slice(row, row + self.row_chunk), slice(first, first + self.class_chunk)

    def _logits(self, rows: Array, r: slice, v: slice) -> Array:
        """Return the logits of rows r and classes v."""
        z: Array = rows[r] @ self.weight.data[v].T
        return z if self.bias is None else z + self.bias.data[v]

    def _reduce(self, loss: Array, y: Array) -> Array:
        if self.reduction == "none":
            return loss
        counted = np.count_nonzero(y != self.ignore_index) if self.reduction == "mean" else 1
        total: Array = loss.sum() / loss.dtype.type(counted)  # of no rows: 0/0 is NaN, as in torch
        return total

    def _spread(self, grad_output: Any, y: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return u (R,), the gradient of each row's loss."""
        g = gradient_of_loss(grad_output, shape if self.reduction == "none" else (), dtype, "LinearCrossEntropy")
        counts = y != self.ignore_index
        share = np.count_nonzero(counts) if self.reduction == "mean" else 1
        u: Array = g.reshape(-1) / dtype.type(share)  # (R,) or (1,)
        return np.where(counts, u, dtype.type(0))

    def _check(self, x: Array, target: Array) -> None:
        check_array(x, "LinearCrossEntropy", self.weight.dtype)
        if not isinstance(target, np.ndarray | np.generic) or target.dtype.kind not in "iu":
            given = getattr(target, "dtype", type(target).__name__)
            raise TypeError(f"LinearCrossEntropy takes class indices, integers, not {given}: write y.astype(np.int64)")
        if x.ndim == 0 or x.shape[-1] != self.in_features or x.shape[:-1] != target.shape:
            raise ValueError(
                f"LinearCrossEntropy takes (..., {self.in_features}) and a target of the shape before the last axis, "
                f"but was given {x.shape} and {target.shape}"
            )
        outside = target[((target < 0) | (target >= self.num_classes)) & (target != self.ignore_index)]
        if outside.size:
            raise IndexError(
                f"LinearCrossEntropy has classes 0 to {self.num_classes - 1}, but was given target {outside[0]}; "
                f"a row that does not count has target {self.ignore_index}"
            )
