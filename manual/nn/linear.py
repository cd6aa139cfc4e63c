"""Linear layers, and the layer that does nothing."""

import math

import numpy as np
from numpy.typing import DTypeLike

from manual.module import Array, Module, Parameter, check_array, unsupported


class Identity(Module):
    """y = x; any arguments are accepted and unused, as in torch.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Identity.html
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def forward(self, x: Array) -> tuple[Array, None]:
        """Return x itself and nothing saved."""
        check_array(x, "Identity")
        return x, None

    def backward(self, grad_output: Array, saved: None, *, input_grad: bool = True) -> Array | None:
        """Return grad_output itself: dy/dx = 1."""
        return grad_output if input_grad else None


class Linear(Module):
    """y = x W^T + b, with `weight` W of shape (out_features, in_features) and `bias` b (out_features,).

    Written out for sample n and unit o: y[n,o] = sum_i x[n,i] W[o,i] + b[o]. Hence

        dy[n,o]/dx[n,i] = W[o,i]       dL/dx[n,i] = sum_o g[n,o] W[o,i]     = (g W)[n,i]
        dy[n,o]/dW[o,i] = x[n,i]       dL/dW[o,i] = sum_n g[n,o] x[n,i]     = (g^T x)[o,i]
        dy[n,o]/db[o]   = 1            dL/db[o]   = sum_n g[n,o]

    with g = dL/dy. The sums over n stand there because every sample went through the same W and b.

    x has shape (..., in_features), y (..., out_features). The initial values are torch's: both uniform in
    +-1/sqrt(in_features), drawn from `generator`.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        unsupported("Linear", device=device)
        if in_features < 0 or out_features < 0:
            raise ValueError(f"Linear({in_features}, {out_features}): a number of features is 0 or above")
        self.in_features, self.out_features = in_features, out_features
        generator = np.random.default_rng() if generator is None else generator
        bound = 1 / np.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(generator.uniform(-bound, bound, (out_features, in_features)).astype(dtype))
        self.bias = Parameter(generator.uniform(-bound, bound, out_features).astype(dtype)) if bias else None

    def extra_repr(self) -> str:
        """Return the sizes, and whether there is a bias."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

    def forward(self, x: Array) -> tuple[Array, Array]:
        """Return y (..., out_features) and `saved` = x.

        Raises TypeError for another dtype than the weight's and ValueError for another last axis.
        """
        check_array(x, "Linear", self.weight.dtype)
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"Linear takes (..., {self.in_features}), but was given an input of shape {x.shape}")
        y = x @ self.weight.data.mT  # (..., out)
        if self.bias is not None:
            y = y + self.bias.data
        return y, x

    def backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> Array | None:
        """Return grad_input (..., in_features); add to the gradients of weight and bias."""
        N = math.prod(saved.shape[:-1])  # not -1, which is undecided where there are no features
        x = saved.reshape(N, self.in_features)  # (N, in): every axis but the last is a batch axis
        g = grad_output.reshape(N, self.out_features)  # (N, out)
        self.weight.accumulate(g.T @ x)  # (out, in)
        if self.bias is not None:
            self.bias.accumulate(g.sum(axis=0))  # (out,)
        return grad_output @ self.weight.data if input_grad else None
