"""Scaled dot-product attention as a pair of functions: torch.nn.functional's of that name, and its backward."""

import math
from typing import Any

import numpy as np

from manual.module import Array, check_array, check_gradient, plain
from manual.nn.attention.attend import Saved, attend, attend_backward, softmax_or_zero
from manual.nn.attention.masks import additive, causal_mask, check_mask, check_probability
from manual.nn.dropout import dropout_mask

WHO = "scaled_dot_product_attention"


def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    generator: np.random.Generator | None = None,
) -> tuple[Array, tuple[Saved, int]]:
    """Return Y = dropout(softmax(scale Q K^T + mask)) V and `saved`; `attend` has the derivation.

    query (..., L, E), key (..., S, E), value (..., S, Ev), Y (..., L, Ev); the leading axes are samples, heads, or
    none. `scale` is 1 / sqrt(E) where it is not given.

    attn_mask is broadcast to (..., L, S). Of bools, True means that the query *may* attend to the key: in
    MultiheadAttention, True means that it may not. Of floats, it is added to the scores. It has no gradient here.
    `is_causal` lets query t attend to keys 0, ..., t, counted from the first key where L and S differ, and takes no
    other mask beside it. A query that may attend to nothing gives 0 and passes no gradient on, as in torch 2.13
    (softmax alone, and MultiheadAttention where weights are asked for, give NaN).

    Dropout is always applied, as in torch: hand in 0 in evaluation. Entry k of the weights is kept where the k-th
    number of `generator.random((..., L, S))` is dropout_p or above, and then divided by 1 - dropout_p.

    enable_gqa: G queries' heads share one head of keys and values, axis -3 being the heads: head h reads
    key[h // G]. The forward repeats each of them G times, so the backward adds G gradients up.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
    """
    group = _check(query, key, value, enable_gqa)
    check_probability(dropout_p, "dropout_p", WHO)
    generator = np.random.default_rng() if generator is None else generator
    shape, dtype = (*query.shape[:-1], key.shape[-2]), query.real.dtype
    B = _bias(attn_mask, is_causal, shape, dtype)
    M = dropout_mask(shape, dropout_p, dtype, generator)  # (..., L, S)
    scale = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else plain(scale)  # where E = 0, all scores are 0
    K, V = (x.repeat(group, axis=-3) if group > 1 else x for x in (key, value))  # (..., Hq, S, E)
    Y, _, saved = attend(query, K, V, B, M, scale, softmax_or_zero)
    return Y, (saved, group)


def scaled_dot_product_attention_backward(grad_output: Array, saved: tuple[Saved, int]) -> tuple[Array, Array, Array]:
    """Return grad_query, grad_key, grad_value, each of the shape of its input."""
    saved_attend, group = saved
    Q, _, V, *_ = saved_attend
    check_gradient(grad_output, (*Q.shape[:-1], V.shape[-1]), Q.dtype, WHO)
    dQ, dK, dV = attend_backward(grad_output, None, saved_attend)
    return dQ, _sum_of_groups(dK, group), _sum_of_groups(dV, group)


def _sum_of_groups(grad: Array, group: int) -> Array:
    """Return, of (..., Hq, S, E), the sum over every `group` heads in a row: (..., Hq / group, S, E)."""
    if group == 1:
        return grad
    *lead, heads, length, size = grad.shape
    total: Array = grad.reshape(*lead, heads // group, group, length, size).sum(axis=-3)
    return total


def _bias(attn_mask: Array | None, is_causal: bool, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array | None:
    """Return what is added to the scores (..., L, S). Raises TypeError or ValueError for a mask that does not fit."""
    if attn_mask is None:
        return causal_mask(shape[-2], shape[-1], dtype) if is_causal else None
    if is_causal:
        raise ValueError(f"{WHO} takes attn_mask or is_causal=True, not both: the mask can say which keys come later")
    check_mask(attn_mask, "attn_mask", dtype, WHO)
    fits = (m in (1, n) for m, n in zip(attn_mask.shape[::-1], shape[::-1], strict=False))
    if attn_mask.ndim > len(shape) or not all(fits):
        raise ValueError(f"{WHO} takes an attn_mask that broadcasts to {shape}, but was given one of {attn_mask.shape}")
    return additive(~attn_mask if attn_mask.dtype == bool else attn_mask, dtype)


def _check(query: Array, key: Array, value: Array, enable_gqa: bool) -> int:
    """Return how many heads of queries share one of keys. Raises TypeError for dtypes, ValueError for shapes."""
    check_array(query, f"{WHO} (query)")
    check_array(key, f"{WHO} (key)")
    check_array(value, f"{WHO} (value)")
    shapes = f"query {query.shape}, key {key.shape}, value {value.shape}"
    if not query.dtype == key.dtype == value.dtype:
        raise TypeError(
            f"{WHO} takes query, key and value of one dtype, but was given {query.dtype}, {key.dtype} and "
            f"{value.dtype}: write .astype(np.{query.dtype})"
        )
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise ValueError(f"{WHO} takes two axes or more, a sequence of vectors, but was given {shapes}")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ValueError(f"{WHO} takes query (..., L, E), key (..., S, E), value (..., S, Ev), but was given {shapes}")
    if key.shape[:-2] == value.shape[:-2] == query.shape[:-2]:
        return 1
    if not enable_gqa:
        raise ValueError(
            f"{WHO} takes the same leading axes of all three, but was given {shapes}: broadcast them before, "
            "or set enable_gqa=True where heads of queries share one of keys"
        )
    alike = query.ndim == key.ndim and query.shape[:-3] == key.shape[:-3] and key.shape[:-2] == value.shape[:-2]
    if not alike or not key.shape[-3] or query.shape[-3] % key.shape[-3]:
        raise ValueError(
            f"{WHO} with enable_gqa takes query (..., Hq, L, E), key (..., H, S, E), value (..., H, S, Ev) where H "
            f"divides Hq, but was given {shapes}"
        )
    shared: int = query.shape[-3] // key.shape[-3]
    return shared
