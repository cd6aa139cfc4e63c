"""Clipping of gradients, as in torch.nn.utils."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from manual.module import Array, Parameter, unsupported

Parameters = Parameter | Iterable[Parameter]


def clip_grad_norm_(
    parameters: Parameters,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Array:
    """Scale all gradients by one factor, so that together their norm is at most `max_norm`; return the norm before.

        total = (sum_p |g_p|^norm_type)^(1 / norm_type)      |g_p|: the norm of one parameter's gradient
        c     = min(1, max_norm / (total + 1e-6))
        g_p  <- c g_p

    All gradients are one vector here. One factor for all keeps its direction, which a factor for each would turn. The
    norm of the norms is the norm of the whole, since (sum_i |x_i|^q)^(1/q), q = norm_type, is to the power q a sum over
    the entries, in any grouping; for infinity a maximum is. 1e-6 keeps the division off 0; with it gradients of norm
    max_norm exactly shrink as well, by 1e-6 / max_norm.

    A norm that is infinite makes finite gradients 0 and infinite ones NaN, a NaN all NaN; `error_if_nonfinite` raises
    RuntimeError instead, and changes nothing. (2-norms square: 1e200 gives inf, as in torch.) Parameters without
    gradient are left out; without any the norm is 0. `norm_type` may be 0 too, with torch's meaning, the number of
    gradients that are not all 0. Each `.grad` is replaced, not written to. `foreach` chooses torch's engine, not the
    mathematics, and is not supported.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html; Pascanu, Mikolov and
    Bengio, arXiv:1211.5063
    """
    unsupported("clip_grad_norm_", foreach=foreach or None)
    pairs = _with_gradients(parameters, "clip_grad_norm_")
    total = get_total_norm([grad for _, grad in pairs], norm_type, error_if_nonfinite)
    clip_grads_with_norm_([parameter for parameter, _ in pairs], max_norm, total)
    return total


def get_total_norm(
    tensors: Array | Iterable[Array],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Array:
    """Return the norm of all entries of all arrays, 0 of no arrays; see `clip_grad_norm_`."""
    unsupported("get_total_norm", foreach=foreach or None)
    norms = [_norm(x, float(norm_type)) for x in ([tensors] if isinstance(tensors, np.ndarray) else tensors)]
    if not norms:
        return np.zeros((), np.float32)
    total = np.asarray(_norm(norms, float(norm_type)))
    if error_if_nonfinite and not np.isfinite(total):
        raise RuntimeError(
            f"the norm of the gradients is {total}, which nothing can be scaled by; look for the parameter whose "
            "gradient is not finite, or pass error_if_nonfinite=False"
        )
    return total


def clip_grads_with_norm_(
    parameters: Parameters, max_norm: float, total_norm: Array | float, foreach: bool | None = None
) -> None:
    """Scale all gradients by min(1, max_norm / (total_norm + 1e-6)); see `clip_grad_norm_`."""
    unsupported("clip_grads_with_norm_", foreach=foreach or None)
    for p, grad in _with_gradients(parameters, "clip_grads_with_norm_"):
        with np.errstate(all="ignore"):  # inf * 0 is NaN, as in torch
            c = np.minimum(max_norm / (total_norm + 1e-6), 1.0)
            p.grad = np.asarray(grad * c.astype(p.dtype))


def clip_grad_value_(parameters: Parameters, clip_value: float, foreach: bool | None = None) -> None:
    """Keep every entry of every gradient in [-clip_value, clip_value]: g <- min(max(g, -clip_value), clip_value).

    This turns the direction of the gradient: entries that are too large become equal. NaN stays NaN. Each `.grad` is
    replaced, not written to. `foreach` chooses torch's engine, not the mathematics, and is not supported.

    Source: https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_value_.html
    """
    unsupported("clip_grad_value_", foreach=foreach or None)
    for p, grad in _with_gradients(parameters, "clip_grad_value_"):
        p.grad = np.asarray(np.minimum(np.maximum(grad, -float(clip_value)), float(clip_value)))


def _with_gradients(parameters: Parameters, who: str) -> list[tuple[Parameter, Array]]:
    given = [parameters] if isinstance(parameters, Parameter) else list(parameters)
    if not all(isinstance(parameter, Parameter) for parameter in given):
        raise TypeError(f"{who} takes parameters; pass network.parameters()")
    return [(parameter, parameter.grad) for parameter in given if parameter.grad is not None]


def _norm(x: Array | list[Any], order: float) -> Any:
    """Return (sum |x|^order)^(1/order); the largest |x| for inf, the smallest for -inf, the number of x != 0 for 0."""
    size = np.abs(x)
    if not size.size and (order < 0 or order == np.inf):
        raise ValueError(f"an empty gradient has no norm of order {order}; leave its parameter out")
    if order == np.inf:
        return size.max()
    if order == -np.inf:
        return size.min()
    if order == 0:
        return (size != 0).sum(dtype=size.dtype)
    with np.errstate(all="ignore"):  # what is too large becomes inf, as in torch
        return (size**order).sum() ** (1 / order)
