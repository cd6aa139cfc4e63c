"""The transformer: an encoder, and a decoder that reads what it made."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_array, unsupported
from manual.nn.activation import relu
from manual.nn.attention import causal_mask
from manual.nn.init import xavier_uniform_
from manual.nn.normalization import LayerNorm
from manual.nn.transformer.decoder import TransformerDecoder, TransformerDecoderLayer
from manual.nn.transformer.encoder import TransformerEncoder, TransformerEncoderLayer
from manual.nn.transformer.parts import Activation


class Transformer(Module):
    """y = decoder(tgt, m) with the memory m = encoder(src).

    src reaches L through m alone, and m through every layer of the decoder. With J' g for the gradient that `backward`
    makes of g:

        dL/dtgt, dL/dm = J_decoder' g
        dL/dsrc        = J_encoder' dL/dm

    src (S, N, d_model), tgt and y (T, N, d_model); with batch_first N comes first, or there is no N. The masks are
    MultiheadAttention's: True means *not* to be attended to, floats are added to the scores. To predict a sequence
    from its own beginning, tgt_mask has to be the causal one, `generate_square_subsequent_mask(T)`; it is not the
    default. In encoder and decoder, all layers are followed by one more norm, whatever norm_first says.

    A custom_encoder is a module with `forward(src, mask, src_key_padding_mask, is_causal)`, a custom_decoder one with
    TransformerDecoder's arguments; the other arguments are then not for it. As in torch, all parameters of two axes
    or more, theirs too, are drawn anew at the end by xavier_uniform_, in the order of `parameters()`; before, the
    layers have drawn theirs. With num_encoder_layers=L all layers start different therefore.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.Transformer.html; Vaswani et al., "Attention Is All
    You Need", 2017.
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = relu,
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        unsupported("Transformer", device=device)
        generator = np.random.default_rng() if generator is None else generator
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        if custom_encoder is None:
            layer: Module = TransformerEncoderLayer(*sizes, dtype=dtype, generator=generator)
            norm = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm)
        if custom_decoder is None:
            layer = TransformerDecoderLayer(*sizes, dtype=dtype, generator=generator)
            norm = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
            custom_decoder = TransformerDecoder(layer, num_decoder_layers, norm)
        self.encoder, self.decoder = custom_encoder, custom_decoder
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        for parameter in self.parameters():
            if parameter.data.ndim > 1:
                xavier_uniform_(parameter, generator=generator)

    def forward(
        self,
        src: Array,
        tgt: Array,
        src_mask: Array | None = None,
        tgt_mask: Array | None = None,
        memory_mask: Array | None = None,
        src_key_padding_mask: Array | None = None,
        tgt_key_padding_mask: Array | None = None,
        memory_key_padding_mask: Array | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> tuple[Array, Any]:
        """Return y, of the shape of tgt, and `saved` = what encoder and decoder saved.

        Raises ValueError where src and tgt have other features than d_model or differ in their samples.
        """
        self._check(src, tgt)
        memory, saved_encoder = self.encoder.forward(
            src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal
        )
        y, saved_decoder = self.decoder.forward(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
        return y, (saved_encoder, saved_decoder)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Any, *, input_grad: bool = True) -> tuple[Array | None, Array]:
        """Return grad_src and grad_tgt."""
        saved_encoder, saved_decoder = saved
        grad_tgt, grad_memory = self.decoder.backward(grad_output, saved_decoder)
        grad_src = self.encoder.backward(grad_memory, saved_encoder, input_grad=input_grad)
        return grad_src, grad_tgt

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: None = None, dtype: DTypeLike = np.float32) -> Array:
        """Return (sz, sz) with -inf above the diagonal and 0 elsewhere, or True and False where dtype is bool."""
        unsupported("generate_square_subsequent_mask", device=device)
        return causal_mask(sz, sz, dtype)

    def _check(self, src: Array, tgt: Array) -> None:
        """Raise TypeError for what is no array of floats, ValueError for shapes that do not fit."""
        check_array(src, "Transformer (src)")
        check_array(tgt, "Transformer (tgt)")
        if src.shape[-1:] != (self.d_model,) or tgt.shape[-1:] != (self.d_model,):
            raise ValueError(
                f"Transformer takes src and tgt of {self.d_model} features, but was given "
                f"src {src.shape} and tgt {tgt.shape}"
            )
