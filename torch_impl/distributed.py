"""Several processes that train one network: torch.distributed, with gloo on CPUs and nccl on GPUs."""

import atexit
import gc
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from torch_impl.device import WORKSPACE, pick_device

Array = np.ndarray[Any, np.dtype[Any]]
TIMEOUT = timedelta(seconds=50)  # that a process waits for one that does not answer


def own_device(name: str, local_rank: int, on_this_machine: int) -> torch.device:
    """Return the device of one process: the CPU, which all share, or of the machine's GPUs the one of its number.

    Raises ValueError where there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith(("mps", "cuda:")) and on_this_machine > 1:
        raise ValueError(f"--device {name}: {on_this_machine} processes cannot share it; use cpu, cuda or auto")
    if name == "cuda" and 0 < (count := torch.cuda.device_count()) < on_this_machine:  # so all raise, and none waits
        raise ValueError(
            f"--device cuda: {on_this_machine} processes, but {count} CUDA devices; start {count}, or use cpu"
        )
    return pick_device(f"cuda:{local_rank}" if name == "cuda" else name, torch.float32)


def meet(init_method: str, rank: int, world: int) -> Store:
    """Return the store in which the processes find each other: env:// as torchrun has set it, or file://PATH."""
    store: Store = next(rendezvous(init_method, rank, world, timeout=TIMEOUT))[0]
    return store


@contextmanager
def group(store: Store, rank: int, world: int, device: torch.device, one_machine: bool) -> Iterator[None]:
    """Join the processes; what lies on the host goes by gloo, what lies on a GPU by nccl."""
    if one_machine and not _name_resolves():
        loopback = (name for _, name in socket.if_nameindex() if name in ("lo", "lo0"))
        os.environ.setdefault("GLOO_SOCKET_IFNAME", next(loopback, "lo"))
    if device.type == "cuda":
        os.environ.setdefault(WORKSPACE, ":4096:8")  # in time, should the training be asked to be deterministic
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=TIMEOUT)
    atexit.register(_let_go, [dist.group.WORLD])
    try:
        yield
    finally:
        dist.destroy_process_group()


def _let_go(kept: list[Any]) -> None:
    """Let the group go when all that has used it is gone.

    Its destructor waits for threads that may be waiting for the interpreter's lock. It gives up that lock first where
    the last reference to it is Python's (pytorch/pytorch#154976), but not where it is DistributedDataParallel's: half
    of all short trainings hung in the end.
    """
    gc.collect()
    kept.clear()


def _name_resolves() -> bool:
    try:
        socket.getaddrinfo(socket.gethostname(), None)
    except OSError:
        return False
    return True


def summed(values: Array) -> Array:
    """Return the sum of an array over all processes; all of them get the same bits."""
    tensor = torch.tensor(values)
    dist.all_reduce(tensor)
    total: Array = tensor.numpy()
    return total


def largest(values: tuple[int, ...]) -> tuple[int, ...]:
    """Return the largest of each number over all processes."""
    tensor = torch.tensor(values)
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
    return tuple(tensor.tolist())


def gathered(value: Any, world: int) -> list[Any]:
    """Return what every process has given, by rank."""
    found: list[Any] = [None] * world
    dist.all_gather_object(found, value)
    return found


def first_to_tell(store: Store) -> bool:
    """Return whether this process is the first that asks; where the store has gone with its process, each is."""
    try:
        return int(store.add("told", 1)) == 1
    except dist.DistError:
        return True


def lost(error: RuntimeError) -> bool:
    """Return whether an error means that another process has ended or does not answer.

    gloo raises a plain RuntimeError, which only its text tells from others.
    """
    return isinstance(error, dist.DistError) or "/gloo/" in str(error)
