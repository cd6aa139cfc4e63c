"""Rectifiers: the identity above 0, a line of another slope below."""

import numpy as np
from numpy.typing import DTypeLike

from manual.arguments import real_number, whole_number
from manual.arithmetic import beyond_the_finite, sum_over
from manual.module import Array, Module, Parameter, check_array, check_gradient, unsupported
from manual.nn.activation.elementwise import Elementwise


def relu(x: Array) -> Array:
    """Return 0 where x is 0 or below, and x elsewhere; NaN stays."""
    return np.where(x.real <= 0, 0, x)


class ReLU(Elementwise):
    """y = max(x, 0).

    Partials: dy/dx = 1 for x > 0 and 0 for x < 0. At x = 0 (and at -0) the two sides differ; torch takes 0.

    Backward: grad_input = 0 where x <= 0, grad_output elsewhere. NaN is not <= 0: it passes, and so does its gradient.
    Since y <= 0 exactly where x <= 0, the output would tell as much as the input.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU.html
    """

    def __init__(self, inplace: bool = False) -> None:
        unsupported("ReLU", inplace=inplace or None)

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return relu(x)

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        return np.where(x <= 0, 0, grad_output)


class LeakyReLU(Elementwise):
    """y = x for x > 0 and a x elsewhere, with a = `negative_slope`: a unit that is off still learns.

    Partials: dy/dx = 1 for x > 0 and a for x < 0. At x = 0 (and at -0) torch takes a, and for NaN,
    which is not > 0.

    Backward: grad_input = grad_output where x > 0, a * grad_output elsewhere.

    y is max(x, a x) for a <= 1 alone, a below 0 included; for a >= 1 it is min(x, a x). The choice by the sign of x
    holds for every a.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html
    """

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        unsupported("LeakyReLU", inplace=inplace or None)
        self.negative_slope = float(negative_slope)

    def extra_repr(self) -> str:
        """Return the slope."""
        return f"negative_slope={self.negative_slope}"

    def function(self, x: Array) -> Array:
        """Return y, of the shape of x."""
        return np.where(x.real > 0, x, self.negative_slope * x)

    def gradient(self, grad_output: Array, x: Array) -> Array:
        """Return grad_output * dy/dx."""
        return np.where(x > 0, grad_output, self.negative_slope * grad_output)


class PReLU(Module):
    """y = x for x > 0 and a x elsewhere, where the slope a is learned: one for all, or one for each channel.

    `weight` is a, of shape (num_parameters,), 1 or the number of channels C; it starts at `init`. x has any shape for
    one slope, and (N, C, *) for several: axis 1 is the channels.

    Partials: dy/dx = 1 for x > 0 and a elsewhere (also at x = 0, as in torch); dy/da = 0 for x > 0 and x elsewhere.

    Backward: grad_input = grad_output where x > 0, a * grad_output elsewhere. One slope serves every sample and every
    place, so that with g = grad_output its gradient is a sum over all of them:

        dL/da[c] = sum over n and places p with x[n,c,p] <= 0 of g[n,c,p] x[n,c,p],

    and over the channels as well where there is one slope for all.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.PReLU.html; He et al. 2015,
    https://arxiv.org/abs/1502.01852
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: None = None, *, dtype: DTypeLike = np.float32
    ) -> None:
        unsupported("PReLU", device=device)
        self.num_parameters = whole_number("PReLU", 0, num_parameters=num_parameters)
        self.weight = Parameter(np.full(self.num_parameters, real_number("PReLU", init=init), dtype))

    def extra_repr(self) -> str:
        """Return the number of slopes."""
        return f"num_parameters={self.num_parameters}"

    @beyond_the_finite()
    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return y, of the shape of x, and `saved` = x.

        Raises TypeError for another dtype than the weight's and ValueError for another number of channels.
        """
        check_array(x, "PReLU", self.weight.dtype)
        channels = x.shape[1] if x.ndim > 1 else 1
        if self.num_parameters != 1 and channels != self.num_parameters:
            raise ValueError(
                f"PReLU({self.num_parameters}) takes (N, {self.num_parameters}, ...), but was given an input of shape "
                f"{x.shape}: axis 1 is the channels"
            )
        return np.where(x.real > 0, x, self._slope(x) * x), x

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x; add to the gradient of the weight."""
        x = saved
        check_gradient(grad_output, x.shape, x.dtype, "PReLU")
        grad_slope = np.where(x > 0, 0, grad_output * x)  # (N, C, *)
        if self.num_parameters == 1:
            self.weight.accumulate(grad_slope.sum().reshape(1))
        else:
            self.weight.accumulate(sum_over(grad_slope, (0, *range(2, x.ndim))))  # (C,)
        return np.where(x > 0, grad_output, self._slope(x) * grad_output) if input_grad else None

    def _slope(self, x: Array) -> Array:
        """Return a in the shape that meets its entries of x: (C, 1, ...) for (N, C, *), () without channels."""
        a = self.weight.data
        return a.reshape(-1, *[1] * (x.ndim - 2)) if x.ndim else a.reshape(())


class RReLU(Module):
    """y = x for x > 0 and a x elsewhere, where each a is drawn from [lower, upper); in evaluation, a is their middle.

    Partials: dy/dx = r, with r = 1 for x > 0 and r = a elsewhere, at x = 0 (and at -0) too, as in torch. The a are
    numbers that were drawn, and no function of x.

    Backward: grad_input = grad_output * r, with the r of forward: it is all that is saved. Drawn anew, it would be the
    gradient of another function.

    In training a = lower + (upper - lower) u, with one number u of [0, 1) drawn for every entry of x, also where x > 0
    and a is not used. For NaN r is 1 in training and a in evaluation, as in torch, which takes LeakyReLU there.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RReLU.html; Xu et al. 2015,
    https://arxiv.org/abs/1505.00853
    """

    def __init__(
        self,
        lower: float = 1.0 / 8,
        upper: float = 1.0 / 3,
        inplace: bool = False,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        unsupported("RReLU", inplace=inplace or None)
        if not lower <= upper:
            raise ValueError(f"RReLU(lower={lower}, upper={upper}): lower must not be above upper")
        self.lower, self.upper = lower, upper
        self.generator = np.random.default_rng() if generator is None else generator

    def extra_repr(self) -> str:
        """Return the two bounds."""
        return f"lower={self.lower}, upper={self.upper}"

    @beyond_the_finite()
    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return y and `saved` = r, both of the shape of x."""
        check_array(x, "RReLU")
        if self.training:
            slope = self.lower + (self.upper - self.lower) * self.generator.random(x.shape)
            r = np.where(x.real <= 0, slope, 1).astype(x.real.dtype)
        else:
            r = np.where(x.real > 0, 1, (self.lower + self.upper) / 2).astype(x.real.dtype)
        return r * x, r

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> Array | None:
        """Return grad_input, of the shape of x."""
        check_gradient(grad_output, saved.shape, saved.dtype, "RReLU")
        return grad_output * saved if input_grad else None
