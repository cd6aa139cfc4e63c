"""Masks: what is added to the scores, -inf where a query may not attend."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.module import Array


def causal_mask(queries: int, keys: int, dtype: DTypeLike) -> Array:
    """Return (queries, keys) with -inf above the diagonal: query t attends to keys 0, ..., t and to nothing later."""
    return np.triu(np.full((queries, keys), -np.inf, dtype), 1)


def additive(forbidden: Array, dtype: np.dtype[Any]) -> Array:
    """Return what is added to the scores: -inf where `forbidden` is True, else 0. Floats are such numbers already."""
    return np.where(forbidden, dtype.type(-np.inf), dtype.type(0)) if forbidden.dtype == bool else forbidden


def merged_mask(
    attn_mask: Array | None, key_padding_mask: Array | None, shape: tuple[int, int, int, int], dtype: np.dtype[Any]
) -> Array | None:
    """Return what both add to the scores (N, H, L, S + added), 0 for the keys that a layer put behind the S."""
    N, H, L, keys = shape
    masks = []
    if attn_mask is not None:  # (L, S) or (N H, L, S)
        B = additive(attn_mask, dtype)
        masks.append(B if B.ndim == 2 else B.reshape(N, H, L, B.shape[-1]))
    if key_padding_mask is not None:  # (N, S), or (S,) of one sample
        masks.append(additive(key_padding_mask, dtype).reshape(N, 1, 1, key_padding_mask.shape[-1]))
    if not masks:
        return None
    B = sum(masks[1:], start=masks[0])
    return np.pad(B, [(0, 0)] * (B.ndim - 1) + [(0, keys - B.shape[-1])])


def check_mask(mask: Any, name: str, dtype: np.dtype[Any], who: str) -> None:
    """Raise TypeError unless `mask` is an array of bools, or of floats of `dtype`."""
    if not isinstance(mask, np.ndarray):
        raise TypeError(f"{who} takes {name} as a numpy.ndarray, not {type(mask).__name__}: write np.asarray({name})")
    if mask.dtype not in (bool, dtype):
        raise TypeError(
            f"{who} takes {name} of bools, or of {dtype} as its inputs are, not of {mask.dtype}: "
            f"write {name}.astype(bool), or {name}.astype(np.{dtype}) for numbers to be added to the scores"
        )


def check_probability(p: float, name: str, who: str) -> None:
    """Raise ValueError unless p is from 0 to 1."""
    if not 0 <= p <= 1:
        raise ValueError(f"{who}: {name} is the probability that a weight is dropped, from 0 to 1, not {p}")
