"""What the norms share: mean 0 and variance 1 over any axes, its derivative, and the affine step behind it."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.arithmetic import sum_over
from manual.module import Array, Module, Parameter, check_gradient

Saved = tuple[Array, Array]
Axes = tuple[int, ...]


def moments(x: Array, axes: Axes) -> tuple[Array, Array]:
    """Return mean = (1/n) sum_k x[k] and var = (1/n) sum_k (x[k] - mean)^2 over `axes`, which stay with size 1.

    The deviations are squared after the mean is taken out. The shorter E[x^2] - mean^2 subtracts two numbers that are
    nearly equal where the mean is large: of x = 4096 + noise of order one, float32 would keep no digit of var.
    """
    mean = mean_over(x, axes)
    c = x - mean
    return mean, mean_over(c * c, axes)  # c * c, not np.var: a complex step passes through


def standardize(x: Array, mean: Array, var: Array, *, eps: float) -> Saved:
    """Return xhat = (x - mean) rstd and rstd = 1 / sqrt(var + eps), the reciprocal of the standard deviation.

    `eps` keeps rstd finite where var is 0, and is added inside the root, so that the slope of the root stays finite
    there as well.
    """
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
    grad_x: Array = rstd * (grad_xhat - mean_over(grad_xhat, axes) - xhat * mean_over(grad_xhat * xhat, axes))
    return grad_x


def mean_over(x: Array, axes: Axes) -> Array:
    """Return (1/n) sum_k x[k] over `axes`, which stay with size 1; NaN where there is nothing."""
    n = math.prod(x.shape[axis] for axis in axes)
    mean: Array = x.sum(axis=axes, keepdims=True) / n
    return mean


class Affine(Module):
    """y = xhat * weight + bias, the last step of every norm; k runs over the axes of the parameters, s over the others.

        y[s,k] = xhat[s,k] weight[k] + bias[k]       dL/dweight[k] = sum_s g[s,k] xhat[s,k]
                                                     dL/dbias[k]   = sum_s g[s,k]
                                                     dL/dxhat[s,k] = g[s,k] weight[k]

    Either parameter may be None, and is then left out. `weight` starts as ones and `bias` as zeros, so that a norm
    starts as the normalisation alone.
    """

    def __init__(self, shape: tuple[int, ...], affine: bool, bias: bool, dtype: DTypeLike) -> None:
        self.weight = Parameter(np.ones(shape, dtype)) if affine else None
        self.bias = Parameter(np.zeros(shape, dtype)) if affine and bias else None

    @property
    def _dtype(self) -> np.dtype[Any] | None:
        """The dtype of the parameters; None where there are none, and any float will do."""
        return None if self.weight is None else self.weight.dtype

    def _affine(self, xhat: Array, along: Axes) -> Array:
        """Return y; the parameters lie along the axes `along` of xhat."""
        shape = [size if axis in along else 1 for axis, size in enumerate(xhat.shape)]
        y = xhat
        if self.weight is not None:
            y = y * self.weight.data.reshape(shape)
        if self.bias is not None:
            y = y + self.bias.data.reshape(shape)
        return y

    def _affine_backward(self, grad_output: Array, xhat: Array, along: Axes) -> Array:
        """Return dL/dxhat; add to the gradients of weight and bias. Raises TypeError or ValueError for a wrong one."""
        check_gradient(grad_output, xhat.shape, xhat.dtype, type(self).__name__)
        shape = [size if axis in along else 1 for axis, size in enumerate(xhat.shape)]
        others = tuple(axis for axis in range(xhat.ndim) if axis not in along)
        grad_xhat = grad_output
        if self.weight is not None:
            self.weight.accumulate(sum_over(grad_output * xhat, others))
            grad_xhat = grad_output * self.weight.data.reshape(shape)
        if self.bias is not None:
            self.bias.accumulate(sum_over(grad_output, others))
        return grad_xhat
