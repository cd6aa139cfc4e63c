"""What the textbook form of a function loses to cancellation where torch's own does not.

GELU's 1 + erf(x) and softmax's p - y are right to one rounding of 1, not of their small result. To write them so is
no mistake. Each entry gives, from the result and the operation's arguments, the size whose rounding is lost.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

EPS = torch.finfo(torch.float64).eps
# Beyond these all forms of GELU, and of what is made with sigmoids, are 0 or x exactly, and nothing cancels.
GELU_ENDS, SIGMOID_ENDS = 9.0, 40.0


def _ones(out: Tensor, *args: Any) -> Tensor:
    return torch.ones_like(out)


def _of_grad(out: Tensor, grad: Tensor, *args: Any) -> Tensor:
    return grad.abs().expand_as(out)


def _gelu(out: Tensor, x: Tensor, *args: Any) -> Tensor:
    return x.clamp(min=-GELU_ENDS).abs()


def _mish(out: Tensor, x: Tensor, *args: Any) -> Tensor:
    return x.clamp(min=-SIGMOID_ENDS).abs()


def _gelu_backward(out: Tensor, grad: Tensor, x: Tensor, *args: Any) -> Tensor:
    # The tanh form's second term is x (1 - t^2) (1 + 3 * 0.044715 x^2) / 2.5: one rounding of 1 - t^2 is enlarged so.
    size = x.abs().clamp(max=GELU_ENDS)
    return grad.abs() * (1 + size + 0.1 * size**3)


def _mish_backward(out: Tensor, grad: Tensor, x: Tensor, *args: Any) -> Tensor:
    return grad.abs() * (1 + x.abs().clamp(max=SIGMOID_ENDS))


def _silu_backward(out: Tensor, grad: Tensor, x: Tensor, *args: Any) -> Tensor:
    return grad.abs() * torch.sigmoid(x) * (1 + x.abs().clamp(max=SIGMOID_ENDS))


def _softplus(out: Tensor, x: Tensor, beta: float = 1.0, *args: Any) -> Tensor:
    # torch leaves out log(1 + exp(-x)) above its threshold of 20, some 2e-9: the textbook form does not.
    exact = torch.logaddexp(torch.zeros_like(x), beta * x) / beta
    return 1 + (exact - out).abs() / EPS


def _softplus_backward(out: Tensor, grad: Tensor, x: Tensor, beta: float = 1.0, *args: Any) -> Tensor:
    return grad.abs() + (grad * torch.sigmoid(beta * x) - out).abs() / EPS


def _softmax_backward(out: Tensor, grad: Tensor, p: Tensor, axis: int, *args: Any) -> Tensor:
    return p * (grad.abs() + (grad * p).abs().sum(axis, keepdim=True))


def _log_softmax_backward(out: Tensor, grad: Tensor, logp: Tensor, axis: int, *args: Any) -> Tensor:
    return logp.exp() * grad.sum(axis, keepdim=True).abs()


FORMS: dict[str, Callable[..., Tensor]] = {
    "gelu": _gelu,
    "gelu_backward": _gelu_backward,
    "silu_backward": _silu_backward,
    "softplus": _softplus,
    "softplus_backward": _softplus_backward,
    "elu": _ones,
    "elu_backward": _of_grad,
    "mish": _mish,
    "mish_backward": _mish_backward,
    "log_sigmoid_forward": _ones,
    "log_sigmoid_backward": _of_grad,
    "expm1": _ones,
    "log1p": _ones,
    "_log_softmax": _ones,
    "_softmax_backward_data": _softmax_backward,
    "_log_softmax_backward_data": _log_softmax_backward,
}
