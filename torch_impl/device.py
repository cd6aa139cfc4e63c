"""Which device the tensor path runs on."""

import torch


def pick_device(name: str, dtype: torch.dtype) -> torch.device:
    """Return the device called `name`: cpu, auto, cuda, cuda:N or mps.

    `auto` takes an accelerator that is there and has `dtype`, else the CPU. A device asked for by name is
    never replaced by another: ValueError says why it cannot be used.
    """
    if name == "auto":
        return _accelerator(dtype) or torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"{name!r} is not a device; use cpu, auto, cuda, cuda:N or mps") from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            built = "finds no CUDA device" if torch.version.cuda is not None else "is built without CUDA"
            raise ValueError(f"--device {name}: this PyTorch ({torch.__version__}) {built}; use cpu or auto")
        if device.index is not None and device.index >= count:
            raise ValueError(f"--device {name}: there are {count} CUDA devices; use cuda:0 to cuda:{count - 1}")
    elif device.type == "mps":
        if not torch.backends.mps.is_available():
            raise ValueError("--device mps: no Apple GPU is available to this PyTorch; use cpu or auto")
        if dtype == torch.float64:
            raise ValueError("--device mps: it has no float64; use --dtype float32 or --device cpu")
    elif device.type != "cpu" or device.index is not None:
        raise ValueError(f"{name!r} is not supported; use cpu, auto, cuda, cuda:N or mps")
    return device


def _accelerator(dtype: torch.dtype) -> torch.device | None:
    for name in ("cuda", "mps"):
        try:
            return pick_device(name, dtype)
        except ValueError:
            continue
    return None


def full_precision() -> None:
    """Switch TF32 off for matrix products and convolutions: its 10-bit mantissa is off by 3e-4."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
