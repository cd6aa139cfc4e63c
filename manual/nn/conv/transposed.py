"""Transposed convolutions: a coarse grid to a fine one."""

import numpy as np
from numpy.typing import DTypeLike

from manual.arguments import whole_numbers
from manual.arithmetic import beyond_the_finite
from manual.module import Array
from manual.nn.conv.base import _ConvNd
from manual.nn.conv.sums import correlate, correlate_both, spread
from manual.nn.padding.ends import Ends, pad, unpad
from manual.nn.windows import Sizes


class _ConvTranspose(_ConvNd):
    """y = the sum of the windows stride p + dilation k, each filled with the weight times x at p, plus bias.

        Y[n,c,q] = sum over o and all (k, p) with stride p + dilation k = q of x[n,o,p] w[o,c,k]
        y[n,c,q] = b[c] + Y[n,c, q + padding]

    that is, a convolution's dL/dX with x in the place of g. As there, o counts the channels on the coarse grid, here
    those of x, and c those on the fine one, here those of y; in w, c is counted within the group of o. Hence, with
    g = dL/dy, and G = g with `padding` zeros around it,

        dL/dx[n,o,p] = sum_{c,k} w[o,c,k] G[n,c, stride p + dilation k]
        dL/dw[o,c,k] = sum_{n,p} x[n,o,p] G[n,c, stride p + dilation k]
        dL/db[c]     = sum_{n,q} g[n,c,q]

    which is the convolution of G, and its weight's gradient.

    `weight` (in_channels, out_channels / groups, *kernel_size), `bias` (out_channels). x is (N, C, *counts) or
    (C, *counts), and y has out_channels and, along each axis, stride (counts - 1) + span - 2 padding + output_padding
    entries, span = dilation (kernel_size - 1) + 1: `padding` is cut off at both ends. A convolution with a stride gives
    inputs of several lengths the same output; `output_padding`, or `output_size` in forward, says which is meant: so
    many entries fewer are cut off behind, and where Y ends before, zeros go on. The bias is added to all of y.
    """

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sizes,
        stride: int | Sizes = 1,
        padding: int | Sizes = 0,
        output_padding: int | Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sizes = 1,
        padding_mode: str = "zeros",
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        who = type(self).__name__
        if padding_mode != "zeros":
            raise ValueError(f"{who}: padding_mode={padding_mode!r}; it has 'zeros' alone")
        padding = whole_numbers(who, 0, self.axes, padding=padding)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
            padding_mode, device, dtype, generator,
        )  # fmt: skip
        for given, s, d in zip(self.output_padding, self.stride, self.dilation, strict=True):
            if given >= max(s, d):
                raise ValueError(f"{who}: output_padding={given} is not below stride {s} or dilation {d}; give less")
        self.cut = padding

    def _ends(self, input: Array, output_size: Sizes | None) -> Ends:
        """Return what is cut off the windows' reach; a negative number adds zeros."""
        who, reach = type(self).__name__, self.windows.reach(input.shape[-self.axes :])
        added = self.output_padding
        if output_size is not None:
            channels = input.ndim - self.axes  # axes before the last ones, which `output_size` may have too
            given = output_size[channels if len(output_size) == input.ndim else 0 :]
            smallest = tuple(n - 2 * p for n, p in zip(reach, self.cut, strict=True))
            added = tuple(size - least for size, least in zip(given, smallest, strict=False))
            fits = len(given) == self.axes
            if not fits or any(not 0 <= a < s for a, s in zip(added, self.stride, strict=True)):
                raise ValueError(f"{who}: output_size={output_size}; give {smallest}, or more by less than the stride")
        ends = tuple((p, p - a) for p, a in zip(self.cut, added, strict=True))
        if any(n < sum(end) for n, end in zip(reach, ends, strict=True)):
            raise ValueError(f"{who}: padding={self.padding} cuts off more than the {reach} that there is; give less")
        return ends

    @beyond_the_finite()
    def forward(self, input: Array, output_size: Sizes | None = None) -> tuple[Array, tuple[Array, Ends]]:
        """Return y and `saved` = (input, what was cut off).

        Raises TypeError for another dtype than the weight's and ValueError for another number of axes or channels,
        and for an `output_size` that these windows do not give.
        """
        self._check(input)
        ends = self._ends(input, output_size)
        reach = self.windows.reach(input.shape[-self.axes :])
        y = spread(input, self.weight.data, self.windows, self.groups, reach)
        return self._with_bias(unpad(y, ends, "constant")), (input, ends)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: tuple[Array, Ends], *, input_grad: bool = True) -> Array | None:
        """Return grad_input; add to the gradients of weight and bias."""
        input, ends = saved
        reach = self.windows.reach(input.shape[-self.axes :])
        self._check_gradient(grad_output, input, [n - sum(end) for n, end in zip(reach, ends, strict=True)])
        grad_fine = pad(grad_output, ends, "constant")
        self._accumulate(correlate_both(input, grad_fine, self.windows, self.groups), grad_output)
        return correlate(grad_fine, self.weight.data, self.windows, self.groups) if input_grad else None


class ConvTranspose1d(_ConvTranspose):
    """The transposed convolution over one axis: (N, C, L).

        Y[n,c, s p + d k] adds up x[n,o,p] w[o,c,k]; y = Y without its padding, plus b

    With one index for all axes, and its gradients, that is derived in `_ConvTranspose`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose1d.html
    """

    axes = 1


class ConvTranspose2d(_ConvTranspose):
    """The transposed convolution over two axes: (N, C, H, W).

        Y[n,c, s i + d u, s j + d v] adds up x[n,o,i,j] w[o,c,u,v]; y = Y without its padding, plus b

    With one index for all axes, and its gradients, that is derived in `_ConvTranspose`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html
    """

    axes = 2


class ConvTranspose3d(_ConvTranspose):
    """The transposed convolution over three axes: (N, C, D, H, W).

        Y[n,c, s t + d r, s i + d u, s j + d v] adds up x[n,o,t,i,j] w[o,c,r,u,v]; y = Y without its padding, plus b

    With one index for all axes, and its gradients, that is derived in `_ConvTranspose`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose3d.html
    """

    axes = 3
