"""Which device the tensor path runs on, and how exactly it computes there."""

import os
import platform
import warnings
from typing import Any

import torch

KINDS: tuple[str, ...] = ("cpu", "cuda", "mps")
FULL_PRECISION = "float32 at full precision (TF32 off)"
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


def pick_device(name: str, dtype: torch.dtype) -> torch.device:
    """Return the device called `name`: cpu, auto, cuda, cuda:N or mps.

    `auto` takes an accelerator that is there and has `dtype`, else the CPU. A device asked for by name is
    never replaced by another: ValueError says why it cannot be used.
    """
    if name == "auto":
        return next((torch.device(kind) for kind in ("cuda", "mps") if not refusal(torch.device(kind), dtype)), _CPU)
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"{name!r} is not a device; use cpu, auto, cuda, cuda:N or mps") from None
    if device.type not in KINDS or (device.type == "cpu" and device.index is not None):
        raise ValueError(f"{name!r} is not supported; use cpu, auto, cuda, cuda:N or mps")
    refused = refusal(device, dtype)
    if refused is not None:
        raise ValueError(f"--device {name}: {'; '.join(refused)}")
    return device


_CPU = torch.device("cpu")


def refusal(device: torch.device, dtype: torch.dtype) -> tuple[str, str] | None:
    """Return why a device cannot be used for this dtype, and what to do instead; None where it can."""
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            built = "finds no CUDA device" if torch.version.cuda is not None else "is built without CUDA"
            return f"this PyTorch ({torch.__version__}) {built}", "use cpu or auto"
        if device.index is not None and device.index >= count:
            return f"there are {count} CUDA devices", f"use cuda:0 to cuda:{count - 1}"
    if device.type == "mps":
        if not torch.backends.mps.is_available():
            return "no Apple GPU is available to this PyTorch", "use cpu or auto"
        if dtype == torch.float64:
            return "it has no float64", "use --dtype float32 or --device cpu"
    return None


def full_precision() -> None:
    """Switch TF32 off for matrix products, convolutions and recurrent layers: its 10-bit mantissa is off by 3e-4.

    Since PyTorch 2.9 each has a `fp32_precision`, and the flags before it, `allow_tf32`, are still read; where the two
    differ, reading the old ones raises. So both are set, the old ones first. Source: PyTorch, CUDA semantics, TF32.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some versions say at the old flags that there are new ones
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    for part in _fp32_parts():
        part.fp32_precision = "ieee"


def is_full_precision() -> bool:
    """Return whether float32 is computed as float32, with TF32 off, wherever it could be on."""
    parts = _fp32_parts()
    if parts:
        return all(part.fp32_precision == "ieee" for part in parts)
    return not (torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32)


def _fp32_parts() -> list[Any]:
    """Return what has a precision for float32 of its own; before PyTorch 2.9 nothing has."""
    cudnn: Any = torch.backends.cudnn
    if not hasattr(cudnn, "conv"):
        return []
    return [torch.backends, torch.backends.cuda.matmul, cudnn, cudnn.conv, cudnn.rnn]


def deterministic() -> None:
    """Let every operation give the same bits each time; one that cannot raises RuntimeError when it is met.

    It has to come before the first work on a CUDA device, since cuBLAS reads its workspace's size when it starts:
    ValueError where it comes too late. Source: PyTorch, Reproducibility.
    """
    if WORKSPACE not in os.environ and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        raise ValueError(f"CUDA has started without {WORKSPACE}; set it to :4096:8 before the program starts")
    os.environ.setdefault(WORKSPACE, ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def report(device: torch.device | str) -> dict[str, Any]:
    """Return what a device is and how it computes, as plain values; None for what it does not have.

    `memory` counts bytes. `driver` is the newest CUDA that the driver serves.
    """
    device = torch.device(device)
    on_cuda = device.type == "cuda"
    named, memory = _cuda(device) if on_cuda else (platform.processor() or platform.machine(), _memory())
    return {
        "device": str(device),
        "name": named,
        "memory": memory,
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
        "cudnn": torch.backends.cudnn.version() if on_cuda else None,  # type: ignore[no-untyped-call]
        "driver": _driver() if on_cuda else None,
        "tf32": not is_full_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "benchmark": torch.backends.cudnn.benchmark,
        "threads": torch.get_num_threads(),
    }


def _cuda(device: torch.device) -> tuple[str, int]:
    properties = torch.cuda.get_device_properties(device)
    return properties.name, properties.total_memory


def _driver() -> str | None:
    version = getattr(torch._C, "_cuda_getDriverVersion", int)()
    return f"{version // 1000}.{version % 1000 // 10}" if version else None


def _memory() -> int | None:
    names = getattr(os, "sysconf_names", {})  # Windows has none
    if {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= set(names):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None
