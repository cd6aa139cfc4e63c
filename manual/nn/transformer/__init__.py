"""The transformer, by concept: what its layers are made of, encoder, decoder, and both together."""

from manual.nn.transformer.decoder import TransformerDecoder, TransformerDecoderLayer
from manual.nn.transformer.encoder import TransformerEncoder, TransformerEncoderLayer
from manual.nn.transformer.transformer import Transformer

__all__ = [
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]
