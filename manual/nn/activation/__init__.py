"""Activations, by concept: torch has them in one file, torch/nn/modules/activation.py."""

from manual.nn.activation.elementwise import Elementwise
from manual.nn.activation.erf import erf, erfc
from manual.nn.activation.exponential import CELU, ELU, SELU
from manual.nn.activation.gated import GLU, Mish, SiLU, silu
from manual.nn.activation.gelu import GELU, gelu
from manual.nn.activation.hard import Hardsigmoid, Hardswish, Hardtanh, ReLU6, Threshold
from manual.nn.activation.rectifier import LeakyReLU, PReLU, ReLU, RReLU, relu
from manual.nn.activation.shrink import Hardshrink, Softshrink
from manual.nn.activation.sigmoid import LogSigmoid, Sigmoid, Softplus, sigmoid, softplus
from manual.nn.activation.softmax import LogSoftmax, Softmax, Softmax2d, Softmin, log_softmax, softmax, softmax_backward
from manual.nn.activation.tanh import Softsign, Tanh, Tanhshrink, tanh

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Elementwise",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "erf",
    "erfc",
    "gelu",
    "log_softmax",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softmax_backward",
    "softplus",
    "tanh",
]
