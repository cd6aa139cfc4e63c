"""Losses of how near two things are: a given distance, the angle between vectors, and the distances of a triplet."""

from typing import Any

import numpy as np

from manual.arithmetic import beyond_the_finite
from manual.module import Array
from manual.nn.loss.reduction import Saved, _Loss, as_floats, at_least, check_dtypes, check_shapes, check_signs


class HingeEmbeddingLoss(_Loss):
    """l = x where t = 1, max(0, margin - x) where t = -1, with distances x = `input` and labels t = `target`.

    What belongs together pays for its distance, what does not for what its distance lacks to the margin. So dl/dx = 1
    where t = 1; where t = -1 it is -1 for x <= margin (torch's choice at the kink x = margin) and 0 beyond.

    `input` and `target` have one shape, any. The target, of integers or floats, only chooses: it has no gradient. Where
    it is neither 1 nor -1 torch adds both cases up; we refuse it.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html
    """

    def __init__(
        self, margin: float = 1.0, size_average: None = None, reduce: None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = float(margin)

    @beyond_the_finite()
    def forward(self, input: Array, target: Array) -> tuple[Array, Saved]:
        """Return the loss and `saved` = (input, whether t = 1)."""
        t = as_floats("HingeEmbeddingLoss", target, input)
        check_shapes("HingeEmbeddingLoss", input=input, target=target)
        check_signs("HingeEmbeddingLoss", target)
        together = t == 1
        return self._reduce(np.where(together, input, at_least(self.margin - input, 0))), (input, together)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Saved, *, input_grad: bool = True) -> tuple[Array | None, None]:
        """Return (grad_input, None)."""
        x, together = saved
        spread = self._spread(grad_output, x)
        slope = np.where(together, 1, np.where(x <= self.margin, -1, 0))
        return (spread * slope.astype(x.dtype) if input_grad else None), None


class CosineEmbeddingLoss(_Loss):
    """l[n] = 1 - cos[n] where t[n] = 1, max(0, cos[n] - margin) where t[n] = -1, of the angle between x1[n] and x2[n].

    With eps = 1e-12 (0.99999999600e-12: a float32 of torch's) under both roots, a vector of zeros is no division by 0:

        cos = sum_i x1[i] x2[i] / (r1 r2),    r1 = sqrt(sum_i x1[i]^2 + eps),    r2 = sqrt(sum_i x2[i]^2 + eps).

    dr1/dx1[i] = x1[i] / r1, so that

        dcos/dx1[i] = x2[i] / (r1 r2) - cos x1[i] / r1^2 = (x2[i] / r2 - cos x1[i] / r1) / r1,

    the part of x2's direction that is across x1: growing x1 does not turn it. The same holds with 1 and 2 exchanged.
    dl/dcos = -1 where t = 1; where t = -1 it is 1 for cos >= margin (torch's choice at the kink), else 0.

    `input1` and `input2` have shape (N, D) or (D,), `target` (N,) or (), of integers or floats. It only chooses: it has
    no gradient. Where it is neither 1 nor -1 torch returns 0; we refuse it. The roots are multiplied, not the squares:
    these leave float32 earlier.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineEmbeddingLoss.html
    """

    EPS = np.float32(1e-12)

    def __init__(
        self, margin: float = 0.0, size_average: None = None, reduce: None = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = float(margin)

    @beyond_the_finite()
    def forward(self, input1: Array, input2: Array, target: Array) -> tuple[Array, Any]:
        """Return the loss and `saved` = (x1 / r1, x2 / r2, r1, r2, cos, whether t = 1)."""
        check_dtypes("CosineEmbeddingLoss", input1=input1, input2=input2)
        t = as_floats("CosineEmbeddingLoss", target, input1)
        check_shapes("CosineEmbeddingLoss", input1=input1, input2=input2)
        if input1.ndim not in (1, 2) or t.shape != input1.shape[:-1]:
            raise ValueError(
                "CosineEmbeddingLoss takes inputs (N, D) with targets (N,), or (D,) with (), "
                f"not {input1.shape} with {t.shape}"
            )
        check_signs("CosineEmbeddingLoss", target)
        r1 = np.sqrt((input1 * input1).sum(-1, keepdims=True) + self.EPS)  # (N, 1)
        r2 = np.sqrt((input2 * input2).sum(-1, keepdims=True) + self.EPS)
        u1, u2 = input1 / r1, input2 / r2  # (N, D)
        cos = (u1 * u2).sum(-1)  # (N,)
        together = t == 1
        return self._reduce(np.where(together, 1 - cos, at_least(cos - self.margin, 0))), (
            u1,
            u2,
            r1,
            r2,
            cos,
            together,
        )

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Any, *, input_grad: bool = True) -> tuple[Array | None, Array, None]:
        """Return (grad_input1, grad_input2, None)."""
        u1, u2, r1, r2, cos, together = saved
        slope = np.where(together, -1, cos >= self.margin).astype(cos.dtype)  # (N,)
        grad_cos, cos = (self._spread(grad_output, cos) * slope)[..., None], cos[..., None]  # (N, 1)
        grad_1 = grad_cos * (u2 - cos * u1) / r1 if input_grad else None
        return grad_1, grad_cos * (u1 - cos * u2) / r2, None


class TripletMarginLoss(_Loss):
    """l = max(0, z), z = margin + |a - p|_P - |a - n|_P: an anchor a is to be nearer to p, its like, than to n.

    |x|_P = (sum_i |x[i] + eps|^P)^(1/P), over the last axis and with P the argument `p`, is torch's pairwise distance:
    eps is added to each difference, sign or no, which keeps equal vectors off the norm's kink. With d = x + eps and
    r = |x|_P:

        dr/dd[i] = (1/P) r^(1-P) P |d[i]|^(P-1) sign(d[i]) = sign(d[i]) (|d[i]| / r)^(P-1).

    That is sign(d) for P = 1 and d/r for P = 2. For P = inf, r = max_i |d[i]|, and the slope is sign(d[i]) at the
    largest entry, 0 elsewhere; equal ones share it evenly. At r = 0, and at d[i] = 0 for P < 1, torch takes 0.

    With `swap`, p may take the anchor's place: |a - n| becomes min(|a - n|, |p - n|), and the smaller has the gradient,
    half each at a tie. Let h = 1 where z >= 0 (torch's choice at the kink), else 0; u, v, w the slopes of |a - p|,
    |a - n|, |p - n|, and s the share of |a - n| (1 without `swap`):

        dl/da = h (u - s v)        dl/dp = -h (u + (1 - s) w)        dl/dn = h (s v + (1 - s) w).

    `anchor`, `positive` and `negative` have one shape, (..., D), l has shape (...). P is above 0, or infinite.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginLoss.html; `swap`: Balntas et al.,
    Learning local feature descriptors with triplets and shallow convolutional neural networks (2016)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: None = None,
        reduce: None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        if not margin > 0:
            raise ValueError(f"TripletMarginLoss(margin={margin}): the margin is above 0")
        if not p > 0:
            raise NotImplementedError(f"TripletMarginLoss does not support p={p} here; take p > 0")
        self.margin, self.p, self.eps, self.swap = float(margin), float(p), float(eps), swap

    @beyond_the_finite()
    def forward(self, anchor: Array, positive: Array, negative: Array) -> tuple[Array, Any]:
        """Return the loss and `saved` = (the differences + eps, z, the share of |a - n|)."""
        check_dtypes("TripletMarginLoss", anchor=anchor, positive=positive, negative=negative)
        check_shapes("TripletMarginLoss", anchor=anchor, positive=positive, negative=negative)
        if anchor.ndim == 0:
            raise ValueError("TripletMarginLoss takes vectors (..., D), not single numbers: give them an axis")
        a_p, a_n, p_n = (v + self.eps for v in (anchor - positive, anchor - negative, positive - negative))
        nearest = norm(a_n, self.p)  # (...,)
        share = np.ones(nearest.shape, nearest.dtype)
        if self.swap:
            other = norm(p_n, self.p)
            a, b = nearest.real, other.real
            share = np.where(a < b, 1, np.where(a == b, 0.5, 0)).astype(nearest.dtype)
            nearest = np.where(a <= b, nearest, other)
        z = self.margin + norm(a_p, self.p) - nearest
        return self._reduce(at_least(z, 0)), (a_p, a_n, p_n, z, share)

    @beyond_the_finite()
    def backward(self, grad_output: Any, saved: Any, *, input_grad: bool = True) -> tuple[Array | None, Array, Array]:
        """Return (grad_anchor, grad_positive, grad_negative)."""
        a_p, a_n, p_n, z, share = saved
        spread = np.where(z >= 0, self._spread(grad_output, z), 0)[..., None]  # (..., 1)
        s = share[..., None]
        u, v, w = (norm_slope(d, self.p) for d in (a_p, a_n, p_n))  # (..., D)
        grad_anchor = spread * (u - s * v) if input_grad else None
        return grad_anchor, -spread * (u + (1 - s) * w), spread * (s * v + (1 - s) * w)


def norm(d: Array, p: float) -> Array:
    """Return (sum_i |d[i]|^p)^(1/p) over the last axis; for p = inf, max_i |d[i]|."""
    size = d * np.sign(d.real)  # np.abs would lose a complex step
    if np.isinf(p):
        largest: Array = size.max(-1)
        return largest
    result: Array = (size**p).sum(-1) ** (1 / p)
    return result


def norm_slope(d: Array, p: float) -> Array:
    """Return dr/dd of r = `norm(d, p)`."""
    size, r = np.abs(d), norm(d, p)[..., None]
    if np.isinf(p):
        largest = size == r
        shared: Array = np.sign(d) * (largest / largest.sum(-1, keepdims=True)).astype(d.dtype)
        return shared
    return np.where(size == 0, 0, np.sign(d) * (size / r) ** (p - 1))
