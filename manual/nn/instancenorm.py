"""Instance normalisation: each channel of each sample by itself."""

from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from manual.arithmetic import beyond_the_finite
from manual.module import Array
from manual.nn.batchnorm import NormBase, Saved


class _InstanceNorm(NormBase):
    """y = xhat * weight + bias, where xhat has mean 0 and variance 1 in each channel of each sample.

    Batch normalisation without the sum over samples. For sample s and channel c, over its n positions p:

        mean[s,c]   = (1/n) sum_p x[s,c,p]
        var[s,c]    = (1/n) sum_p (x[s,c,p] - mean[s,c])^2                   the biased one
        xhat[s,c,p] = (x[s,c,p] - mean[s,c]) rstd[s,c]                       rstd[s,c] = 1 / sqrt(var[s,c] + eps)
        y[s,c,p]    = xhat[s,c,p] weight[c] + bias[c]

    The statistics have the axes (sample, channel), the parameters the axis (channel) alone. With g = dL/dy and
    G[s,c,p] = dL/dxhat[s,c,p] = g[s,c,p] weight[c]:

        dL/dweight[c]  = sum_s sum_p g[s,c,p] xhat[s,c,p]                    dL/dbias[c] = sum_s sum_p g[s,c,p]
        dL/dx[s,c,p]   = (1/n) rstd[s,c] (n G[s,c,p] - sum_p G - xhat[s,c,p] sum_p G xhat)

    the last as `standardize_backward` derives it. By default there are no parameters and no running statistics, as in
    torch, and evaluation is like training. With `track_running_stats`, evaluation goes by the running ones, as
    `NormBase` says; what is tracked are the means over the samples of mean and of the unbiased var. As in torch, the
    batches are not counted: num_batches_tracked stays 0, and `momentum=None` moves nothing.

    `eps` may be 0. Where a channel's values are then all equal, var + eps is 0; xhat and rstd are 0 there, as in torch
    (the other norms give NaN), and so is the gradient.

    The number of channels is checked where `affine` is off as well; there torch only warns.

    Source: Ulyanov, Vedaldi and Lempitsky, "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: None = None,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, bias=bias, dtype=dtype)

    @beyond_the_finite()
    def forward(self, input: Array) -> tuple[Array, Saved]:
        """Return y and `saved` = (xhat, rstd, whether mean and var were the input's own).

        Raises TypeError for another dtype than the parameters' and ValueError for other shapes, and for one position
        where the input's own statistics are asked for.
        """
        channel = self._channel(input)
        positions = tuple(range(channel + 1, input.ndim))
        return self._normalize(input, channel, positions)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x; add to the gradients of weight and bias."""
        axes = saved[0].ndim
        channel = self.channels[axes]
        positions = tuple(range(channel + 1, axes))
        return self._normalize_backward(grad_output, saved, channel, positions, input_grad)


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of (N, C, L) or (C, L); the formulas and their derivatives stand at `_InstanceNorm`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm1d.html
    """

    channels: ClassVar = {2: 0, 3: 1}


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of (N, C, H, W) or (C, H, W); the formulas and their derivatives stand at `_InstanceNorm`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm2d.html
    """

    channels: ClassVar = {3: 0, 4: 1}


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of (N, C, D, H, W) or (C, D, H, W); the formulas stand at `_InstanceNorm`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.InstanceNorm3d.html
    """

    channels: ClassVar = {4: 0, 5: 1}
