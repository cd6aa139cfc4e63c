"""Normalisation within a sample, as in torch/nn/modules/normalization.py; the mechanism is in `standardize`."""

from manual.nn.normalization.group_norm import GroupNorm
from manual.nn.normalization.last_axes import LayerNorm, RMSNorm
from manual.nn.normalization.local_response import LocalResponseNorm

__all__ = ["GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]
