"""What pooling with windows of one size shares: the arguments, and where the windows end.

With `padding` entries around an axis of size S, windows p = 0, 1, ... start at stride p - padding and span
dilation (kernel_size - 1) + 1 entries. The last is the last that fits into the padded axis; with `ceil_mode` one more
may stick out behind, if it starts in the input or in the padding before it: a window in nothing but padding is left
out.

So that every window lies in an array, the input gets `padding` entries before and as many behind as the last window
needs: fewer than `padding`, or a cut, where the windows end before.
"""

from manual.arguments import whole_numbers
from manual.module import Array, Module
from manual.nn.padding.ends import Ends
from manual.nn.windows import Sizes, Windows, check_axes, check_not_empty


class _WindowPool(Module):
    axes: int

    def _prepare(
        self,
        kernel_size: int | Sizes,
        stride: int | Sizes | None,
        padding: int | Sizes,
        dilation: int | Sizes,
        ceil_mode: bool,
    ) -> None:
        who = type(self).__name__
        stride = kernel_size if stride is None else stride
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.ceil_mode = dilation, ceil_mode
        self.windows = Windows(
            whole_numbers(who, 1, self.axes, kernel_size=kernel_size),
            whole_numbers(who, 1, self.axes, stride=stride),
            whole_numbers(who, 1, self.axes, dilation=dilation),
        )
        self.before = whole_numbers(who, 0, self.axes, padding=padding)
        if any(2 * p > k for p, k in zip(self.before, self.windows.size, strict=True)):
            raise ValueError(f"{who}: padding={padding} is more than half of kernel_size={kernel_size}; give less")

    def _ends(self, x: Array) -> Ends:
        """Return how much is put before and behind each axis for all windows to lie inside, after the checks."""
        who = type(self).__name__
        check_axes(x, who, self.axes)
        check_not_empty(x, who, self.axes)
        shape = x.shape[-self.axes :]
        counts = tuple(map(self._count, shape, self.before, self.windows.stride, self.windows.span))
        if min(counts) < 1:
            raise ValueError(
                f"{who}: no window of {self.windows.span} fits into an input of shape {x.shape}; take a smaller kernel"
            )
        reach = self.windows.reach(counts)
        return tuple((p, n - p - size) for n, p, size in zip(reach, self.before, shape, strict=True))

    def _count(self, size: int, padding: int, stride: int, span: int) -> int:
        free = size + 2 * padding - span  # from the end of the first window to that of the padded axis
        if not self.ceil_mode:
            return free // stride + 1
        count = -(-free // stride) + 1
        return count if (count - 1) * stride < size + padding else count - 1
