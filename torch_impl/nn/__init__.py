"""What torch.nn has no class for, written plainly for autograd; each file has a twin of its name in manual.nn."""

from torch_impl.nn.fused_cross_entropy import LinearCrossEntropy
from torch_impl.nn.grouped_query import GroupedQueryAttention
from torch_impl.nn.mixture_of_experts import MixtureOfExperts
from torch_impl.nn.rotary import RotaryEmbedding
from torch_impl.nn.swiglu import SwiGLU
from torch_impl.nn.tied import TiedEmbedding
from torch_impl.nn.tiled_attention import NaiveAttention, TiledAttention

__all__ = [
    "GroupedQueryAttention",
    "LinearCrossEntropy",
    "MixtureOfExperts",
    "NaiveAttention",
    "RotaryEmbedding",
    "SwiGLU",
    "TiedEmbedding",
    "TiledAttention",
]
