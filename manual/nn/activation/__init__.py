"""Activations, by concept: torch has them in one file, torch/nn/modules/activation.py."""

from manual.nn.activation.elementwise import Elementwise
from manual.nn.activation.erf import erf, erfc
from manual.nn.activation.gated import SiLU, silu
from manual.nn.activation.gelu import GELU, gelu
from manual.nn.activation.rectifier import ReLU, relu
from manual.nn.activation.sigmoid import Sigmoid, sigmoid
from manual.nn.activation.softmax import Softmax, softmax, softmax_backward
from manual.nn.activation.tanh import Tanh

__all__ = [
    "GELU",
    "Elementwise",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "erf",
    "erfc",
    "gelu",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softmax_backward",
]
