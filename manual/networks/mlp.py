"""The multi-layer perceptron: any list of layer sizes (the CSDN lesson's layered network)."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike

from manual.module import Module
from manual.nn import Linear, Sequential, Sigmoid


class MLP(Sequential):
    """a_l = f(z_l), z_l = a_(l-1) W_l^T + b_l for every layer l; f is the sigmoid.

    Backpropagation, with delta_l = dL/dz_l, a_0 = x and K layers:

        delta_K = dL/da_K f'(z_K)         delta_(l-1) = (delta_l W_l) f'(z_(l-1))
        dL/dW_l = delta_l^T a_(l-1)       dL/db_l = sum over samples of delta_l

    Nothing of that is written here: it is what Sequential, Linear and Sigmoid give when they are chained.

    `sizes` = [inputs, hidden ..., outputs]; `bias=False` leaves every b out. With `logits=True` the last
    sigmoid is left to the loss (BCEWithLogitsLoss) or out altogether (a linear output). The state-dict keys
    are "0.weight", "0.bias", "2.weight", ...: layer l is module 2 (l - 1), its sigmoid the next.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        bias: bool = True,
        *,
        logits: bool = False,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(f"MLP needs at least two sizes, inputs and outputs, but was given {list(sizes)}")
        modules: list[Module] = []
        for in_features, out_features in pairwise(sizes):
            modules += [Linear(in_features, out_features, bias, dtype=dtype, generator=generator), Sigmoid()]
        super().__init__(*(modules[:-1] if logits else modules))
