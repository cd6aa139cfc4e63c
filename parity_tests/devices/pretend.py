"""A pretend accelerator: tensors that say they lie on `pretend:0`, compute on the CPU, and refuse to mix devices.

It is a PrivateUse1 backend in Python: every tensor on it is a wrapper around one on the CPU, and every operation goes
through `Pretend.__torch_dispatch__`. So a constant that a network makes on the CPU is refused, as on a GPU, and
`.numpy()` too, and all copies and all waits of the host are in `LOG`. It shows nothing of a GPU's rounding, streams or
memory.

Registering is for the whole process and cannot be undone: `register()` is for a process of its own.
"""

from typing import Any

import torch
from torch.utils import _pytree as tree
from torch.utils import backend_registration

from parity_tests.devices.cells import CELLS
from torch_impl import device

DEVICE = "pretend"
SETUP = "_setup_privateuseone_for_python_backend"  # torch's own, and private: a version may lack it
MISSING = None if hasattr(backend_registration, SETUP) else f"this PyTorch ({torch.__version__}) has no {SETUP}"
LOG: list[str] = []  # "to device", "to host", and "read" of a number, each of which a host would wait for

aten = torch.ops.aten
COPIES = (aten.copy_.default, aten._copy_from.default)
# What the CPU lacks; and views that conjugate or negate only once they are read, of which the wrapper would not know.
INSTEAD = {**CELLS, aten._conj.default: torch.conj_physical, aten._neg_view.default: torch.neg}
READS = (aten._local_scalar_dense.default, aten.equal.default, aten.nonzero.default)


class Pretend(torch.Tensor):
    """A tensor on the pretend device; `inner` has its numbers."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "Pretend":
        wrapper: Pretend = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(DEVICE, 0),
        )
        wrapper.inner = inner
        return wrapper

    @property
    def data(self) -> torch.Tensor:  # type: ignore[override]
        """The tensor without its history; assigned to, it takes shape and numbers of another."""
        found: torch.Tensor = torch.Tensor.data.__get__(self)  # type: ignore[attr-defined]
        return found

    @data.setter
    def data(self, other: "Pretend") -> None:
        torch.Tensor.data.__set__(self, other)  # type: ignore[attr-defined]
        self.inner = other.inner

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"Pretend({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in COPIES:
            return _copy(func, *args, **kwargs)
        if func is aten._to_copy.default:
            return _to(*args, **kwargs)
        if func in READS:
            LOG.append("read")
        if "device" in kwargs:
            wanted = torch.device(kwargs["device"] or DEVICE).type
            kwargs["device"] = "cpu"
            if wanted == "cpu":
                return func(*tree.tree_map(_inner, args), **tree.tree_map(_inner, kwargs))
        wrappers = {id(leaf.inner): leaf for leaf in tree.tree_leaves((args, kwargs)) if isinstance(leaf, Pretend)}
        compute = INSTEAD.get(func, func)
        found = compute(*tree.tree_map(_on_device(func), args), **tree.tree_map(_on_device(func), kwargs))
        if torch.Tag.inplace_view in func.tags:  # such as transpose_: the wrapper's own shape has to follow
            with torch._C._DisableTorchDispatch():
                func(*args, **kwargs)
        return tree.tree_map_only(torch.Tensor, lambda t: _wrapped(t, wrappers.get(id(t))), found)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, Pretend) else value


def _wrapped(inner: torch.Tensor, known: Pretend | None) -> Pretend:
    """Return a tensor as one on the device; an operation in place returns what it was given, maybe of another size."""
    if known is None:
        return Pretend(inner)
    if known.shape != inner.shape:
        known.data = Pretend(inner)
    return known


def _on_device(func: Any) -> Any:
    def inner(value: Any) -> Any:
        elsewhere = isinstance(value, torch.Tensor) and not isinstance(value, Pretend)
        # As on a GPU, a number without axes may lie on the CPU.
        if elsewhere and (value.dim() or func is aten.index.Tensor):
            raise RuntimeError(f"{func}: expected all tensors to be on {DEVICE}:0, but one is on {value.device}")
        return _inner(value)

    return inner


def _copy(func: Any, first: Any, second: Any, non_blocking: bool = False) -> Any:
    target, source = (first, second) if func is aten.copy_.default else (second, first)
    if isinstance(target, Pretend) != isinstance(source, Pretend):
        LOG.append("to device" if isinstance(target, Pretend) else "to host")
    _inner(target).copy_(_inner(source))
    return target


def _to(tensor: torch.Tensor, *, device: Any = None, **options: Any) -> torch.Tensor:
    options = {key: value for key, value in options.items() if key in ("dtype", "memory_format")}
    found = aten._to_copy.default(_inner(tensor), **options)
    if torch.device(device or DEVICE).type == DEVICE:
        return Pretend(found)
    LOG.append("to host")
    return found


def _empty(size: Any, *, dtype: Any = None, memory_format: Any = None, **_: Any) -> Pretend:
    form = torch.contiguous_format if memory_format is None else memory_format
    return Pretend(torch.empty(size, dtype=dtype, device="cpu", memory_format=form))


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> Pretend:
    return Pretend(torch.empty_strided(size, stride, dtype=dtype, device="cpu"))


def _copy_from(source: Any, target: Any, non_blocking: bool = False) -> Any:
    """Where torch.tensor puts what it was given: it copies below __torch_dispatch__."""
    return _copy(aten._copy_from.default, source, target, non_blocking)


def _keeping_identity(apply: Any) -> Any:
    """A parameter stays the same object when its module moves, as on CUDA: two names of one stay tied."""

    def in_place(module: torch.nn.Module, *arguments: Any, **options: Any) -> torch.nn.Module:
        before = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)
        try:
            moved: torch.nn.Module = apply(module, *arguments, **options)
            return moved
        finally:  # a recurrent layer's weights, which it refers to, cannot be swapped when a state is loaded
            torch.__future__.set_swap_module_params_on_conversion(before)

    return in_place


_libraries: list[Any] = []


def register() -> str:
    """Make the device known to this process, and return its name; RuntimeError where PyTorch lacks the means."""
    if MISSING is not None:
        raise RuntimeError(MISSING)
    if not _libraries:
        getattr(backend_registration, SETUP)(DEVICE)
        library = torch.library.Library("aten", "IMPL")
        library.impl("empty.memory_format", _empty, "PrivateUse1")
        library.impl("empty_strided", _empty_strided, "PrivateUse1")
        library.impl("_copy_from", _copy_from, "PrivateUse1")
        _libraries.append(library)
        device.KINDS += (DEVICE,)  # so that it can be asked for by its name
        setattr(torch.nn.Module, "_apply", _keeping_identity(torch.nn.Module._apply))  # noqa: B010 - mypy
    return DEVICE
