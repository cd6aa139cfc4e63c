"""Convolutions: a fine grid to a coarse one."""

import numpy as np
from numpy.typing import DTypeLike

from manual.arguments import whole_numbers
from manual.arithmetic import beyond_the_finite
from manual.module import Array
from manual.nn.conv.base import _ConvNd
from manual.nn.conv.sums import correlate, correlate_both, spread
from manual.nn.padding.ends import Ends, check_ends, pad, unpad
from manual.nn.windows import Sizes


class _Conv(_ConvNd):
    """y = weight * x + bias: at every place p, the weighted sum of the window that starts at q = stride p.

        y[n,o,p] = b[o] + sum_{c,k} w[o,c,k] X[n,c, stride p + dilation k],        X = x with padding around it

    Partials, with g = dL/dy and c counted within the group of o:

        dL/dw[o,c,k] = sum_{n,p} g[n,o,p] X[n,c, stride p + dilation k]
        dL/dX[n,c,q] = sum over o and all (k, p) with stride p + dilation k = q of g[n,o,p] w[o,c,k]
        dL/db[o]     = sum_{n,p} g[n,o,p]

    and dL/dx is dL/dX taken back through the padding. What is called convolution is a correlation: the kernel is not
    turned round. In dL/dX it is, since k = (q - stride p) / dilation falls as p rises.

    `weight` (out_channels, in_channels / groups, *kernel_size), `bias` (out_channels). x is (N, C, *shape) or
    (C, *shape), and y has out_channels and, along each axis, floor((shape + 2 padding - span) / stride) + 1 places,
    with span = dilation (kernel_size - 1) + 1. `padding` is the number for each end, or 'valid' (none), or 'same'
    (span - 1 in all, the odd one behind, so that y is as long as x; stride 1 alone). `padding_mode` says with what.
    """

    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sizes,
        stride: int | Sizes = 1,
        padding: str | int | Sizes = 0,
        dilation: int | Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        who = type(self).__name__
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(f"{who}: padding_mode={padding_mode!r}; use 'zeros', 'reflect', 'replicate' or 'circular'")
        if isinstance(padding, str):
            if padding not in ("valid", "same"):
                raise ValueError(f"{who}: padding={padding!r}; use 'valid', 'same' or whole numbers")
        else:  # a negative number cuts, and torch takes it where the padding is copied
            padding = whole_numbers(who, 0 if padding_mode == "zeros" else None, self.axes, padding=padding)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode, device,
            dtype, generator,
        )  # fmt: skip
        if padding == "same" and set(self.stride) != {1}:
            raise ValueError(f"{who}: padding='same' needs stride 1, not {self.stride}; give the padding as numbers")
        self.ends = self._ends()
        self.pad_mode = "constant" if padding_mode == "zeros" else padding_mode

    def _ends(self) -> Ends:
        if isinstance(self.padding, tuple):
            return tuple((p, p) for p in self.padding)
        spans = self.windows.span if self.padding == "same" else (1,) * self.axes
        return tuple(((span - 1) // 2, span - 1 - (span - 1) // 2) for span in spans)

    @beyond_the_finite()
    def forward(self, input: Array) -> tuple[Array, Array]:
        """Return y and `saved` = the padded input.

        Raises TypeError for another dtype than the weight's and ValueError for another number of axes or channels,
        and where not one window fits.
        """
        self._check(input)
        who, shape = type(self).__name__, input.shape[-self.axes :]
        check_ends(who, shape, self.ends, self.pad_mode)
        padded = pad(input, self.ends, self.pad_mode)
        if min(self.windows.counts(padded.shape[-self.axes :])) < 1:
            raise ValueError(
                f"{who}: windows of {self.windows.span} do not fit into {padded.shape[-self.axes :]}, the input "
                "with its padding; take a smaller kernel or more padding"
            )
        return self._with_bias(correlate(padded, self.weight.data, self.windows, self.groups)), padded

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> Array | None:
        """Return grad_input; add to the gradients of weight and bias."""
        self._check_gradient(grad_output, saved, self.windows.counts(saved.shape[-self.axes :]))
        self._accumulate(correlate_both(grad_output, saved, self.windows, self.groups), grad_output)
        if not input_grad:
            return None
        shape = saved.shape[-self.axes :]
        grad_padded = spread(grad_output, self.weight.data, self.windows, self.groups, shape)
        return unpad(grad_padded, self.ends, self.pad_mode)


class Conv1d(_Conv):
    """The convolution over one axis: (N, C, L).

        y[n,o,p] = b[o] + sum_{c,k} w[o,c,k] X[n,c, s p + d k]

    With one index for all axes, and its gradients, that is derived in `_Conv`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html
    """

    axes = 1


class Conv2d(_Conv):
    """The convolution over two axes: (N, C, H, W).

        y[n,o,i,j] = b[o] + sum_{c,u,v} w[o,c,u,v] X[n,c, s i + d u, s j + d v]

    With one index for all axes, and its gradients, that is derived in `_Conv`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
    """

    axes = 2


class Conv3d(_Conv):
    """The convolution over three axes: (N, C, D, H, W).

        y[n,o,t,i,j] = b[o] + sum_{c,r,u,v} w[o,c,r,u,v] X[n,c, s t + d r, s i + d u, s j + d v]

    With one index for all axes, and its gradients, that is derived in `_Conv`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv3d.html
    """

    axes = 3
