"""The recurrent modules under one set of names, their states, and numbers of a size that keeps gates from their ends.

The steps of a recurrent network stand one behind the other: each multiplies the rounding of its gates, of which 1 - y
keeps the less the nearer y is to 1. With parameters and inputs of standard deviation 0.5, hand and autograd were
measured at most 4 times as far from the truth as each other, or as one unit (8,000 tensors each in float32, 1,300 in
float64); with 1, it is up to 8. Gates at their ends have tests of their own.
"""

from functools import partial

import numpy as np

from parity_tests import parity

check = partial(parity.check, spread=0.5)
check_module = partial(parity.check_module, spread=0.5)

CELLS = {
    "tanh": lambda nn, *sizes, **options: nn.RNNCell(*sizes, **options),
    "relu": lambda nn, *sizes, **options: nn.RNNCell(*sizes, nonlinearity="relu", **options),
    "lstm": lambda nn, *sizes, **options: nn.LSTMCell(*sizes, **options),
    "gru": lambda nn, *sizes, **options: nn.GRUCell(*sizes, **options),
}
LAYERS = {
    "tanh": lambda nn, *sizes, **options: nn.RNN(*sizes, **options),
    "relu": lambda nn, *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "lstm": lambda nn, *sizes, **options: nn.LSTM(*sizes, **options),
    "projected": lambda nn, *sizes, **options: nn.LSTM(*sizes, proj_size=1, **options),
    "gru": lambda nn, *sizes, **options: nn.GRU(*sizes, **options),
}


def half_normal(*shape, seed=0):
    """Normal numbers of standard deviation 0.5."""
    return 0.5 * parity.normal(*shape, seed=seed)


def cell_state(kind, *shape, seed=0):
    """h, or (h, c), of the shape (N, H) or (H,)."""
    h = half_normal(*shape, seed=seed)
    return (h, half_normal(*shape, seed=seed + 1)) if kind == "lstm" else h


def layer_state(kind, options, *batch, hidden=2, seed=0):
    """The initial state for a layer with these options."""
    count = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    h = half_normal(count, *batch, 1 if kind == "projected" else hidden, seed=seed)
    return (h, half_normal(count, *batch, hidden, seed=seed + 1)) if kind in ("lstm", "projected") else h


def as_float32(state):
    """A state in float32."""
    return tuple(part.astype(np.float32) for part in state) if isinstance(state, tuple) else state.astype(np.float32)
