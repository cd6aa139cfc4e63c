"""The transformer's decoder: every position looks at the positions of its own sequence, and at the encoder's output."""

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


class TransformerDecoderLayer(Module):
    """Self-attention, attention to the memory, then a network for each position alone; each added and normalised.

    With a(x) = dropout1(self_attn(x, x, x)), c(x, m) = dropout2(multihead_attn(x, m, m)) for the memory m, and
    f(x) = dropout3(linear2(dropout(activation(linear1(x))))):

        norm_first=False                        norm_first=True
        u = norm1(x + a(x))                     u = x + a(norm1(x))
        v = norm2(u + c(u, m))                  v = u + c(norm2(u), m)
        y = norm3(v + f(v))                     y = v + f(norm3(v))

    Back, with J_h' g for the gradient that `backward` of h makes of g, as in TransformerEncoderLayer; c has two inputs
    and two gradients:

        p     = J_norm3' g                      dL/dv = g + J_norm3' J_f' g
        dL/dv = p + J_f' p                      dL/du = dL/dv + J_norm2' J_c,x' dL/dv
        q     = J_norm2' dL/dv                  dL/dm = J_c,m' dL/dv
        dL/du = q + J_c,x' q                    dL/dx = dL/du + J_norm1' J_a' dL/du
        dL/dm = J_c,m' q
        r     = J_norm1' dL/du                  J_c,x' = grad_query, J_c,m' = grad_key + grad_value
        dL/dx = r + J_a' r                      J_a'   = grad_query + grad_key + grad_value

    m is added to nothing and not normalised, so dL/dm is the attention's alone.

    x and y are (T, N, d_model), m (S, N, d_model); with batch_first N comes first, or there is no N. Masks are
    MultiheadAttention's: True means *not* to be attended to. Dropout draws in the order of the formulas: the weights of
    self_attn, dropout1, the weights of multihead_attn, dropout2, dropout, dropout3, all from `generator`, which before
    has drawn the initial values of self_attn, multihead_attn, linear1 and linear2. `activation` is
    TransformerEncoderLayer's.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerDecoderLayer.html; Vaswani et al.,
    "Attention Is All You Need", 2017.
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
        unsupported("TransformerDecoderLayer", device=device)
        generator = np.random.default_rng() if generator is None else generator
        self.self_attn, self.multihead_attn = (
            MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype, generator=generator)
            for _ in range(2)
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype, generator=generator)
        self.dropout = Dropout(dropout, generator=generator)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype, generator=generator)
        self.norm_first = norm_first
        self.norm1: Module = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2: Module = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm3: Module = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1 = Dropout(dropout, generator=generator)
        self.dropout2 = Dropout(dropout, generator=generator)
        self.dropout3 = Dropout(dropout, generator=generator)
        self.activation = activation_of(activation, "TransformerDecoderLayer")

    @property
    def feed_forward(self) -> Module:
        """f: the modules stand side by side in the layer, as in torch, and here in their order."""
        return Sequential(self.linear1, self.activation, self.dropout, self.linear2, self.dropout3)

    @beyond_the_finite()
    def forward(
        self,
        tgt: Array,
        memory: Array,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> tuple[Array, Any]:
        """Return y, of the shape of tgt, and `saved`, of the six parts in the order of the formulas."""
        x, m = tgt, memory
        masks = (tgt_mask, tgt_key_padding_mask, tgt_is_causal)
        memory_masks = (memory_mask, memory_key_padding_mask, memory_is_causal)
        if self.norm_first:
            h, saved_norm1 = self.norm1.forward(x)
            a, saved_a = attention_block(self.self_attn, self.dropout1, h, h, *masks)
            u = x + a
            h, saved_norm2 = self.norm2.forward(u)
            c, saved_c = attention_block(self.multihead_attn, self.dropout2, h, m, *memory_masks)
            v = u + c
            h, saved_norm3 = self.norm3.forward(v)
            f, saved_f = self.feed_forward.forward(h)
            y = v + f
        else:
            a, saved_a = attention_block(self.self_attn, self.dropout1, x, x, *masks)
            u, saved_norm1 = self.norm1.forward(x + a)
            c, saved_c = attention_block(self.multihead_attn, self.dropout2, u, m, *memory_masks)
            v, saved_norm2 = self.norm2.forward(u + c)
            f, saved_f = self.feed_forward.forward(v)
            y, saved_norm3 = self.norm3.forward(v + f)
        return y, (saved_a, saved_norm1, saved_c, saved_norm2, saved_f, saved_norm3)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Any, *, input_grad: bool = True) -> tuple[Array | None, Array]:
        """Return grad_tgt and grad_memory; every part adds to its own parameters' gradients."""
        saved_a, saved_norm1, saved_c, saved_norm2, saved_f, saved_norm3 = saved
        g = grad_output
        if self.norm_first:
            grad_v = g + self.norm3.backward(self.feed_forward.backward(g, saved_f), saved_norm3)
            grad_h, grad_m = attention_block_backward(self.multihead_attn, self.dropout2, grad_v, saved_c)
            grad_u = grad_v + self.norm2.backward(grad_h, saved_norm2)
            grad_h = sum(attention_block_backward(self.self_attn, self.dropout1, grad_u, saved_a))
            grad_x = self.norm1.backward(grad_h, saved_norm1, input_grad=input_grad)
            return (grad_u + grad_x if input_grad else None), grad_m
        p = self.norm3.backward(g, saved_norm3)
        grad_v = p + self.feed_forward.backward(p, saved_f)
        q = self.norm2.backward(grad_v, saved_norm2)
        grad_u, grad_m = attention_block_backward(self.multihead_attn, self.dropout2, q, saved_c)
        r = self.norm1.backward(q + grad_u, saved_norm1)
        grad_a = sum(attention_block_backward(self.self_attn, self.dropout1, r, saved_a))
        return (r + grad_a if input_grad else None), grad_m


class TransformerDecoder(Module):
    """y = norm(layer_L(... layer_1(x, m) ..., m)): L copies of one layer, all of which read the memory m.

    Chain rule: the gradient of x walks the layers from the last to the first; m was read by each of them, so dL/dm is
    the sum of what they return for it.

    The copies start with the same parameters, those of `decoder_layer`, as in torch. An activation that is a module is
    copied along; in torch 2.13, the copies compute with relu in its place. A layer is any module with
    `forward(x, m, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal,
    memory_is_causal)`. The masks go to every layer, and have no gradient here. With `tgt_is_causal` None, torch looks
    whether the mask is the causal one, to choose a faster kernel; the numbers are the same, and None is False here.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerDecoder.html
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self.layers = copies(decoder_layer, num_layers, "TransformerDecoder")
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        tgt: Array,
        memory: Array,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> tuple[Array, Any]:
        """Return y, of the shape of tgt, and `saved` = what each layer saved, and the norm."""
        options = {
            "tgt_mask": tgt_mask,
            "memory_mask": memory_mask,
            "tgt_key_padding_mask": tgt_key_padding_mask,
            "memory_key_padding_mask": memory_key_padding_mask,
            "tgt_is_causal": bool(tgt_is_causal),
            "memory_is_causal": memory_is_causal,
        }
        x, saved, saved_norm = tgt, [], None
        for layer in self.layers:
            x, saved_here = layer.forward(x, memory, **options)
            saved.append(saved_here)
        if self.norm is not None:
            x, saved_norm = self.norm.forward(x)
        return x, (saved, saved_norm)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Any, *, input_grad: bool = True) -> tuple[Array | None, Any]:
        """Return grad_tgt and grad_memory."""
        saved_layers, saved_norm = saved
        grad = grad_output if self.norm is None else self.norm.backward(grad_output, saved_norm)
        grad_memory: Any = 0
        for index, layer in reversed(list(enumerate(self.layers))):
            grad, grad_here = layer.backward(grad, saved_layers[index], input_grad=input_grad or index > 0)
            grad_memory = grad_memory + grad_here
        return grad, grad_memory
