"""Normalisation within a sample: the mechanism of all norms by mean and variance, and LayerNorm."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from manual.module import Array, Module, Parameter, check_array, unsupported

Saved = tuple[Array, Array]
Axes = tuple[int, ...]


def moments(x: Array, axes: Axes) -> tuple[Array, Array]:
    """Return mean = (1/n) sum_k x[k] and var = (1/n) sum_k (x[k] - mean)^2 over `axes`, which stay with size 1.

    The deviations are squared after the mean is taken out. The shorter E[x^2] - mean^2 subtracts two numbers that are
    nearly equal where the mean is large: of x = 4096 + noise of order one, float32 would keep no digit of var.
    """
    # An overflow ends as inf or NaN, as in torch, without a warning.
    with np.errstate(over="ignore", invalid="ignore"):
        mean = _mean(x, axes)
        c = x - mean
        return mean, _mean(c * c, axes)  # c * c, not np.var: a complex step passes through


def standardize(x: Array, mean: Array, var: Array, eps: float) -> Saved:
    """Return xhat = (x - mean) rstd and rstd = 1 / sqrt(var + eps), the reciprocal of the standard deviation.

    `eps` keeps rstd finite where var is 0, and is added inside the root, so that the slope of the root stays finite
    there as well.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        rstd = 1 / np.sqrt(var + eps)
        return (x - mean) * rstd, rstd


def standardize_backward(grad_xhat: Array, xhat: Array, rstd: Array, axes: Axes) -> Array:
    """Return dL/dx from G = dL/dxhat, where mean and var are the `moments` of x over the same axes.

    With c[k] = x[k] - mean, the forward is xhat[k] = c[k] (var + eps)^(-1/2), over n entries. x[j] reaches L three
    ways. By itself, with mean and var held,

        (1)  G[j] rstd

    Through var, which all entries share:

        dL/dvar     = sum_k G[k] c[k] (-1/2) (var + eps)^(-3/2) = -(1/2) rstd^2 sum_k G[k] xhat[k]
        dvar/dx[j]  = (2/n) c[j]                                                        with mean held
        (2)  their product = -(1/n) rstd xhat[j] sum_k G[k] xhat[k]                     as c[j] rstd = xhat[j]

    Through mean, which all entries share; var depends on it too, but not to first order, since deviations from
    their own mean add up to 0:

        dL/dmean    = -rstd sum_k G[k] + dL/dvar dvar/dmean,      dvar/dmean = -(2/n) sum_k c[k] = 0
        dmean/dx[j] = 1/n
        (3)  their product = -(1/n) rstd sum_k G[k]

    The three together:

        dL/dx[j] = (1/n) rstd (n G[j] - sum_k G[k] - xhat[j] sum_k G[k] xhat[k])
                 = rstd (G[j] - mean(G) - xhat[j] mean(G xhat))

    So G loses its part along (1, ..., 1) and its part along xhat: the forward does not notice a shift of x, nor
    (but for eps) a scaling, and no gradient points where nothing changes. Only xhat and rstd are needed, not x.
    """
    grad_x: Array = rstd * (grad_xhat - _mean(grad_xhat, axes) - xhat * _mean(grad_xhat * xhat, axes))
    return grad_x


def _mean(x: Array, axes: Axes) -> Array:
    n = math.prod(x.shape[axis] for axis in axes)
    mean: Array = x.sum(axis=axes, keepdims=True) / (n or math.nan)  # over nothing: NaN without a warning, as in torch
    return mean


class LayerNorm(Module):
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

    x has shape (..., *normalized_shape), y the same; `weight` and `bias` have normalized_shape. `weight` starts as
    ones and `bias` as zeros. `elementwise_affine=False` leaves both out, `bias=False` the bias alone.

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
        self.normalized_shape = sizes_of(normalized_shape, "LayerNorm")
        self.eps = eps
        self.weight = Parameter(np.ones(self.normalized_shape, dtype)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(self.normalized_shape, dtype)) if elementwise_affine and bias else None

    def extra_repr(self) -> str:
        """Return the shape, eps, and which parameters there are."""
        affine, bias = self.weight is not None, self.bias is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}, bias={bias}"

    def forward(self, x: Array) -> tuple[Array, Saved]:
        """Return y and `saved` = (xhat, rstd).

        Raises TypeError for another dtype than the weight's and ValueError for other last axes.
        """
        check_array(x, "LayerNorm", self.weight.dtype if self.weight is not None else None)
        axes = last_axes(x, self.normalized_shape, "LayerNorm")
        xhat, rstd = standardize(x, *moments(x, axes), self.eps)  # (..., *normalized_shape), (..., 1, ..., 1)
        y = xhat
        if self.weight is not None:
            y = y * self.weight.data
        if self.bias is not None:
            y = y + self.bias.data
        return y, (xhat, rstd)

    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x; add to the gradients of weight and bias."""
        xhat, rstd = saved
        axes = last_axes(xhat, self.normalized_shape, "LayerNorm")
        samples = tuple(range(xhat.ndim - len(axes)))
        grad_xhat = grad_output
        if self.weight is not None:
            self.weight.accumulate((grad_output * xhat).sum(axis=samples))  # normalized_shape
            grad_xhat = grad_output * self.weight.data
        if self.bias is not None:
            self.bias.accumulate(grad_output.sum(axis=samples))  # normalized_shape
        return standardize_backward(grad_xhat, xhat, rstd, axes) if input_grad else None


def sizes_of(normalized_shape: int | Sequence[int], who: str) -> tuple[int, ...]:
    """Return `normalized_shape` as a tuple.

    Raises TypeError for what is no integer, ValueError for no axis at all or a negative size.
    """
    sizes = normalized_shape if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    if not all(isinstance(size, int | np.integer) for size in sizes):
        raise TypeError(f"{who}: normalized_shape is an integer or a tuple of them, not {normalized_shape}")
    if not sizes or min(sizes) < 0:
        raise ValueError(f"{who}: normalized_shape has one axis or more, each of size 0 or above, not {sizes}")
    return tuple(int(size) for size in sizes)


def last_axes(x: Array, sizes: tuple[int, ...], who: str) -> Axes:
    """Return the axes that `sizes` stands for, counted from the end. Raises ValueError where x ends otherwise."""
    if x.shape[-len(sizes) :] != sizes:
        shape = ", ".join(map(str, sizes))
        raise ValueError(f"{who} takes (..., {shape}), but was given an input of shape {x.shape}")
    return tuple(range(-len(sizes), 0))
