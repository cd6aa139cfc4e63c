"""LayerNorm and RMSNorm: normalisation over the last axes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from manual.arithmetic import beyond_the_finite
from manual.module import Array, check_array, plain, unsupported
from manual.nn.normalization.standardize import (
    Affine,
    Axes,
    Saved,
    mean_over,
    moments,
    standardize,
    standardize_backward,
)


class LayerNorm(Affine):
    """y = xhat * weight + bias, where xhat is x with mean 0 and variance 1 in each sample.

    The statistics are taken over the last axes, those of `normalized_shape`, n entries together; k runs over them
    and s over all axes before:

        mean[s] = (1/n) sum_k x[s,k]                  rstd[s]   = 1 / sqrt(var[s] + eps)
        var[s]  = (1/n) sum_k (x[s,k] - mean[s])^2    xhat[s,k] = (x[s,k] - mean[s]) rstd[s]
        y[s,k]  = xhat[s,k] weight[k] + bias[k]

    The variance is the biased one, divided by n. Every sample has its own statistics, so training and evaluation are
    the same. With g = dL/dy:

        dy[s,k]/dweight[k] = xhat[s,k]     dL/dweight[k]  = sum_s g[s,k] xhat[s,k]
        dy[s,k]/dbias[k]   = 1             dL/dbias[k]    = sum_s g[s,k]
        dy[s,k]/dxhat[s,k] = weight[k]     dL/dxhat[s,k]  = g[s,k] weight[k]  =: G[s,k]

        dL/dx[s,j] = (1/n) rstd[s] (n G[s,j] - sum_k G[s,k] - xhat[s,j] sum_k G[s,k] xhat[s,k])

    the last as `standardize_backward` derives it, path by path. The sums of weight and bias run over samples, those of
    x over entries of one sample: a kernel that walks rows has the latter at hand and must add the former across rows.

    x has shape (..., *normalized_shape), y the same; `weight` and `bias` have normalized_shape and start as ones and
    zeros. `elementwise_affine=False` leaves both out, `bias=False` the bias alone.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html; Ba, Kiros and Hinton, "Layer
    Normalization", 2016.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        unsupported("LayerNorm", device=device)
        self.normalized_shape, self.eps = sizes_of(normalized_shape, "LayerNorm"), plain(eps)
        super().__init__(self.normalized_shape, elementwise_affine, bias, dtype)

    def extra_repr(self) -> str:
        """Return the shape, eps, and which parameters there are."""
        affine, bias = self.weight is not None, self.bias is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}, bias={bias}"

    @beyond_the_finite()
    def forward(self, x: Array) -> tuple[Array, Saved]:
        """Return y and `saved` = (xhat, rstd).

        Raises TypeError for another dtype than the weight's and ValueError for other last axes.
        """
        check_array(x, "LayerNorm", self._dtype)
        axes = last_axes(x, self.normalized_shape, "LayerNorm")
        xhat, rstd = standardize(x, *moments(x, axes), eps=self.eps)  # (..., *normalized_shape), (..., 1, ..., 1)
        return self._affine(xhat, axes), (xhat, rstd)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x; add to the gradients of weight and bias."""
        xhat, rstd = saved
        axes = last_axes(xhat, self.normalized_shape, "LayerNorm")
        grad_xhat = self._affine_backward(grad_output, xhat, axes)
        return standardize_backward(grad_xhat, xhat, rstd, axes) if input_grad else None


class RMSNorm(Affine):
    """y = xhat * weight, where xhat is x divided by the root of the mean of its squares in each sample.

    LayerNorm without the mean and the bias. The mean of squares is taken over the last axes, those of
    `normalized_shape`, n entries together; k runs over them and s over all axes before:

        rrms[s]   = (mean_k x[s,k]^2 + eps)^(-1/2)
        xhat[s,k] = x[s,k] rrms[s]
        y[s,k]    = xhat[s,k] weight[k]

    With g = dL/dy, dL/dweight[k] = sum_s g[s,k] xhat[s,k], and G[s,k] = dL/dxhat[s,k] = g[s,k] weight[k]. Within a
    sample, x[j] reaches L two ways: by itself, with rrms held, and through rrms, which all entries share:

        (1)  G[j] rrms
             dL/drrms    = sum_k G[k] x[k]
             drrms/dx[j] = (-1/2) (mean x^2 + eps)^(-3/2) (2/n) x[j] = -(1/n) rrms^3 x[j]
        (2)  their product = -(1/n) rrms xhat[j] sum_k G[k] xhat[k]       as x[j] rrms = xhat[j], twice

        dL/dx[j] = rrms (G[j] - xhat[j] mean(G xhat))

    That is LayerNorm's gradient without the path through the mean: G loses its part along xhat, since a scaling of x
    goes unnoticed (but for eps), and keeps the one along (1, ..., 1). Only xhat and rrms are needed, not x.

    x has shape (..., *normalized_shape), y the same; `weight` has normalized_shape and starts as ones.
    `elementwise_affine=False` leaves it out. Where `eps` is None it is the machine epsilon of x's dtype, as in torch.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html; Zhang and Sennrich, "Root Mean
    Square Layer Normalization", 2019.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        unsupported("RMSNorm", device=device)
        self.normalized_shape, self.eps = sizes_of(normalized_shape, "RMSNorm"), plain(eps)
        super().__init__(self.normalized_shape, elementwise_affine, False, dtype)

    def extra_repr(self) -> str:
        """Return the shape, eps, and whether there is a weight."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.weight is not None}"

    @beyond_the_finite()
    def forward(self, x: Array) -> tuple[Array, Saved]:
        """Return y and `saved` = (xhat, rrms).

        Raises TypeError for another dtype than the weight's and ValueError for other last axes.
        """
        check_array(x, "RMSNorm", self._dtype)
        axes = last_axes(x, self.normalized_shape, "RMSNorm")
        eps = np.finfo(x.dtype).eps if self.eps is None else self.eps
        # An overflow ends as inf, 0 or NaN, as in torch, without a warning; so does 0 / 0 with eps = 0.
        rrms = 1 / np.sqrt(mean_over(x * x, axes) + eps)  # (..., 1, ..., 1)
        xhat = x * rrms  # (..., *normalized_shape)
        return self._affine(xhat, axes), (xhat, rrms)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x; add to the gradient of weight."""
        xhat, rrms = saved
        axes = last_axes(xhat, self.normalized_shape, "RMSNorm")
        grad_xhat = self._affine_backward(grad_output, xhat, axes)
        return rrms * (grad_xhat - xhat * mean_over(grad_xhat * xhat, axes)) if input_grad else None


def sizes_of(normalized_shape: int | Sequence[int], who: str) -> tuple[int, ...]:
    """Return `normalized_shape` as a tuple.

    Raises TypeError for what is no integer, ValueError for no axis at all or a negative size.
    """
    sizes = tuple(map(plain, normalized_shape if isinstance(normalized_shape, Sequence) else (normalized_shape,)))
    if any(isinstance(size, bool) or not isinstance(size, int) for size in sizes):
        raise TypeError(f"{who}: normalized_shape is an integer or a tuple of them, not {normalized_shape}")
    if not sizes or min(sizes) < 0:
        raise ValueError(f"{who}: normalized_shape has one axis or more, each of size 0 or above, not {sizes}")
    return sizes


def last_axes(x: Array, sizes: tuple[int, ...], who: str) -> Axes:
    """Return the axes that `sizes` stands for, the last ones. Raises ValueError where x ends otherwise."""
    if x.shape[-len(sizes) :] != sizes:
        shape = ", ".join(map(str, sizes))
        raise ValueError(f"{who} takes (..., {shape}), but was given an input of shape {x.shape}")
    return tuple(range(x.ndim - len(sizes), x.ndim))
