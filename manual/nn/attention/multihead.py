"""Multi-head attention: several attentions side by side, each in a part of the features."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.arguments import whole_number
from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, Parameter, check_gradient, unsupported
from manual.nn.activation import softmax
from manual.nn.attention.attend import attend, attend_backward, softmax_or_zero
from manual.nn.attention.checks import check_inputs, check_masks
from manual.nn.attention.masks import causal_mask, check_probability, merged_mask
from manual.nn.dropout import dropout_mask
from manual.nn.gradients import check_pair
from manual.nn.init import xavier_normal_, xavier_uniform_
from manual.nn.linear import Linear

Saved = tuple[list[Array], Any, Array, bool, bool]


class MultiheadAttention(Module):
    """y = concat(head_1, ..., head_H) W_o^T + b_o, where head_h = attend(q_h, k_h, v_h); and the heads' weights.

    Every head has D = E / H of the E features of q, k and v, which are linear in the inputs. For sample n, query t,
    key s, head h and feature i of a head:

        q[n,h,t,i] = sum_e query[n,t,e] W_q[hD+i,e] + b_q[hD+i]          k from key and v from value alike
        Y[n,h,t,i] = sum_s W[n,h,t,s] v[n,h,s,i]                         W by `attend` from q and k of head h
        c[n,t,hD+i] = Y[n,h,t,i]                                         the heads side by side
        y[n,t,o]   = sum_e c[n,t,e] W_o[o,e] + b_o[o]                    `out_proj`
        weights[n,t,s] = (1/H) sum_h W[n,h,t,s]                          or W itself: average_attn_weights=False

    Back, with g = dL/dy and u = dL/dweights: a head takes back its own features, and `attend_backward` what is in it.

        dL/dc[n,t,e]      = sum_o g[n,t,o] W_o[o,e]
        dL/dY[n,h,t,i]    = dL/dc[n,t,hD+i]
        dL/dW[n,h,t,s]    = u[n,t,s] / H                   beside the one through Y; dropout's mask is in W
        dq, dk, dv        = attend_backward(dY, dW)
        dL/dquery[n,t,e]  = sum_{h,i} dq[n,h,t,i] W_q[hD+i,e]
        dL/dW_q[hD+i,e]   = sum_{n,t} dq[n,h,t,i] query[n,t,e]
        dL/db_q[hD+i]     = sum_{n,t} dq[n,h,t,i]          key and value alike

    To cut E features into heads is (N, T, E) -> (N, T, H, D) -> (N, H, T, D), a reshape and a transpose; a reshape to
    (N, H, T, D) in one step has the same shape and mixes positions. Self-attention hands in one array three times: its
    gradient is then the sum of the three that `backward` returns.

    b_k adds the same number to all scores of a query, q . b_k, which the softmax does not notice: its gradient is 0
    but for rounding, and but for add_bias_kv and add_zero_attn. These put one more key and value behind the others,
    a learned one (`bias_k`, `bias_v`) and one of zeros, to which every query may attend.

    Masks: of bools, True means that a query may *not* attend, in attn_mask (L, S) or (N H, L, S), sample after sample,
    and in key_padding_mask (N, S). This is the reverse of scaled_dot_product_attention. Floats are added to the scores.
    Masks have no gradient here. A query that may attend to nothing: with need_weights=False it takes 0, with
    need_weights=True all becomes NaN; both as in torch 2.13. `is_causal` says that attn_mask is the causal one. It has
    to be given even so, but where there is no key_padding_mask and need_weights=False, it is not read, and query t
    attends to keys 0, ..., t, whatever the mask says; with add_bias_kv the added keys count as later ones. That is
    torch's too.

    Shapes: query (L, N, E), key (S, N, kdim), value (S, N, vdim), y (L, N, E); batch_first=True: (N, L, E) and so on;
    or all without N. weights (N, L, S) or (N, H, L, S). `in_proj_weight` is W_q, W_k, W_v one below the other
    (3 E, E); where kdim or vdim is not E, they are `q_proj_weight` (E, E), `k_proj_weight` (E, kdim) and
    `v_proj_weight` (E, vdim). `dropout` is of the weights W, which are returned as dropout left them.

    The initial weights are torch's, drawn from `generator` in this order: in_proj_weight, or the three, by
    xavier_uniform_; bias_k, bias_v by xavier_normal_; out_proj as Linear draws. Biases of projections are 0.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html; Vaswani et al.,
    "Attention Is All You Need", 2017.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: None = None,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        unsupported("MultiheadAttention", device=device)
        embed_dim = whole_number("MultiheadAttention", 1, embed_dim=embed_dim)
        num_heads = whole_number("MultiheadAttention", 1, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention({embed_dim}, {num_heads}): each head has embed_dim / num_heads features, a whole "
                "number"
            )
        check_probability(dropout, "dropout", "MultiheadAttention")
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        self.add_zero_attn, self.batch_first = add_zero_attn, batch_first
        self.generator = np.random.default_rng() if generator is None else generator

        def uniform(*shape: int) -> Parameter:
            parameter = Parameter(np.empty(shape, dtype))
            xavier_uniform_(parameter, generator=self.generator)
            return parameter

        def normal(*shape: int) -> Parameter:
            parameter = Parameter(np.empty(shape, dtype))
            xavier_normal_(parameter, generator=self.generator)
            return parameter

        if self.kdim == self.vdim == embed_dim:
            self.in_proj_weight: Parameter | None = uniform(3 * embed_dim, embed_dim)
        else:
            self.in_proj_weight = None
            self.q_proj_weight = uniform(embed_dim, embed_dim)
            self.k_proj_weight = uniform(embed_dim, self.kdim)
            self.v_proj_weight = uniform(embed_dim, self.vdim)
        self.in_proj_bias = Parameter(np.zeros(3 * embed_dim, dtype)) if bias else None
        self.bias_k = normal(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v = normal(1, 1, embed_dim) if add_bias_kv else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype, generator=self.generator)
        if self.out_proj.bias is not None:
            self.out_proj.bias.data[:] = 0

    @beyond_the_finite()
    def forward(
        self,
        query: Array,
        key: Array,
        value: Array,
        key_padding_mask: Array | None = None,
        need_weights: bool = True,
        attn_mask: Array | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[tuple[Array, Array | None], Saved]:
        """Return (y, weights) and `saved`; weights is None where they are not asked for.

        Raises TypeError for other dtypes than the parameters', ValueError for shapes that do not fit and for
        is_causal=True without attn_mask.
        """
        features = (self.embed_dim, self.kdim, self.vdim)
        batched = check_inputs(query, key, value, features, self.batch_first, self.out_proj.weight.dtype)
        inputs = [_samples_first(x, self.batch_first) for x in (query, key, value)]  # (N, L or S, ...)
        (N, L, _), S, dtype = inputs[0].shape, inputs[1].shape[1], query.real.dtype
        check_masks(attn_mask, key_padding_mask, is_causal, (N, self.num_heads, L, S), batched, dtype)

        q, k, v = (x @ W.mT + b for x, W, b in zip(inputs, self._weights(), self._biases(), strict=True))
        k, v = self._appended(k, self.bias_k), self._appended(v, self.bias_v)  # (N, S + added, E)
        shape = (N, self.num_heads, L, k.shape[1])
        if is_causal and key_padding_mask is None and not need_weights:
            B: Array | None = causal_mask(L, k.shape[1], dtype)
        else:
            B = merged_mask(attn_mask, key_padding_mask, shape, dtype)
        M = dropout_mask(shape, self.dropout if self.training else 0, dtype, self.generator)
        distribution = softmax if need_weights else softmax_or_zero
        q, k, v = (self._heads(x) for x in (q, k, v))  # (N, H, L or S, D)
        Y, W, saved_attend = attend(q, k, v, B, M, 1 / math.sqrt(q.shape[-1]), distribution)
        y, saved_out = self.out_proj.forward(_side_by_side(Y))  # (N, L, E)
        y = _as_given(y, self.batch_first, batched)
        weights = W.mean(axis=1) if average_attn_weights else W
        if not batched:
            weights = weights[0]
        return (y, weights if need_weights else None), (inputs, saved_attend, saved_out, average_attn_weights, batched)

    @beyond_the_finite()
    def backward(
        self, grad_output: tuple[Array | None, Array | None], saved: Saved, *, input_grad: bool = True
    ) -> tuple[Array | None, Array, Array]:
        """Return grad_query, grad_key, grad_value; add to the parameters' gradients.

        grad_output is (grad_y, grad_weights), None for one that is not used.
        """
        inputs, saved_attend, saved_out, average, batched = saved
        self._check_gradient(grad_output, saved)
        g, dW = grad_output
        g = np.zeros_like(inputs[0]) if g is None else _samples_first(g, self.batch_first)  # (N, L, E)
        grad_c: Any = self.out_proj.backward(g, saved_out)  # (N, L, E)
        dY = self._heads(grad_c)
        if dW is not None:
            dW = dW if batched else dW[None]
            dW = dW[:, None] / self.num_heads if average else dW  # (N, 1 or H, L, S + added)
        dq, dk, dv = (_side_by_side(d) for d in attend_backward(dY, dW, saved_attend))  # (N, L or S + added, E)
        S = inputs[1].shape[1]
        dk, dv = self._appended_backward(dk, self.bias_k, S), self._appended_backward(dv, self.bias_v, S)
        self._accumulate(inputs, [dq, dk, dv])
        W_q, W_k, W_v = self._weights()
        grad_query = _as_given(dq @ W_q, self.batch_first, batched) if input_grad else None
        return (
            grad_query,
            _as_given(dk @ W_k, self.batch_first, batched),
            _as_given(dv @ W_v, self.batch_first, batched),
        )

    def _check_gradient(self, grad_output: Any, saved: Saved) -> None:
        """Raise TypeError or ValueError unless there is a gradient, or None, for y and for the weights."""
        inputs, (_, _, _, P, _, _), _, average, batched = saved
        check_pair(grad_output, "MultiheadAttention")
        N, H, L, S = P.shape
        weights = (*([N] if batched else []), *([] if average else [H]), L, S)
        shapes = (_as_given(inputs[0], self.batch_first, batched).shape, weights)
        for grad, shape in zip(grad_output, shapes, strict=True):
            if grad is not None:
                check_gradient(grad, shape, P.dtype, "MultiheadAttention")

    def _weights(self) -> list[Array]:
        """Return W_q, W_k, W_v: blocks of rows of one parameter, or three."""
        if self.in_proj_weight is not None:
            return np.split(self.in_proj_weight.data, 3)
        return [self.q_proj_weight.data, self.k_proj_weight.data, self.v_proj_weight.data]

    def _biases(self) -> list[Any]:
        """Return b_q, b_k, b_v."""
        return np.split(self.in_proj_bias.data, 3) if self.in_proj_bias is not None else [0, 0, 0]

    def _accumulate(self, inputs: list[Array], grads: list[Array]) -> None:
        """Add to the gradients of W_q, W_k, W_v and b_q, b_k, b_v: sums over samples and positions."""
        weights = [np.tensordot(d, x, ((0, 1), (0, 1))) for x, d in zip(inputs, grads, strict=True)]  # (E, features)
        if self.in_proj_weight is not None:
            self.in_proj_weight.accumulate(np.concatenate(weights))
        else:
            parameters = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
            for parameter, grad in zip(parameters, weights, strict=True):
                parameter.accumulate(grad)
        if self.in_proj_bias is not None:
            self.in_proj_bias.accumulate(np.concatenate([d.sum(axis=(0, 1)) for d in grads]))

    def _appended(self, x: Array, bias: Parameter | None) -> Array:
        """Return keys or values (N, S, E) with those of add_bias_kv and add_zero_attn behind them."""
        N, _, E = x.shape
        learned = [] if bias is None else [np.broadcast_to(bias.data, (N, 1, E))]
        zero = [np.zeros((N, 1, E), x.dtype)] if self.add_zero_attn else []
        return np.concatenate([x, *learned, *zero], axis=1)

    def _appended_backward(self, grad: Array, bias: Parameter | None, S: int) -> Array:
        """Return the gradient of the S that were there; add to the gradient of the learned one."""
        if bias is not None:
            bias.accumulate(grad[:, S : S + 1].sum(axis=0, keepdims=True))  # (1, 1, E): all samples had the same
        return grad[:, :S]

    def _heads(self, x: Array) -> Array:
        """(N, T, E) -> (N, H, T, D)."""
        N, T, E = x.shape
        return x.reshape(N, T, self.num_heads, E // self.num_heads).swapaxes(1, 2)


def _side_by_side(x: Array) -> Array:
    """(N, H, T, D) -> (N, T, E), the inverse of `_heads`."""
    N, H, T, D = x.shape
    return x.swapaxes(1, 2).reshape(N, T, H * D)


def _samples_first(x: Array, batch_first: bool) -> Array:
    """Return (N, T, E) of what the caller gives: (T, N, E), (N, T, E) where batch_first, or one sample (T, E)."""
    return x[None] if x.ndim == 2 else x if batch_first else x.swapaxes(0, 1)


def _as_given(x: Array, batch_first: bool, batched: bool) -> Array:
    """Return (N, T, E) in the caller's layout, the inverse of `_samples_first`."""
    return x[0] if not batched else x if batch_first else x.swapaxes(0, 1)
