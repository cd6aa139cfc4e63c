"""A mixture of experts: a router sends each row to a few of many modules."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from manual.arithmetic import beyond_the_finite
from manual.module import Array, Module, check_array, check_gradient
from manual.nn.container import ModuleList
from manual.nn.gradients import check_pair, gradient_of_loss
from manual.nn.linear import Linear

Saved = tuple[Array, Array, Array, Array, list[tuple[Array, Any]]]


class MixtureOfExperts(Module):
    """y[r] = sum of a[r,e] f_e(x[r]) over the `top_k` experts e that the router prefers for row r.

    With E experts and `router.weight` Wr (E, D), for each row r:

        z[r,e] = sum_d x[r,d] Wr[e,d]                        the router's logits
        p[r,e] = e^z[r,e] / sum_j e^z[r,j]                   softmax over all experts
        C[r]   = the top_k experts with the largest z[r,e]   the choice; of equals the lower number
        a[r,e] = p[r,e] / S[r],  S[r] = sum_(j in C[r]) p[r,j]        the gates; a[r,e] = p[r,e] where not `normalize`

    `normalize=True` is Mixtral's rule. There p[r,e] / S[r] = e^z[r,e] / sum_(j in C[r]) e^z[r,j]: softmax first and
    then top-k, or top-k first and then softmax, are one function. `normalize=False` is Switch's, where with top_k = 1
    a normalised gate would always be 1 and the router would learn nothing.

    Backward, with g = dL/dy. C[r] is piecewise constant: it takes no derivative, and where two logits cross, y jumps.
    So the router learns through the gates of those chosen alone. For e in C[r]:

        dL/da[r,e]      = sum_d g[r,d] f_e(x[r])[d]                     the dot product of g and what expert e gave
        dL/df_e(x[r])   = a[r,e] g[r]                                   goes into expert e, and from there into x

    Through the normalisation, where da[r,j]/dp[r,e] = (1[j = e] - a[r,j]) / S[r] for e in C[r]:

        dL/dp[r,e] = (dL/da[r,e] - sum_(j in C[r]) a[r,j] dL/da[r,j]) / S[r]      =: G[r,e]

    and 0 for those not chosen. Without it G[r,e] = dL/da[r,e]. Then through the softmax over all E:

        dL/dz[r,e] = p[r,e] (G[r,e] - sum_j p[r,j] G[r,j])

    With the normalisation sum_j p[r,j] G[r,j] = sum_(j in C) a[r,j] (dL/da[r,j] - ...) = 0, so an expert that was not
    chosen gets no gradient of its logit; without it, it gets -p[r,e] sum_j p[r,j] G[r,j]: the chosen are raised or
    lowered against all others. S[r] is top_k / E or above, as the chosen have the largest p: no division by 0.

    Balance. Nothing above keeps the router from sending every row to the same expert. `load_balancing=True` returns
    Switch's loss as a second output, with R rows:

        B = E sum_e F[e] M[e],    F[e] = (how often e was chosen) / (R top_k),    M[e] = (1/R) sum_r p[r,e]

    It is 1 where all is even, and at most E. F counts, and has no derivative; with h = dL/dB, dL/dp[r,e] gets another
    h E F[e] / R: the busier an expert, the more its probability is pushed down.

    dL/dx has k + 1 terms, one of each chosen expert and dL/dz Wr of the router; dL/dWr = dL/dz^T x.

    How it runs: rows are grouped by expert. For each expert its rows are gathered into one matrix, taken through at
    once, and added back where they came from; no row comes twice in one group, so nothing collides in that addition. An
    expert without rows does nothing, and its parameters get no gradient. A kernel sorts the (row, place) pairs by
    expert and multiplies one group after another with its own weights (a grouped product). Flops are those of top_k
    experts a row, the weights in memory those of all E. Saved are x, p, C, a, and for each expert its output and what
    it saved: top_k R rows.

    `experts` are modules that take rows (n, D) to rows (n, D): SwiGLU(D, H), or a Sequential of two Linear. The router
    is a Linear without bias, with its initial values, drawn from `generator`. x has shape (..., D), y the same, B ().

    Source: Shazeer et al., "Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer", 2017;
    Fedus et al., "Switch Transformers", 2021, equations 4 to 6; Jiang et al., "Mixtral of Experts", 2024.
    """

    def __init__(
        self,
        in_features: int,
        experts: Sequence[Module],
        top_k: int = 2,
        normalize: bool = True,
        load_balancing: bool = False,
        *,
        dtype: DTypeLike = np.float32,
        generator: np.random.Generator | None = None,
    ) -> None:
        if not 1 <= top_k <= len(experts):
            raise ValueError(f"MixtureOfExperts: top_k is from 1 to the number of experts, {len(experts)}, not {top_k}")
        self.in_features, self.top_k = in_features, top_k
        self.normalize, self.load_balancing = normalize, load_balancing
        self.router = Linear(in_features, len(experts), bias=False, dtype=dtype, generator=generator)
        self.experts = ModuleList(experts)

    @beyond_the_finite()
    def forward(self, x: Array) -> tuple[Any, Saved]:
        """Return y (..., D), or (y, B) with `load_balancing`, and `saved` = (x, p, C, a, the experts')."""
        check_array(x, "MixtureOfExperts", self.router.weight.dtype)
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(f"MixtureOfExperts takes (..., {self.in_features}), but was given shape {x.shape}")
        rows = x.reshape(-1, self.in_features)  # (R, D)
        z = self.router(rows)  # (R, E)
        e = np.exp(z - z.real.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        chosen = np.argsort(-z.real, kind="stable")[:, : self.top_k]  # (R, top_k); stable: of equals the lower
        a = np.take_along_axis(p, chosen, axis=1)  # (R, top_k)
        if self.normalize:
            a = a / a.sum(axis=1, keepdims=True)
        y, saved_experts = np.zeros_like(rows), []
        for expert, row, place in self._groups(chosen):
            output, saved_here = expert.forward(rows[row])  # (n, D)
            y[row] += a[row, place][:, None] * output
            saved_experts.append((output, saved_here))
        saved = (x, p, chosen, a, saved_experts)
        if not self.load_balancing:
            return y.reshape(x.shape), saved
        balance = p.shape[1] * (self._load(chosen, p) * p.sum(axis=0)).sum() / len(p)
        return (y.reshape(x.shape), balance), saved

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> Array | None:
        """Return grad_input (..., D); add to the gradients of the router and the experts that were chosen."""
        x, p, chosen, a, saved_experts = saved
        grad_y, grad_balance = self._checked(grad_output, x)
        rows = x.reshape(-1, self.in_features)
        grad_rows, grad_a, grad_p = np.zeros_like(rows), np.zeros_like(a), np.zeros_like(p)
        if grad_y is not None:
            g = grad_y.reshape(rows.shape)
            for (expert, row, place), (output, saved_here) in zip(self._groups(chosen), saved_experts, strict=True):
                grad_a[row, place] = (g[row] * output).sum(axis=1)
                grad_expert = expert.backward(a[row, place][:, None] * g[row], saved_here, input_grad=input_grad)
                if input_grad:
                    grad_rows[row] += grad_expert
        if self.normalize:
            total = np.take_along_axis(p, chosen, axis=1).sum(axis=1, keepdims=True)  # S
            grad_a = (grad_a - (a * grad_a).sum(axis=1, keepdims=True)) / total
        np.put_along_axis(grad_p, chosen, grad_a, axis=1)
        if grad_balance is not None:
            grad_p += grad_balance * p.shape[1] * self._load(chosen, p) / len(p)
        grad_z = p * (grad_p - (p * grad_p).sum(axis=1, keepdims=True))
        from_router = self.router.backward(grad_z, rows, input_grad=input_grad)
        return None if from_router is None else (grad_rows + from_router).reshape(x.shape)

    def _checked(self, grad_output: Any, x: Array) -> tuple[Array | None, Array | None]:
        """Return the gradients of y and of B, None where there is none. Raises TypeError or ValueError for others."""
        if not self.load_balancing:
            check_gradient(grad_output, x.shape, x.dtype, "MixtureOfExperts")
            return grad_output, None
        check_pair(grad_output, "MixtureOfExperts")
        grad_y, grad_balance = grad_output
        if grad_y is not None:
            check_gradient(grad_y, x.shape, x.dtype, "MixtureOfExperts")
        if grad_balance is not None:
            grad_balance = gradient_of_loss(grad_balance, (), x.dtype, "MixtureOfExperts")
        return grad_y, grad_balance

    def _groups(self, chosen: Array) -> Iterator[tuple[Module, Array, Array]]:
        """Yield each expert that was chosen, the rows that chose it, and at which place of their choice it stands."""
        for number, expert in enumerate(self.experts):
            row, place = np.nonzero(chosen == number)
            if row.size:
                yield expert, row, place

    def _load(self, chosen: Array, p: Array) -> Array:
        """Return F (E,), the share of each expert in all choices."""
        count = np.bincount(chosen.reshape(-1), minlength=p.shape[1])
        return (count / chosen.size).astype(p.dtype)  # of no rows: NaN without a warning
