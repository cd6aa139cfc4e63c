"""LocalResponseNorm: each channel divided by what its neighbours show."""

import numpy as np

from manual.arguments import whole_number
from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_array, check_gradient, plain


class LocalResponseNorm(Module):
    """y = x D^-beta, where D grows with the squares in the `size` channels around each entry's own.

    For channel c, at each position of each sample alike, W(c) are the channels from c - floor(size / 2) to
    c + floor((size - 1) / 2), those that exist:

        D[c] = k + (alpha / size) sum_(i in W(c)) x[i]^2            y[c] = x[c] D[c]^-beta

    The sum is divided by `size` at the edges as well, where fewer channels exist: those beyond count as zeros. x[j]
    reaches L by itself, with D held, and through each D[c] whose window has j in it. With g = dL/dy,

        dy[c]/dD[c] = -beta x[c] D[c]^(-beta-1) = -beta y[c] / D[c]
        dD[c]/dx[j] = (2 alpha / size) x[j]   for j in W(c)

        dL/dx[j] = g[j] D[j]^-beta - (2 alpha beta / size) x[j] sum_(c: j in W(c)) g[c] y[c] / D[c]

    j is in W(c) where c lies between j - floor((size - 1) / 2) and j + floor(size / 2): the window of the backward
    is that of the forward turned round, and the two differ where `size` is even.

    The last factor is y / D, not x / D^(beta+1): that power overflows long before D does. The window's sum is taken
    as `size` shifted additions; differences of a running sum would need two, but subtract large numbers where a
    neighbour is large. x has shape (N, C, ...) with three axes or more, y the same.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LocalResponseNorm.html; Krizhevsky, Sutskever and
    Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012, section 3.3.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size = whole_number("LocalResponseNorm", 1, size=size)
        self.alpha, self.beta, self.k = plain((alpha, beta, k))

    def extra_repr(self) -> str:
        """Return the arguments."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"

    @beyond_the_finite()
    def forward(self, input: Array) -> tuple[Array, tuple[Array, Array]]:
        """Return y and `saved` = (x, D). Raises ValueError for fewer than three axes."""
        check_array(input, "LocalResponseNorm")
        if input.ndim < 3:
            raise ValueError(f"LocalResponseNorm takes (N, C, ...), three axes or more, not shape {input.shape}")
        before, after = self.size // 2, (self.size - 1) // 2
        D = self.k + self.alpha * (_window_sum(input * input, before, after) / self.size)  # (N, C, ...)
        return input / D**self.beta, (input, D)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: tuple[Array, Array], *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        x, D = saved
        check_gradient(grad_output, x.shape, x.dtype, "LocalResponseNorm")
        if not input_grad:
            return None
        before, after = (self.size - 1) // 2, self.size // 2
        y = x / D**self.beta
        through_D = _window_sum(grad_output * y / D, before, after)  # (N, C, ...)
        grad_x: Array = grad_output / D**self.beta - 2 * self.alpha * self.beta / self.size * x * through_D
        return grad_x


def _window_sum(x: Array, before: int, after: int) -> Array:
    """Return sum_i x[:, i] for each channel c, over those i from c - before to c + after that exist."""
    beyond = [(0, 0), (before, after)] + [(0, 0)] * (x.ndim - 2)
    padded = np.pad(x, beyond)  # (N, before + C + after, ...)
    total: Array = np.add.reduce([padded[:, shift : shift + x.shape[1]] for shift in range(before + 1 + after)])
    return total
