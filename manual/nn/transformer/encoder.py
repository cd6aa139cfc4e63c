"""The transformer's encoder: every position of a sequence looks at every other, layer after layer."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, unsupported
from manual.nn.activation import relu
from manual.nn.attention import MultiheadAttention
from manual.nn.container import Sequential
from manual.nn.dropout import Dropout
from manual.nn.linear import Linear
from manual.nn.normalization import LayerNorm
from manual.nn.transformer.parts import (
    Activation,
    activation_of,
    attention_block,
    attention_block_backward,
    copies,
)


class TransformerEncoderLayer(Module):
    """Self-attention, then a network for each position alone; each is added to what it was given, and normalised.

    With a(x) = dropout1(self_attn(x, x, x)) and f(x) = dropout2(linear2(dropout(activation(linear1(x))))):

        norm_first=False                        norm_first=True
        u = norm1(x + a(x))                     u = x + a(norm1(x))
        y = norm2(u + f(u))                     y = u + f(norm2(u))

    Back, with J_h' g for the gradient that `backward` of h makes of g. A sum hands its gradient to both summands, and
    what is read twice gets the sum of two gradients:

        p        = J_norm2' g                   dL/du = g + J_norm2' J_f' g
        dL/du    = p + J_f' p                   dL/dx = dL/du + J_norm1' J_a' dL/du
        q        = J_norm1' dL/du
        dL/dx    = q + J_a' q                   J_a' r = grad_query + grad_key + grad_value

    With norm_first=True, g reaches x unchanged beside all else, however many layers are stacked; with norm_first=False
    it goes through every norm, which is why such stacks want a learning rate that starts small (Xiong et al.).

    x and y are (T, N, d_model), (N, T, d_model) where batch_first, or (T, d_model). Masks are MultiheadAttention's:
    True means *not* to be attended to. `activation` is 'relu', 'gelu', one of the functions of these names, or a
    module, which may have parameters. `dropout` is of the attention's weights as well, and draws in the order of the
    formulas: weights, dropout1, dropout, dropout2, all from `generator`, which before has drawn the initial values of
    self_attn, linear1 and linear2. torch computes with fused kernels in evaluation without gradients; the numbers are
    the same.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoderLayer.html; Vaswani et al.,
    "Attention Is All You Need", 2017; Xiong et al., "On Layer Normalization in the Transformer Architecture", 2020.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        unsupported("TransformerEncoderLayer", device=device)
        generator = np.random.default_rng() if generator is None else generator
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype, generator=generator
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype, generator=generator)
        self.dropout = Dropout(dropout, generator=generator)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype, generator=generator)
        self.norm_first = norm_first
        self.norm1: Module = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2: Module = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1 = Dropout(dropout, generator=generator)
        self.dropout2 = Dropout(dropout, generator=generator)
        self.activation = activation_of(activation, "TransformerEncoderLayer")

    @property
    def feed_forward(self) -> Module:
        """f: the modules stand side by side in the layer, as in torch, and here in their order."""
        return Sequential(self.linear1, self.activation, self.dropout, self.linear2, self.dropout2)

    @beyond_the_finite()
    def forward(
        self,
        src: Array,
        src_mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        is_causal: bool = False,
    ) -> tuple[Array, Any]:
        """Return y, of the shape of src, and `saved`, of the four parts in the order in which they were run."""
        x, masks = src, (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            h, saved_norm1 = self.norm1.forward(x)
            a, saved_a = attention_block(self.self_attn, self.dropout1, h, h, *masks)
            u = x + a
            h, saved_norm2 = self.norm2.forward(u)
            f, saved_f = self.feed_forward.forward(h)
            y = u + f
        else:
            a, saved_a = attention_block(self.self_attn, self.dropout1, x, x, *masks)
            u, saved_norm1 = self.norm1.forward(x + a)
            f, saved_f = self.feed_forward.forward(u)
            y, saved_norm2 = self.norm2.forward(u + f)
        return y, (saved_a, saved_norm1, saved_f, saved_norm2)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Any, *, input_grad: bool = True) -> Array | None:
        """Return grad_src; every part adds to its own parameters' gradients."""
        saved_a, saved_norm1, saved_f, saved_norm2 = saved
        g = grad_output
        if self.norm_first:
            grad_u = g + self.norm2.backward(self.feed_forward.backward(g, saved_f), saved_norm2)
            grad_h = sum(attention_block_backward(self.self_attn, self.dropout1, grad_u, saved_a))
            grad_x = self.norm1.backward(grad_h, saved_norm1, input_grad=input_grad)
            return grad_u + grad_x if input_grad else None
        p = self.norm2.backward(g, saved_norm2)
        grad_u = p + self.feed_forward.backward(p, saved_f)
        q = self.norm1.backward(grad_u, saved_norm1)
        grad_a = sum(attention_block_backward(self.self_attn, self.dropout1, q, saved_a))
        return q + grad_a if input_grad else None


class TransformerEncoder(Module):
    """y = norm(layer_L(... layer_2(layer_1(x)))), with L copies of one layer, or without the norm.

    Chain rule: dL/dx = J_1' ... J_L' J_norm' g, so `backward` walks the layers from the last to the first.

    The copies start with the same parameters, those of `encoder_layer`, as in torch; initialise them anew where that is
    not wanted. A layer is any module with `forward(x, src_mask, src_key_padding_mask, is_causal)`.

    `mask` and `src_key_padding_mask` go to every layer, and have no gradient here. With `is_causal` None, torch looks
    whether the mask is the causal one, to choose a faster kernel; the numbers are the same, and None is False here.
    `enable_nested_tensor` and `mask_check` choose how torch skips padding in evaluation without gradients. Nothing is
    skipped here, so they change nothing; torch's fast path leaves 0 (or norm(0)) at positions that are padding.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoder.html
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        self.layers = copies(encoder_layer, num_layers, "TransformerEncoder")
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        src: Array,
        mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        is_causal: bool | None = None,
    ) -> tuple[Array, Any]:
        """Return y, of the shape of src, and `saved` = what each layer saved, and the norm."""
        x, saved, saved_norm = src, [], None
        for layer in self.layers:
            x, saved_here = layer.forward(
                x, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal)
            )
            saved.append(saved_here)
        if self.norm is not None:
            x, saved_norm = self.norm.forward(x)
        return x, (saved, saved_norm)

    def backward(self, grad_output: Array, saved: Any, *, input_grad: bool = True) -> Array | None:
        """Return grad_src."""
        saved_layers, saved_norm = saved
        grad: Array | None = grad_output if self.norm is None else self.norm.backward(grad_output, saved_norm)
        for index, layer in reversed(list(enumerate(self.layers))):
            grad = layer.backward(grad, saved_layers[index], input_grad=input_grad or index > 0)
        return grad
