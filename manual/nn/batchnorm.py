"""Batch normalisation, and what it shares with instance normalisation: running statistics."""

import math
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from manual.arguments import whole_number
from manual.arithmetic import beyond_the_finite
from manual.module import Array, check_array, plain, unsupported
from manual.nn.normalization.standardize import Affine, Axes, moments, standardize, standardize_backward

Saved = tuple[Array, Array, bool]


class NormBase(Affine):
    """Channels with mean 0 and variance 1 by their own statistics, or by running ones that were kept in training.

    With `track_running_stats` there are three buffers. After each forward in training, with momentum m,

        running_mean = (1 - m) running_mean + m mean
        running_var  = (1 - m) running_var  + m var n / (n - 1)

    n / (n - 1) makes the variance of n values unbiased: it is kept for other data, whereas forward divides by the
    variance that these n values have. No gradient goes through the buffers. In evaluation they take the place of mean
    and var, which are then constants:

        y = (x - running_mean) rstd weight + bias        dL/dx = rstd weight g        rstd = 1 / sqrt(running_var + eps)

    Without `track_running_stats` there are no buffers, and evaluation is like training.
    """

    channels: ClassVar[dict[int, int]]  # for each number of axes that is taken, the axis of the channels
    running_mean: Array
    running_var: Array
    num_batches_tracked: Array

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: None,
        *,
        bias: bool,
        dtype: DTypeLike,
    ) -> None:
        unsupported(type(self).__name__, device=device)
        self.num_features = num_features = whole_number(type(self).__name__, 0, num_features=num_features)
        self.eps, self.momentum = plain(eps), plain(momentum)
        self.affine, self.track_running_stats = affine, track_running_stats
        super().__init__((num_features,), affine, bias, dtype)
        self.register_buffer("running_mean", np.zeros(num_features, dtype) if track_running_stats else None)
        self.register_buffer("running_var", np.ones(num_features, dtype) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", np.array(0) if track_running_stats else None)

    def reset_running_stats(self) -> None:
        """Forget the batches that were seen: mean 0, variance 1, number 0."""
        if self.track_running_stats:
            self.running_mean, self.running_var = np.zeros_like(self.running_mean), np.ones_like(self.running_var)
            self.num_batches_tracked = np.zeros_like(self.num_batches_tracked)

    def extra_repr(self) -> str:
        """Return the number of channels and the options."""
        options = {"eps": self.eps, "momentum": self.momentum, "affine": self.affine, "bias": self.bias is not None}
        options["track_running_stats"] = self.track_running_stats
        return f"{self.num_features}, " + ", ".join(f"{name}={value}" for name, value in options.items())

    def _channel(self, input: Array) -> int:
        """Return the axis of the channels. Raises TypeError for another dtype and ValueError for another shape."""
        who = type(self).__name__
        check_array(input, who, self.running_mean.dtype if self.track_running_stats else self._dtype)
        if input.ndim not in self.channels:
            raise ValueError(f"{who} takes {' or '.join(map(str, self.channels))} axes, but was given {input.shape}")
        channel = self.channels[input.ndim]
        if input.shape[channel] != self.num_features:
            raise ValueError(f"{who} takes {self.num_features} channels on axis {channel}, but was given {input.shape}")
        return channel

    def _normalize(self, input: Array, channel: int, axes: Axes) -> tuple[Array, Saved]:
        """Return y and `saved` = (xhat, rstd, whether mean and var were the input's own)."""
        own = self.training or not self.track_running_stats
        if own:
            n = math.prod(input.shape[axis] for axis in axes)
            if n == 1:
                raise ValueError(
                    f"{type(self).__name__}: in an input of shape {input.shape} each value is its own mean; "
                    "give two values or more for every mean"
                )
            mean, var = moments(input, axes)  # (..., C, 1, ..., 1)
            if self.track_running_stats:
                self._track(mean, var, n, samples=tuple(range(channel)))
        else:
            shape = (self.num_features, *(1,) * (input.ndim - channel - 1))
            mean, var = self.running_mean.reshape(shape), self.running_var.reshape(shape)  # (C, 1, ..., 1)
        xhat, rstd = standardize(input, mean, var, eps=self.eps)
        if own and self.eps == 0:  # only InstanceNorm comes here; all values of a channel may be equal
            xhat, rstd = np.where(var == 0, 0, xhat), np.where(var == 0, 0, rstd)
        return self._affine(xhat, (channel,)), (xhat, rstd, own)

    def _track(self, mean: Array, var: Array, n: int, samples: Axes) -> None:
        """Move the running statistics towards these; where each sample has its own, towards their mean."""
        m = self._momentum()
        if n and mean.size:  # nothing is learnt from nothing
            # Infinity and NaN are tracked as well, as in torch.
            new_mean, new_var = (m * mean).mean(axis=samples), (m * var * n / (n - 1)).mean(axis=samples)
            self.running_mean = (1 - m) * self.running_mean + new_mean.reshape(self.num_features)
            self.running_var = (1 - m) * self.running_var + new_var.reshape(self.num_features)

    def _momentum(self) -> float:
        """Return the share of new statistics in the running ones."""
        return self.momentum or 0.0

    def _normalize_backward(
        self, grad_output: Array, saved: Saved, channel: int, axes: Axes, input_grad: bool
    ) -> Array | None:
        """Return grad_input; add to the gradients of weight and bias."""
        xhat, rstd, own = saved
        grad_xhat = self._affine_backward(grad_output, xhat, (channel,))
        if not input_grad:
            return None
        return standardize_backward(grad_xhat, xhat, rstd, axes) if own else rstd * grad_xhat


class _BatchNorm(NormBase):
    """y = xhat * weight + bias, where xhat has mean 0 and variance 1 in each channel over the whole batch.

    For channel c, over the n entries of all samples s and positions p:

        mean[c]     = (1/n) sum_s sum_p x[s,c,p]
        var[c]      = (1/n) sum_s sum_p (x[s,c,p] - mean[c])^2               the biased one
        xhat[s,c,p] = (x[s,c,p] - mean[c]) rstd[c]                           rstd[c] = 1 / sqrt(var[c] + eps)
        y[s,c,p]    = xhat[s,c,p] weight[c] + bias[c]

    The samples of a batch are tied together: each x reaches every y of its channel through mean and var. With g = dL/dy
    and all sums over s and p,

        dL/dweight[c]  = sum g[s,c,p] xhat[s,c,p]                            dL/dbias[c] = sum g[s,c,p]
        G[s,c,p]       = dL/dxhat[s,c,p] = g[s,c,p] weight[c]
        dL/dx[s,c,p]   = (1/n) rstd[c] (n G[s,c,p] - sum G - xhat[s,c,p] sum G xhat)

    the last as `standardize_backward` derives it, path by path. Since weight[c] is one number for all n entries, it may
    be taken out, and the two sums are those of bias and weight, which a kernel needs to take but once:

        dL/dx[s,c,p]   = (1/n) rstd[c] weight[c] (n g[s,c,p] - dL/dbias[c] - xhat[s,c,p] dL/dweight[c])

    In evaluation mean and var are the running ones, as `NormBase` says, and the samples are apart again. `momentum` is
    the share of the new batch in them; None weighs all batches since the start alike, with a share of 1 /
    num_batches_tracked. `affine=False` leaves weight and bias out, `bias=False` the bias alone.

    Source: Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
    Shift", 2015.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: None = None,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, bias=bias, dtype=dtype)

    @beyond_the_finite()
    def forward(self, input: Array) -> tuple[Array, Saved]:
        """Return y and `saved` = (xhat, rstd, whether mean and var were the batch's own).

        Raises TypeError for another dtype than the buffers' and ValueError for other shapes, and for a batch with one
        value a channel, or an eps of 0, where its own statistics are asked for; an eps below 0 is refused anywhere.
        """
        channel = self._channel(input)
        if self.eps < 0 or (self.eps == 0 and (self.training or not self.track_running_stats)):
            raise ValueError(
                f"{type(self).__name__}: eps is {self.eps}, but above 0 in training, and 0 or above in evaluation"
            )
        samples_and_positions = (0, *range(2, input.ndim))
        return self._normalize(input, channel, samples_and_positions)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x; add to the gradients of weight and bias."""
        axes = saved[0].ndim
        samples_and_positions = (0, *range(2, axes))
        return self._normalize_backward(grad_output, saved, self.channels[axes], samples_and_positions, input_grad)

    def _momentum(self) -> float:
        """Count the batch; return its share, which is one of all batches so far where `momentum` is None."""
        self.num_batches_tracked = np.asarray(self.num_batches_tracked + 1)
        return 1 / int(self.num_batches_tracked) if self.momentum is None else self.momentum


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L); the formulas and their derivatives stand at `_BatchNorm`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
    """

    channels: ClassVar = {2: 1, 3: 1}


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of (N, C, H, W); the formulas and their derivatives stand at `_BatchNorm`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
    """

    channels: ClassVar = {4: 1}


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of (N, C, D, H, W); the formulas and their derivatives stand at `_BatchNorm`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm3d.html
    """

    channels: ClassVar = {5: 1}
