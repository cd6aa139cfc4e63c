"""The padding layers; how a padding and its gradient are computed stands in `ends.py`.

`padding` is one number for all ends, or (before, after) of the last axis, then of the one before it, and so on: torch's
order. A negative number cuts entries off. Inputs are (N, C, ...) or (C, ...); the last axes are the padded ones.
"""

from typing import Any

import numpy as np

from manual.arguments import real_number, whole_numbers
from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_gradient
from manual.nn.padding.ends import check_ends, pad, unpad
from manual.nn.windows import Sizes, check_axes, check_not_empty


class _Pad(Module):
    """What all paddings share: `axes` last axes are padded in `mode`, with `value` where that is a constant."""

    axes: int
    mode: str
    value: float = 0.0

    def __init__(self, padding: int | Sizes) -> None:
        self.padding = whole_numbers(type(self).__name__, None, 2 * self.axes, padding=padding)
        self.ends = tuple(zip(self.padding[-2::-2], self.padding[::-2], strict=True))  # the first axis first

    def extra_repr(self) -> str:
        """Return the padding."""
        return f"{self.padding}"

    def forward(self, x: Array) -> tuple[Array, tuple[Sizes, np.dtype[Any]]]:
        """Return y (..., S + before + after, ...) and `saved` = its shape and dtype: the gradient depends on no number.

        Raises ValueError where an axis is too short for what is copied or cut off.
        """
        who = type(self).__name__
        check_axes(x, who, self.axes)
        if self.mode in ("reflect", "replicate"):
            check_not_empty(x, who, self.axes)
        check_ends(who, x.shape[-self.axes :], self.ends, self.mode)
        y = pad(x, self.ends, self.mode, self.value)
        return y, (y.shape, y.dtype)

    @beyond_the_finite()
    def backward(
        self, grad_output: Array, saved: tuple[Sizes, np.dtype[Any]], *, input_grad: bool = True
    ) -> Array | None:
        """Return grad_input: each entry of grad_output is added where its value came from."""
        check_gradient(grad_output, *saved, type(self).__name__)
        return unpad(grad_output, self.ends, self.mode) if input_grad else None


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(self, padding: int | Sizes, value: float | None) -> None:
        super().__init__(padding)
        self.value = 0.0 if value is None else real_number(type(self).__name__, value=value)

    def extra_repr(self) -> str:
        """Return the padding and the value."""
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_Pad):
    mode = "constant"


class _ReflectionPad(_Pad):
    mode = "reflect"


class _ReplicationPad(_Pad):
    mode = "replicate"


class _CircularPad(_Pad):
    mode = "circular"


class ConstantPad1d(_ConstantPad):
    """Put `value` around the last axis: y[before + i] = x[i], so that dL/dx[i] = g[before + i].

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad1d.html
    """

    axes = 1


class ConstantPad2d(_ConstantPad):
    """Put `value` around the last two axes: y[before + i] = x[i], so that dL/dx[i] = g[before + i].

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad2d.html
    """

    axes = 2


class ConstantPad3d(_ConstantPad):
    """Put `value` around the last three axes: y[before + i] = x[i], so that dL/dx[i] = g[before + i].

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ConstantPad3d.html
    """

    axes = 3


class ZeroPad1d(_ZeroPad):
    """Put zeros around the last axis: y[before + i] = x[i], so that dL/dx[i] = g[before + i].

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad1d.html
    """

    axes = 1


class ZeroPad2d(_ZeroPad):
    """Put zeros around the last two axes: y[before + i] = x[i], so that dL/dx[i] = g[before + i].

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad2d.html
    """

    axes = 2


class ZeroPad3d(_ZeroPad):
    """Put zeros around the last three axes: y[before + i] = x[i], so that dL/dx[i] = g[before + i].

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ZeroPad3d.html
    """

    axes = 3


class ReflectionPad1d(_ReflectionPad):
    """Mirror the last axis at the first and at the last entry, which are not repeated: 3 2 | 1 2 3 4 | 3 2.

    Each entry gets its own g and that of its mirror images. An axis of size S has S - 1 entries to mirror.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad1d.html
    """

    axes = 1


class ReflectionPad2d(_ReflectionPad):
    """Mirror the last two axes at the first and at the last entry, which are not repeated: 3 2 | 1 2 3 4 | 3 2.

    Each entry gets its own g and that of its mirror images. An axis of size S has S - 1 entries to mirror.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad2d.html
    """

    axes = 2


class ReflectionPad3d(_ReflectionPad):
    """Mirror the last three axes at the first and at the last entry, which are not repeated: 3 2 | 1 2 3 4 | 3 2.

    Each entry gets its own g and that of its mirror images. An axis of size S has S - 1 entries to mirror.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReflectionPad3d.html
    """

    axes = 3


class ReplicationPad1d(_ReplicationPad):
    """Repeat the first and the last entry of the last axis: 1 1 | 1 2 3 4 | 4 4.

    The first and the last entry get the sum of g over all that repeats them.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad1d.html
    """

    axes = 1


class ReplicationPad2d(_ReplicationPad):
    """Repeat the first and the last entry of the last two axes: 1 1 | 1 2 3 4 | 4 4.

    The first and the last entry get the sum of g over all that repeats them.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad2d.html
    """

    axes = 2


class ReplicationPad3d(_ReplicationPad):
    """Repeat the first and the last entry of the last three axes: 1 1 | 1 2 3 4 | 4 4.

    The first and the last entry get the sum of g over all that repeats them.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReplicationPad3d.html
    """

    axes = 3


class CircularPad1d(_CircularPad):
    """Go on with the other end of the last axis: 3 4 | 1 2 3 4 | 1 2.

    Each entry gets its own g and that of its copy at the other end, and no end is longer than the axis.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad1d.html
    """

    axes = 1


class CircularPad2d(_CircularPad):
    """Go on with the other end of the last two axes: 3 4 | 1 2 3 4 | 1 2.

    Each entry gets its own g and that of its copy at the other end, and no end is longer than the axis.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad2d.html
    """

    axes = 2


class CircularPad3d(_CircularPad):
    """Go on with the other end of the last three axes: 3 4 | 1 2 3 4 | 1 2.

    Each entry gets its own g and that of its copy at the other end, and no end is longer than the axis.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CircularPad3d.html
    """

    axes = 3
