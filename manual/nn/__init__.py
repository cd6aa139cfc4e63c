"""torch.nn by hand: the same class names, arguments, shapes and state-dict keys, for numpy arrays."""

from manual.module import Module, Parameter
from manual.nn.activation import GELU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from manual.nn.container import Sequential
from manual.nn.dropout import Dropout
from manual.nn.flatten import Flatten
from manual.nn.linear import Identity, Linear
from manual.nn.loss import BCELoss, BCEWithLogitsLoss, MSELoss
from manual.nn.normalization import LayerNorm
from manual.nn.rnn import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GELU",
    "BCELoss",
    "BCEWithLogitsLoss",
    "Dropout",
    "Flatten",
    "GRUCell",
    "Identity",
    "LSTMCell",
    "LayerNorm",
    "Linear",
    "MSELoss",
    "Module",
    "Parameter",
    "RNNCell",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
