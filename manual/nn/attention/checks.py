"""What MultiheadAttention refuses at the door."""

from typing import Any

import numpy as np

from manual.module import Array, check_array
from manual.nn.attention.masks import check_mask

WHO = "MultiheadAttention"


def check_inputs(
    query: Array, key: Array, value: Array, features: tuple[int, int, int], batch_first: bool, dtype: np.dtype[Any]
) -> bool:
    """Return whether there is an axis of samples. Raises TypeError for other dtypes, ValueError for other shapes."""
    for name, x in (("query", query), ("key", key), ("value", value)):
        check_array(x, f"{WHO} ({name})", dtype)
    shapes = f"query {query.shape}, key {key.shape}, value {value.shape}"
    if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
        raise ValueError(f"{WHO} takes three axes, or two without samples, the same for all, but was given {shapes}")
    if (query.shape[-1], key.shape[-1], value.shape[-1]) != features:
        raise ValueError(f"{WHO} has {features} features of query, key and value, but was given {shapes}")
    if key.shape[:-1] != value.shape[:-1]:
        raise ValueError(f"{WHO} takes a value for every key, but was given {shapes}")
    samples = 0 if batch_first else 1
    if query.ndim == 3 and query.shape[samples] != key.shape[samples]:
        raise ValueError(f"{WHO} takes as many samples of keys as of queries, on axis {samples}, not {shapes}")
    return query.ndim == 3


def check_masks(
    attn_mask: Array | None,
    key_padding_mask: Array | None,
    is_causal: bool,
    sizes: tuple[int, int, int, int],
    batched: bool,
    dtype: np.dtype[Any],
) -> None:
    """Raise TypeError for masks of other dtypes, ValueError for other shapes or is_causal=True alone."""
    N, H, L, S = sizes
    if is_causal and attn_mask is None:
        raise ValueError(
            f"{WHO}: is_causal=True says of attn_mask that it is causal, and takes it beside: "
            "write attn_mask=Transformer.generate_square_subsequent_mask(length)"
        )
    if attn_mask is not None:
        check_mask(attn_mask, "attn_mask", dtype, WHO)
        if attn_mask.shape not in ((L, S), (N * H, L, S)):
            raise ValueError(
                f"{WHO} takes an attn_mask of shape {(L, S)}, or {(N * H, L, S)} for samples times heads, "
                f"but was given {attn_mask.shape}"
            )
    if key_padding_mask is not None:
        check_mask(key_padding_mask, "key_padding_mask", dtype, WHO)
        expected = (N, S) if batched else (S,)
        if key_padding_mask.shape != expected:
            raise ValueError(
                f"{WHO} takes a key_padding_mask of shape {expected}, but was given {key_padding_mask.shape}"
            )
