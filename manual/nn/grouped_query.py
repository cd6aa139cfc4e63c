"""Grouped-query attention: several query heads read one key head and one value head."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_array
from manual.nn.linear import Linear
from manual.nn.rotary import RotaryEmbedding
from manual.nn.tiled_attention import NaiveAttention

Saved = tuple[Array, tuple[Array, ...], Array]


class GroupedQueryAttention(Module):
    """Self-attention of H = num_heads query heads that share K = num_kv_heads heads of keys and values.

    Query head h = k G + j, with G = H / K heads in a group and j = 0 ... G - 1, reads key and value head k. For one
    sequence of T tokens in E = embed_dim numbers, with D = head_dim, and A the attention of NaiveAttention:

        q = x Wq^T      (T, H D), cut into H heads (T, D)          O[k,j] = A(q[k,j], key[k], v[k])        (T, D)
        key = x Wk^T    (T, K D), cut into K heads (T, D)          o      = all O[k,j] side by side        (T, H D)
        v = x Wv^T      (T, K D), cut into K heads (T, D)          y      = o Wo^T                         (T, E)

    K = H is ordinary multi-head attention, K = 1 is multi-query attention. Where `rotary_base` is given, q and key
    are turned by a RotaryEmbedding of that base over all D entries, in two halves as in Llama, from position 0 on.

    Backward, with g = dL/dy. The output projection: dL/dWo = g^T o, dL/do = g Wo, cut into heads dO[k,j]. Attention
    takes one head at a time and gives dq[k,j] for its own query head, and a gradient for the key and value that it
    read. These are read by all j of the group, so their gradient is the sum over it:

        dL/dkey[k] = sum_j (dA(q[k,j], key[k], v[k])/dkey)^T dO[k,j] = sum_j scale dS[k,j]^T q[k,j]
        dL/dv[k]   = sum_j (dA(q[k,j], key[k], v[k])/dv)^T dO[k,j]   = sum_j P[k,j]^T dO[k,j]

    with P, dS and scale of NaiveAttention. In the code a head is shared by a view of G equal heads, and the transpose
    of making copies is adding. Each term is a product over t, so the two sums are one over G T rows: stack the group's
    queries into one matrix (G T, D), and the kernel of a single head computes dkey and dv with the sum in it; only
    the causal mask has to know that row r is position r mod T.

    Rotation goes back by the negative angle. x went into three projections, so

        dL/dx = dq Wq + dkey Wk + dv Wv,      dL/dWq = dq^T x,  dL/dWk = dkey^T x,  dL/dWv = dv^T x

    What it is for: to generate one token after another, keys and values of all tokens are kept, 2 T K D numbers a
    layer in place of 2 T H D, and read once for each new token; that reading is the time it takes. The attention's
    flops do not change, 4 T^2 H D forward; those of the projections go from 8 T E H D to 4 T E (H + K) D.

    Saved are x, q, key, v (rotated), the weights P (H T^2 numbers) and o. With TiledAttention in place of
    NaiveAttention the P would not be.

    x has shape (..., T, E) with T of 1 or above, y the same. `head_dim` is embed_dim / num_heads where it is not
    given. The four projections have no biases; their initial values are Linear's, drawn from `generator` in the order
    q, k, v, o.

    Source: Ainslie et al., "GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints",
    2023; Shazeer, "Fast Transformer Decoding: One Write-Head is All You Need", 2019.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_kv_heads: int,
        head_dim: int | None = None,
        is_causal: bool = True,
        rotary_base: float | None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        if num_kv_heads < 1 or num_heads < 1 or num_heads % num_kv_heads:
            raise ValueError(
                f"GroupedQueryAttention: num_heads is a multiple of num_kv_heads, both 1 or above, "
                f"not {num_heads} and {num_kv_heads}"
            )
        if head_dim is None and embed_dim % num_heads:
            raise ValueError(
                f"GroupedQueryAttention: {num_heads} heads do not divide embed_dim {embed_dim}: give head_dim"
            )
        self.embed_dim, self.num_heads, self.num_kv_heads = embed_dim, num_heads, num_kv_heads
        self.head_dim = embed_dim // num_heads if head_dim is None else head_dim
        width, kv_width = num_heads * self.head_dim, num_kv_heads * self.head_dim
        self.q_proj = Linear(embed_dim, width, bias=False, dtype=dtype, generator=generator)
        self.k_proj = Linear(embed_dim, kv_width, bias=False, dtype=dtype, generator=generator)
        self.v_proj = Linear(embed_dim, kv_width, bias=False, dtype=dtype, generator=generator)
        self.o_proj = Linear(width, embed_dim, bias=False, dtype=dtype, generator=generator)
        self.attention = NaiveAttention(is_causal)
        self.rotary = None if rotary_base is None else RotaryEmbedding(self.head_dim, rotary_base, interleaved=False)

    @beyond_the_finite()
    def forward(self, x: Array) -> tuple[Array, Saved]:
        """Return y (..., T, E) and `saved` = (x, what the attention saved, o)."""
        check_array(x, "GroupedQueryAttention", self.q_proj.weight.dtype)
        if x.ndim < 2 or x.shape[-2] == 0 or x.shape[-1] != self.embed_dim:
            raise ValueError(
                f"GroupedQueryAttention takes (..., T, {self.embed_dim}) with T of 1 or above, "
                f"but was given an input of shape {x.shape}"
            )
        groups = self.num_heads // self.num_kv_heads
        q = self._turned(self._cut(self.q_proj(x), groups))  # (..., K, G, T, D)
        key = self._turned(self._cut(self.k_proj(x), 1))  # (..., K, 1, T, D)
        v = self._cut(self.v_proj(x), 1)  # (..., K, 1, T, D)
        heads, saved = self.attention.forward(q, np.broadcast_to(key, q.shape), np.broadcast_to(v, q.shape))
        o = self._join(heads)  # (..., T, H D)
        return self.o_proj(o), (x, saved, o)

    @beyond_the_finite()
    def backward(self, grad_output: Array, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input (..., T, E); add to the gradients of the four weights."""
        x, saved_attention, o = saved
        groups = self.num_heads // self.num_kv_heads
        grad_o: Any = self.o_proj.backward(grad_output, o)
        grad_q, grad_key, grad_v = self.attention.backward(self._cut(grad_o, groups), saved_attention)
        grad_key, grad_v = grad_key.sum(axis=-3, keepdims=True), grad_v.sum(axis=-3, keepdims=True)  # over the group
        from_q: Any = self.q_proj.backward(self._join(self._turned_back(grad_q)), x, input_grad=input_grad)
        from_k: Any = self.k_proj.backward(self._join(self._turned_back(grad_key)), x, input_grad=input_grad)
        from_v: Any = self.v_proj.backward(self._join(grad_v), x, input_grad=input_grad)
        return from_q + from_k + from_v if input_grad else None

    def _turned(self, heads: Array) -> Array:
        return heads if self.rotary is None else self.rotary.forward(heads)[0]

    def _turned_back(self, grad_heads: Any) -> Any:
        if self.rotary is None:
            return grad_heads
        return self.rotary.backward(grad_heads, (0, grad_heads.shape, grad_heads.dtype))

    def _cut(self, x: Array, groups: int) -> Array:
        """Return x (..., T, K groups D) as (..., K, groups, T, D)."""
        heads = x.reshape(*x.shape[:-1], self.num_kv_heads, groups, self.head_dim)  # (..., T, K, groups, D)
        return np.moveaxis(heads, -4, -2)

    def _join(self, heads: Array) -> Array:
        """Return heads (..., K, groups, T, D) as (..., T, K groups D)."""
        x = np.moveaxis(heads, -2, -4)  # (..., T, K, groups, D)
        return x.reshape(*x.shape[:-3], x.shape[-3] * x.shape[-2] * self.head_dim)
