"""RNN, LSTM and GRU: torch's arguments, and which step each runs."""

import numpy as np
from numpy.typing import DTypeLike

from manual.nn.rnn.base import RNNBase
from manual.nn.rnn.steps import ElmanStep, GRUStep, LSTMStep


class RNN(RNNBase):
    """Elman's network over a sequence; `(output, h_n), saved = rnn.forward(x, h_0)`.

        h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), or with relu for tanh

    Shapes, layers, directions and dropout: `RNNBase`. With z_t the argument of tanh, and t from the last step to the
    first (after the last one stands the gradient for h_n in the place of W_hh^T grad z_{t+1}),

        grad h_t = grad output_t + W_hh^T grad z_{t+1}          grad z_t = grad h_t (1 - h_t^2)
        grad W_ih = sum_t grad z_t x_t^T                        grad W_hh = sum_t grad z_t h_{t-1}^T
        grad b_ih = grad b_hh = sum_t grad z_t                  grad x_t = W_ih^T grad z_t

    for each sample, the sums also over the samples. Each step back multiplies the carry by W_hh^T and by tanh' <= 1:
    over many steps it fades, or, with a large W_hh, explodes.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(
            ElmanStep(nonlinearity),
            (input_size, hidden_size, num_layers),
            (bias, batch_first, bidirectional),
            dropout,
            device=device,
            dtype=dtype,
            generator=generator,
        )
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory over a sequence; `(output, (h_n, c_n)), saved = lstm.forward(x, (h_0, c_0))`.

        i, f, o = sigmoid(W_i* x_t + b_i* + W_h* h_{t-1} + b_h*)       g = tanh(W_ig x_t + b_ig + W_hg h_{t-1} + b_hg)
        c_t = f c_{t-1} + i g                                          h_t = o tanh(c_t)

    with a star for the gate's own letter, and all gates those of step t. Shapes, layers, directions and dropout:
    `RNNBase`. Two carries go back through time, one for h and one for c,

        grad h_t = grad output_t + W_hh^T grad p_{t+1}
        grad c_t = grad h_t o (1 - tanh^2 c_t) + grad c_{t+1} f_{t+1}

    from the gradients for h_n and c_n to those for h_0 and c_0. p = W_hh h + b_hh; its gradient, that is the four
    gates', is derived in `LSTMStep`, the sums over time in `manual/nn/rnn/recurrence.py`. The rows of the weights and
    biases are those of i, f, g and o, in this order.

    With proj_size > 0 the h that is shown is shorter, h_t = W_hr (o tanh c_t) of proj_size entries, and W_hh has fewer
    columns: grad W_hr = sum_t grad h_t (o tanh c_t)^T, and W_hr^T grad h_t goes on into the gates. From H. Sak,
    A. Senior, F. Beaufays, Long short-term memory based recurrent neural network architectures (2014).

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(
            LSTMStep(),
            (input_size, hidden_size, num_layers),
            (bias, batch_first, bidirectional),
            dropout,
            proj_size,
            device=device,
            dtype=dtype,
            generator=generator,
        )


class GRU(RNNBase):
    """Gated recurrent unit over a sequence; `(output, h_n), saved = gru.forward(x, h_0)`.

        r = sigmoid(W_ir x_t + b_ir + W_hr h_{t-1} + b_hr)        z = sigmoid(W_iz x_t + b_iz + W_hz h_{t-1} + b_hz)
        n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn))       h_t = (1 - z) n + z h_{t-1}

    Shapes, layers, directions and dropout: `RNNBase`. The carry through time has two terms, one through the products
    p_t = W_hh h_{t-1} + b_hh and one past them:

        grad h_t = grad output_t + W_hh^T grad p_{t+1} + grad h_{t+1} z_{t+1}

    The gates' gradients, how this differs from the paper's GRU and why b_hn has a gradient of its own: `GRUStep`; the
    sums over time: `manual/nn/rnn/recurrence.py`. The rows of weights and biases are those of r, z, n, in this order.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(
            GRUStep(),
            (input_size, hidden_size, num_layers),
            (bias, batch_first, bidirectional),
            dropout,
            device=device,
            dtype=dtype,
            generator=generator,
        )
