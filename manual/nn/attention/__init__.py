"""Attention, by concept. torch has it among the activations, which here are the functions of one input alone."""

from manual.nn.attention.attend import attend, attend_backward, softmax_or_zero
from manual.nn.attention.masks import causal_mask
from manual.nn.attention.multihead import MultiheadAttention
from manual.nn.attention.scaled_dot_product import (
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward,
)

__all__ = [
    "MultiheadAttention",
    "attend",
    "attend_backward",
    "causal_mask",
    "scaled_dot_product_attention",
    "scaled_dot_product_attention_backward",
    "softmax_or_zero",
]
