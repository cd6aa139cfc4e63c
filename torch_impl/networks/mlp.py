"""The multi-layer perceptron: any list of layer sizes (the CSDN lesson's layered network)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


class MLP(nn.Sequential):
    """a_l = f(z_l), z_l = a_(l-1) W_l^T + b_l for every layer l; f is the sigmoid.

    `sizes` = [inputs, hidden ..., outputs]; `logits=True` leaves out the last sigmoid.
    """

    def __init__(
        self, sizes: Sequence[int], bias: bool = True, *, logits: bool = False, dtype: torch.dtype = torch.float32
    ) -> None:
        if len(sizes) < 2:
            raise ValueError(f"MLP needs at least two sizes, inputs and outputs, but was given {list(sizes)}")
        modules: list[nn.Module] = []
        for in_features, out_features in pairwise(sizes):
            modules += [nn.Linear(in_features, out_features, bias, dtype=dtype), nn.Sigmoid()]
        super().__init__(*(modules[:-1] if logits else modules))
