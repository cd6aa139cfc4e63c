"""What encoder and decoder layers are made of, and how a layer becomes a stack of layers."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from manual.module import Array, Module
from manual.nn.activation import GELU, ReLU, gelu, relu
from manual.nn.attention import MultiheadAttention
from manual.nn.container import ModuleList

Activation = str | Module | Callable[[Array], Array]
Saved = tuple[Any, Any]


def attention_block(
    attention: MultiheadAttention,
    dropout: Module,
    x: Array,
    memory: Array,
    attn_mask: Array | None,
    key_padding_mask: Array | None,
    is_causal: bool,
) -> tuple[Array, Saved]:
    """Return dropout(attention(x, memory, memory)), and what both saved; memory is x itself in self-attention."""
    (a, _), saved_attention = attention.forward(
        x, memory, memory, key_padding_mask, need_weights=False, attn_mask=attn_mask, is_causal=is_causal
    )
    y, saved_dropout = dropout.forward(a)
    return y, (saved_attention, saved_dropout)


def attention_block_backward(
    attention: MultiheadAttention, dropout: Module, grad_output: Array, saved: Saved
) -> tuple[Any, Array]:
    """Return grad_x, and grad_memory = grad_key + grad_value, since the memory is read as both."""
    saved_attention, saved_dropout = saved
    grad_a = dropout.backward(grad_output, saved_dropout)
    grad_x, grad_key, grad_value = attention.backward((grad_a, None), saved_attention)
    return grad_x, grad_key + grad_value


def activation_of(activation: Activation, who: str) -> Module:
    """Return the module of 'relu', 'gelu', of the functions of these names, or the one that is given.

    Raises ValueError for another name, and NotImplementedError for another function: it has no backward.
    """
    if isinstance(activation, Module):
        return activation
    if activation in ("relu", relu):
        return ReLU()
    if activation in ("gelu", gelu):
        return GELU()
    if isinstance(activation, str):
        raise ValueError(f"{who}: activation is 'relu', 'gelu' or a module, not {activation!r}")
    raise NotImplementedError(
        f"{who} does not support activation={activation!r} here: a function has no backward; give a module, nn.SiLU()"
    )


def copies(layer: Module, number: int, who: str) -> ModuleList:
    """Return `number` deep copies of the layer, all with the parameters that it has, as torch's stacks do.

    The copies go on drawing from the layer's generator, one after the other: copied along, it would give all of them
    the same masks.
    """
    if number < 1:
        raise ValueError(f"{who}: num_layers is 1 or above, not {number}")
    generators = [part.generator for _, part in layer.named_modules() if hasattr(part, "generator")]
    shared: dict[int, np.random.Generator] = {id(generator): generator for generator in generators}
    return ModuleList(copy.deepcopy(layer, dict(shared)) for _ in range(number))
