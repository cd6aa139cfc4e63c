"""check.jax(f): a function of JAX arrays as one of tensors, its backward JAX's, so that check.function can take it."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch

from handgrad.checking.record import Tensor
from handgrad.errors import UsageError


def from_jax(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return `fn` for tensors; its gradient is jax.vjp's, and so that of a jax.custom_vjp.

    Raises UsageError where JAX is not installed, or would round float64 to float32 without a word.
    """
    try:
        jax: Any = import_module("jax")
    except ImportError:
        raise UsageError("check.jax needs JAX, which is not installed; pip install jax") from None

    def to_jax(t: Tensor) -> Any:
        if t.dtype == torch.float64 and not jax.config.jax_enable_x64:
            raise UsageError(
                "JAX rounds float64 to float32 here; first write jax.config.update('jax_enable_x64', True)"
            )
        plain = t.detach().cpu()  # NumPy has no bfloat16, so that goes through float32, which holds it
        array = jax.numpy.asarray((plain.float() if t.dtype == torch.bfloat16 else plain).numpy())
        return array.astype(str(t.dtype).removeprefix("torch."))

    def to_torch(a: Any, like: Tensor) -> Tensor:
        wide = "float64" if str(a.dtype) == "float64" else "float32"
        return torch.tensor(jax.device_get(a.astype(wide))).to(getattr(torch, str(a.dtype))).to(like.device)

    class _Jax(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Tensor) -> Any:
            out, ctx.pullback = jax.vjp(fn, *[to_jax(t) for t in tensors])
            leaves, ctx.structure = jax.tree_util.tree_flatten(out)
            ctx.inputs = tensors
            outputs = tuple(to_torch(leaf, tensors[0]) for leaf in leaves)
            return outputs if len(outputs) > 1 else outputs[0]

        @staticmethod
        def backward(ctx: Any, *upstream: Any) -> Any:
            handed = jax.tree_util.tree_unflatten(ctx.structure, [to_jax(g) for g in upstream])
            grads = ctx.pullback(handed)
            return tuple(
                to_torch(g, t) if t.is_floating_point() else None for g, t in zip(grads, ctx.inputs, strict=True)
            )

    apply: Callable[..., Any] = _Jax.apply
    return apply
