"""What torch.nn has no class for, written plainly for autograd; each file has a twin of its name in manual.nn."""

from torch_impl.nn.rotary import RotaryEmbedding
from torch_impl.nn.swiglu import SwiGLU

__all__ = [
    "RotaryEmbedding",
    "SwiGLU",
]
