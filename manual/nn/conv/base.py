"""What convolutions and transposed convolutions share: arguments, initial values, the bias."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import DTypeLike

from manual.arguments import whole_number, whole_numbers
from manual.arithmetic import sum_over
from manual.module import Array, Module, Parameter, check_gradient, unsupported
from manual.nn.windows import Sizes, Windows, check_axes, check_not_empty


class _ConvNd(Module):
    """What both kinds share: the arguments, and the initial values.

    The initial values are torch's: weight, then bias, uniform in +-1/sqrt(fan_in), drawn from `generator`, with
    fan_in = weight.shape[1] * prod(kernel_size). For a convolution that is the number of terms in one y. A transposed
    one takes the same axis of its weight, which there counts output channels.
    """

    axes: int
    transposed: bool

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sizes,
        stride: int | Sizes,
        padding: str | Sizes,
        dilation: int | Sizes,
        output_padding: int | Sizes,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: None,
        dtype: DTypeLike,
        generator: np.random.Generator | None,
    ) -> None:
        who, axes = type(self).__name__, self.axes
        unsupported(who, device=device)
        self.in_channels = in_channels = whole_number(who, 1, in_channels=in_channels)
        self.out_channels = out_channels = whole_number(who, 1, out_channels=out_channels)
        self.groups = groups = whole_number(who, 1, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{who}({in_channels}, {out_channels}): {groups} groups do not divide both; give a divisor"
            )
        self.kernel_size = whole_numbers(who, 1, axes, kernel_size=kernel_size)
        self.stride = whole_numbers(who, 1, axes, stride=stride)
        self.dilation = whole_numbers(who, 1, axes, dilation=dilation)
        self.output_padding = whole_numbers(who, 0, axes, output_padding=output_padding)
        self.padding, self.padding_mode = padding, padding_mode
        self.windows = Windows(self.kernel_size, self.stride, self.dilation)

        outer, inner = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        shape = (outer, inner // groups, *self.kernel_size)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        generator = np.random.default_rng() if generator is None else generator
        self.weight = Parameter(generator.uniform(-bound, bound, shape).astype(dtype))
        self.bias = Parameter(generator.uniform(-bound, bound, out_channels).astype(dtype)) if bias else None

    def extra_repr(self) -> str:
        """Return the arguments that are not the default ones, as torch does."""
        none = (0,) * self.axes
        shown = {
            "padding": self.padding if self.padding != none else None,
            "dilation": self.dilation if self.dilation != (1,) * self.axes else None,
            "output_padding": self.output_padding if self.output_padding != none else None,
            "groups": self.groups if self.groups != 1 else None,
            "bias": False if self.bias is None else None,
            "padding_mode": self.padding_mode if self.padding_mode != "zeros" else None,
        }
        options = "".join(f", {name}={value}" for name, value in shown.items() if value is not None)
        sizes = f"kernel_size={self.kernel_size}, stride={self.stride}"
        return f"{self.in_channels}, {self.out_channels}, {sizes}{options}"

    def _check(self, x: Array) -> None:
        who = type(self).__name__
        check_axes(x, who, self.axes, self.weight.dtype)
        check_not_empty(x, who, self.axes)
        if x.shape[-1 - self.axes] != self.in_channels:
            raise ValueError(f"{who} has {self.in_channels} input channels, but was given an input of shape {x.shape}")

    def _check_gradient(self, grad_output: Array, x: Array, places: Iterable[int]) -> None:
        """Raise TypeError or ValueError unless it is a gradient for y (..., out_channels, *places)."""
        shape = (*x.shape[: -1 - self.axes], self.out_channels, *places)
        check_gradient(grad_output, shape, self.weight.dtype, type(self).__name__)

    def _with_bias(self, y: Array) -> Array:
        return y if self.bias is None else y + self.bias.data.reshape(-1, *(1,) * self.axes)

    def _accumulate(self, grad_weight: Array, grad_output: Array) -> None:
        self.weight.accumulate(grad_weight)
        if self.bias is not None:
            # dy[n,o,p]/db[o] = 1: the sum of g[n,o,p] over the samples and the places
            channels = grad_output.ndim - 1 - self.axes
            self.bias.accumulate(sum_over(grad_output, [a for a in range(grad_output.ndim) if a != channels]))
