"""GroupNorm: normalisation over groups of channels."""

import math

import numpy as np
from numpy.typing import DTypeLike

from manual.arguments import whole_number
from manual.arithmetic import beyond_the_finite
from manual.module import Array, check_array, plain, unsupported
from manual.nn.normalization.standardize import Affine, Saved, moments, standardize, standardize_backward


class GroupNorm(Affine):
    """y = xhat * weight + bias, where xhat has mean 0 and variance 1 in each group of channels of each sample.

    The C channels are cut into `num_groups` runs of C / num_groups. For sample s and group r, over all its n
    entries (channels c of the group times positions p):

        mean[s,r]   = (1/n) sum_(c in r) sum_p x[s,c,p]
        var[s,r]    = (1/n) sum_(c in r) sum_p (x[s,c,p] - mean[s,r])^2         the biased one
        xhat[s,c,p] = (x[s,c,p] - mean[s,r]) rstd[s,r]                          rstd[s,r] = 1 / sqrt(var[s,r] + eps)
        y[s,c,p]    = xhat[s,c,p] weight[c] + bias[c]

    with r the group of c. One group is LayerNorm over (C, ...) with one weight a channel, C groups are InstanceNorm.
    The statistics have the axes (sample, group) and the parameters the axis (channel), so that the sums of the backward
    differ. With g = dL/dy and G[s,c,p] = dL/dxhat[s,c,p] = g[s,c,p] weight[c]:

        dL/dweight[c]  = sum_s sum_p g[s,c,p] xhat[s,c,p]         dL/dbias[c] = sum_s sum_p g[s,c,p]
        dL/dx[s,c,p]   = rstd[s,r] (G[s,c,p] - mean_r(G) - xhat[s,c,p] mean_r(G xhat))

    with both means over the group, weight already inside: it differs within a group, and may not be taken out of them.
    `standardize_backward` derives the last line. Training and evaluation are the same.

    x has shape (N, C, ...), y the same; `weight` and `bias` have (C,) and start as ones and zeros. `affine=False`
    leaves both out, `bias=False` the bias alone.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html; Wu and He, "Group Normalization",
    2018.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: None = None,
        *,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
    ) -> None:
        unsupported("GroupNorm", device=device)
        num_groups = whole_number("GroupNorm", 1, num_groups=num_groups)
        num_channels = whole_number("GroupNorm", 0, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: {num_channels} channels do not make {num_groups} groups of one size; give a divisor"
            )
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, plain(eps)
        super().__init__((num_channels,), affine, bias, dtype)

    def extra_repr(self) -> str:
        """Return the numbers, eps, and which parameters there are."""
        affine, bias = self.weight is not None, self.bias is not None
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={affine}, bias={bias}"

    @beyond_the_finite()
    def forward(self, input: Array) -> tuple[Array, Saved]:
        """Return y and `saved` = (xhat, rstd).

        Raises TypeError for another dtype than the weight's and ValueError for other shapes, and, as torch does, for
        a single sample with one value in each group.
        """
        check_array(input, "GroupNorm", self._dtype)
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm takes (N, {self.num_channels}, ...), but was given shape {input.shape}")
        groups = self._groups(input)
        if groups.shape[0] * groups.shape[2] == 1:
            raise ValueError(
                f"GroupNorm: an input of shape {input.shape} has one value a group, which is its mean; "
                "give fewer groups"
            )
        xhat, rstd = standardize(groups, *moments(groups, (2,)), eps=self.eps)  # (N, groups, n), (N, groups, 1)
        xhat = xhat.reshape(input.shape)  # (N, C, ...)
        return self._affine(xhat, (1,)), (xhat, rstd)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x; add to the gradients of weight and bias."""
        xhat, rstd = saved
        grad_xhat = self._affine_backward(grad_output, xhat, (1,))
        if not input_grad:
            return None
        return standardize_backward(self._groups(grad_xhat), self._groups(xhat), rstd, (2,)).reshape(xhat.shape)

    def _groups(self, x: Array) -> Array:
        """Return x as (N, groups, n): the channels of a group lie next to each other, so nothing moves."""
        N, C, *positions = x.shape
        return x.reshape(N, self.num_groups, C // self.num_groups * math.prod(positions))
