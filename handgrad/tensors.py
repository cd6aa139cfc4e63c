"""Tensors as arrays and arrays as tensors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, np.dtype[Any]]


def rounded(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a tensor of floats as the narrower dtype has it; tokens and classes as they are."""
    return tensor.to(dtype).to(tensor.dtype) if tensor.is_floating_point() else tensor


def to_array(leaf: Any) -> Any:
    """Return a tensor as an array of its own; anything else as it is."""
    return to_numpy(leaf.detach()).copy() if isinstance(leaf, Tensor) else leaf


def as_tensor(leaf: Any) -> Any:
    """Return an array as a tensor; the optimizer moves it to its parameter's device and dtype."""
    return torch.tensor(leaf) if isinstance(leaf, np.ndarray) else leaf


def to_numpy(tensor: Tensor) -> Array:
    """Return a tensor as an array, which shares its memory on the CPU."""
    array: Array = tensor.cpu().numpy()
    return array
