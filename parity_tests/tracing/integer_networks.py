"""Random networks whose weights, inputs and targets are small integers, so that every number in them is one.

Floating-point arithmetic on integers that fit its mantissa is exact in any order of summation. What is not in manual.nn
is written here, after the same contract.
"""

import numpy as np
import torch

import manual.nn
from manual.module import Module, Parameter


class ReLU(Module):
    """y = max(x, 0); dy/dx is 1 where x > 0, else 0, at 0 as well."""

    def forward(self, x):
        return np.where(x > 0, x, np.zeros_like(x)), x > 0

    def backward(self, grad_output, saved, *, input_grad=True):
        return grad_output * saved


class Square(Module):
    """y = x^2; dy/dx = 2 x."""

    def forward(self, x):
        return x * x, x

    def backward(self, grad_output, saved, *, input_grad=True):
        return grad_output * 2 * saved


class Sum(Module):
    """y = sum over the last axis, which stays as one entry; dy/dx_i = 1."""

    def forward(self, x):
        return x.sum(axis=-1, keepdims=True), x.shape

    def backward(self, grad_output, saved, *, input_grad=True):
        return np.broadcast_to(grad_output, saved).copy()


class Residual(Module):
    """y = x + f(x): two ways lead to x, and their gradients add."""

    def __init__(self, inner):
        self.inner = inner

    def forward(self, x):
        y, saved = self.inner.forward(x)
        return x + y, saved

    def backward(self, grad_output, saved, *, input_grad=True):
        return grad_output + self.inner.backward(grad_output, saved)


class Conv2d(Module):
    """y[n,o,i,j] = b[o] + sum over c,u,v of x[n,c,si+u,sj+v] W[o,c,u,v], with the stride s.

    dL/dW[o,c,u,v] sums g[n,o,i,j] x[n,c,si+u,sj+v] over n,i,j; g W[o,c,u,v] goes back to the x that it multiplied.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, dtype=np.float64):
        self.weight = Parameter(np.zeros((out_channels, in_channels, kernel_size, kernel_size), dtype))
        self.bias = Parameter(np.zeros(out_channels, dtype))
        self.stride = stride

    def _windows(self, x, rows, columns):
        """Yield u, v and the entries of x that meet W[:,:,u,v]."""
        s, size = self.stride, self.weight.shape[-1]
        for u, v in np.ndindex(size, size):
            yield u, v, x[:, :, u : u + s * rows : s, v : v + s * columns : s]

    def forward(self, x):
        rows, columns = ((length - self.weight.shape[-1]) // self.stride + 1 for length in x.shape[2:])
        y = np.zeros((len(x), len(self.bias.data), rows, columns), x.dtype) + self.bias.data[:, None, None]
        for u, v, part in self._windows(x, rows, columns):
            y += np.einsum("nchw,oc->nohw", part, self.weight.data[:, :, u, v])
        return y, x

    def backward(self, grad_output, saved, *, input_grad=True):
        grad_x, grad_weight = np.zeros_like(saved), np.zeros_like(self.weight.data)
        size = grad_output.shape[2:]
        for (u, v, part), (_, _, back) in zip(self._windows(saved, *size), self._windows(grad_x, *size), strict=True):
            grad_weight[:, :, u, v] = np.einsum("nohw,nchw->oc", grad_output, part)
            back += np.einsum("nohw,oc->nchw", grad_output, self.weight.data[:, :, u, v])
        self.weight.accumulate(grad_weight)
        self.bias.accumulate(grad_output.sum(axis=(0, 2, 3)))
        return grad_x


class TorchSquare(torch.nn.Module):
    def forward(self, x):
        return x * x


class TorchSum(torch.nn.Module):
    def forward(self, x):
        return x.sum(dim=-1, keepdim=True)


class TorchResidual(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


class By:
    """The layers of one side, by one set of names."""

    def __init__(self, nn, relu, square, total, residual, conv):
        self.Linear, self.Flatten, self.Sequential, self.MSELoss = nn.Linear, nn.Flatten, nn.Sequential, nn.MSELoss
        self.ReLU, self.Square, self.Sum, self.Residual, self.Conv2d = relu, square, total, residual, conv


HAND = By(manual.nn, ReLU, Square, Sum, Residual, Conv2d)
TORCH = By(torch.nn, torch.nn.ReLU, TorchSquare, TorchSum, TorchResidual, torch.nn.Conv2d)


def plan(random):
    """Return what `build` needs for a random network, and the shape of its input."""
    layers, batch = [], int(random.integers(1, 6))
    if random.random() < 0.4:
        c, size = (int(random.integers(1, 4)), int(random.integers(4, 8)))
        shape = (batch, c, size, size)
        for _ in range(int(random.integers(1, 3))):
            kernel, stride = int(random.integers(1, min(3, size) + 1)), int(random.integers(1, 3))
            out = int(random.integers(1, 4))
            layers += [("conv", c, out, kernel, stride), ("relu",)]
            c, size = out, (size - kernel) // stride + 1
        layers.append(("flatten",))
        width = c * size * size
    else:
        width = int(random.integers(1, 9))
        shape = (batch, width)
    for _ in range(int(random.integers(1, 4))):
        out = int(random.integers(1, 7))
        layers += [("linear", width, out), ("relu",) if random.random() < 0.7 else ("residual", out)]
        width = out
    layers.append([("square",), ("sum",), ("linear", width, 2)][int(random.integers(3))])
    return layers, shape


def build(side, layers, dtype):
    """Return the network that a plan describes, on one side; its weights are still to be loaded."""

    def layer(kind, *sizes):
        if kind == "conv":
            return side.Conv2d(*sizes, dtype=dtype)
        if kind == "residual":
            return side.Residual(side.Sequential(side.Linear(*sizes, *sizes, dtype=dtype), side.ReLU()))
        if kind == "linear":
            return side.Linear(*sizes, dtype=dtype)
        return {"relu": side.ReLU, "flatten": side.Flatten, "square": side.Square, "sum": side.Sum}[kind]()

    return side.Sequential(*(layer(*entry) for entry in layers))
