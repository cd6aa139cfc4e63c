"""Recurrent networks: the steps, the recurrence through time, cells for one step and layers for a sequence."""

from manual.nn.rnn.cells import GRUCell, LSTMCell, RNNCell
from manual.nn.rnn.layers import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]
