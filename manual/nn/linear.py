"""Linear and bilinear layers, and the layer that does nothing."""

import math

import numpy as np
from numpy.typing import DTypeLike

from manual.arguments import whole_number
from manual.arithmetic import beyond_the_finite, sum_over
from manual.module import Array, Module, Parameter, check_array, check_gradient, unsupported


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
        self.in_features = in_features = whole_number("Linear", 0, in_features=in_features)
        self.out_features = out_features = whole_number("Linear", 0, out_features=out_features)
        generator = np.random.default_rng() if generator is None else generator
        bound = 1 / np.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(generator.uniform(-bound, bound, (out_features, in_features)).astype(dtype))
        self.bias = Parameter(generator.uniform(-bound, bound, out_features).astype(dtype)) if bias else None

    def extra_repr(self) -> str:
        """Return the sizes, and whether there is a bias."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"

    @beyond_the_finite()
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

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Array, *, input_grad: bool = True) -> Array | None:
        """Return grad_input (..., in_features); add to the gradients of weight and bias."""
        check_gradient(grad_output, (*saved.shape[:-1], self.out_features), self.weight.dtype, "Linear")
        N = math.prod(saved.shape[:-1])  # not -1, which is undecided where there are no features
        x = saved.reshape(N, self.in_features)  # (N, in): every axis but the last is a batch axis
        g = grad_output.reshape(N, self.out_features)  # (N, out)
        self.weight.accumulate(g.T @ x)  # (out, in)
        if self.bias is not None:
            self.bias.accumulate(sum_over(g, (0,)))  # (out,)
        return grad_output @ self.weight.data if input_grad else None


class Bilinear(Module):
    """y = x1^T W x2 + b for each output, `weight` W (out_features, in1_features, in2_features), `bias` (out_features,).

    Written out for sample n and unit o:

        y[n,o] = sum_i sum_j x1[n,i] W[o,i,j] x2[n,j] + b[o]

    It is linear in each of x1, x2 and W while the other two are held, so the derivative by one of them is the product
    of the other two. With g = dL/dy:

        dy[n,o]/dx1[n,i]  = sum_j W[o,i,j] x2[n,j]      dL/dx1[n,i]  = sum_o sum_j g[n,o] W[o,i,j] x2[n,j]
        dy[n,o]/dx2[n,j]  = sum_i x1[n,i] W[o,i,j]      dL/dx2[n,j]  = sum_o sum_i g[n,o] x1[n,i] W[o,i,j]
        dy[n,o]/dW[o,i,j] = x1[n,i] x2[n,j]             dL/dW[o,i,j] = sum_n g[n,o] x1[n,i] x2[n,j]
        dy[n,o]/db[o]     = 1                           dL/db[o]     = sum_n g[n,o]

    All three sums have the same four indices n, o, i, j: each gradient leaves out one operand of g, x1, W, x2, and
    sums over the indices that this operand lacks. `einsum` says just that.

    x1 has shape (..., in1_features), x2 (..., in2_features) with the same axes before, y (..., out_features). The
    initial values are torch's: both uniform in +-1/sqrt(in1_features), drawn from `generator`, the weight first.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Bilinear.html
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        unsupported("Bilinear", device=device)
        self.in1_features = in1_features = whole_number("Bilinear", 1, in1_features=in1_features)
        self.in2_features = in2_features = whole_number("Bilinear", 0, in2_features=in2_features)
        self.out_features = out_features = whole_number("Bilinear", 0, out_features=out_features)
        generator = np.random.default_rng() if generator is None else generator
        bound = 1 / np.sqrt(in1_features)
        weight = generator.uniform(-bound, bound, (out_features, in1_features, in2_features))
        self.weight = Parameter(weight.astype(dtype))
        self.bias = Parameter(generator.uniform(-bound, bound, out_features).astype(dtype)) if bias else None

    def extra_repr(self) -> str:
        """Return the sizes, and whether there is a bias."""
        inputs = f"in1_features={self.in1_features}, in2_features={self.in2_features}"
        return f"{inputs}, out_features={self.out_features}, bias={self.bias is not None}"

    @beyond_the_finite()
    def forward(self, input1: Array, input2: Array) -> tuple[Array, tuple[Array, Array]]:
        """Return y (..., out_features) and `saved` = (x1, x2).

        Raises TypeError for another dtype than the weight's and ValueError for other shapes.
        """
        features = (self.in1_features, self.in2_features)
        for x, size, name in zip((input1, input2), features, ("input1", "input2"), strict=True):
            check_array(x, f"Bilinear's {name}", self.weight.dtype)
            if x.ndim == 0 or x.shape[-1] != size:
                raise ValueError(f"Bilinear takes {name} of (..., {size}), but was given one of shape {x.shape}")
        if input1.shape[:-1] != input2.shape[:-1]:
            shapes = f"{input1.shape} and {input2.shape}"
            raise ValueError(f"Bilinear takes two inputs alike but for the last axis, not {shapes}: none is repeated")
        y = np.einsum("...i,oij,...j->...o", input1, self.weight.data, input2)  # (..., out)
        if self.bias is not None:
            y = y + self.bias.data
        return y, (input1, input2)

    @beyond_the_finite()
    def backward(
        self, grad_output: Array, saved: tuple[Array, Array], *, input_grad: bool = True
    ) -> tuple[Array | None, Array]:
        """Return (grad_input1, grad_input2), of the inputs' shapes; add to the gradients of weight and bias."""
        x1, x2 = saved
        check_gradient(grad_output, (*x1.shape[:-1], self.out_features), self.weight.dtype, "Bilinear")
        N = math.prod(x1.shape[:-1])
        g = grad_output.reshape(N, self.out_features)  # (N, out)
        rows1, rows2 = x1.reshape(N, self.in1_features), x2.reshape(N, self.in2_features)
        self.weight.accumulate(np.einsum("no,ni,nj->oij", g, rows1, rows2))  # (out, in1, in2)
        if self.bias is not None:
            self.bias.accumulate(sum_over(g, (0,)))  # (out,)
        grad_x1 = np.einsum("...o,oij,...j->...i", grad_output, self.weight.data, x2) if input_grad else None
        return grad_x1, np.einsum("...o,oij,...i->...j", grad_output, self.weight.data, x1)
