"""A data set in the host's memory, brought to a device batch by batch."""

from contextlib import nullcontext
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, np.dtype[Any]]
Pair = tuple[Tensor, Tensor]


class Batches:
    """Samples (N, ...) and targets (N, ...), of which a device is given some rows at a time.

    Floats are kept in `dtype`, tokens and classes as they are; `inputs` and `targets` are copies on the CPU. `expect`
    starts to bring the rows that `take` will ask for next. On CUDA it gathers them in pinned memory and copies them on
    a stream of their own, beside the step before, and `take` lets the device wait for them, never the host.
    Source: PyTorch, CUDA semantics: pinned memory buffers, and streams.
    """

    def __init__(self, inputs: Array, targets: Array, dtype: torch.dtype, device: torch.device | str) -> None:
        self.device = torch.device(device)
        self.inputs, self.targets = to_tensor(inputs, dtype, "cpu"), to_tensor(targets, dtype, "cpu")
        on_cuda = self.device.type == "cuda"
        self.stream = torch.cuda.Stream(self.device) if on_cuda else None  # type: ignore[no-untyped-call]
        self._ahead: tuple[Array, Pair] | None = None

    def expect(self, rows: Array) -> None:
        """Start to bring these rows; on the CPU, where they lie already, do nothing."""
        if self.device.type != "cpu":
            with nullcontext() if self.stream is None else torch.cuda.stream(self.stream):
                self._ahead = (rows.copy(), self._bring(rows))

    def take(self, rows: Array) -> Pair:
        """Return inputs (rows, ...) and targets (rows, ...) on the device; rows that were not expected come now."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or not np.array_equal(ahead[0], rows):
            return self._bring(rows)
        if self.stream is not None:
            here = torch.cuda.current_stream(self.device)
            here.wait_stream(self.stream)
            for tensor in ahead[1]:
                tensor.record_stream(here)  # it was allocated on the other stream, which must not reuse it too early
        return ahead[1]

    @cached_property
    def whole(self) -> Pair:
        """All inputs and all targets on the device, brought there when they are first asked for."""
        return self.inputs.to(self.device), self.targets.to(self.device)

    def replace(self, inputs: Tensor, targets: Tensor) -> None:
        """Let these be the samples from now on."""
        self.inputs, self.targets = inputs.cpu(), targets.cpu()
        self._ahead = None
        self.__dict__.pop("whole", None)

    def _bring(self, rows: Array) -> Pair:
        index = torch.as_tensor(rows, device="cpu")
        if self.device.type == "cpu":
            return self.inputs[index], self.targets[index]
        return self._copy(self.inputs, index), self._copy(self.targets, index)

    def _copy(self, values: Tensor, index: Tensor) -> Tensor:
        """Return the rows of a tensor on the device; from pinned memory the host need not wait for the copy."""
        pinned = self.stream is not None
        found = torch.empty((len(index), *values.shape[1:]), dtype=values.dtype, device="cpu", pin_memory=pinned)
        torch.index_select(values, 0, index, out=found)
        return found.to(self.device, non_blocking=pinned)


def to_tensor(values: Array, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Return a copy of an array as a tensor: floats in `dtype`, tokens and classes as they are.

    torch.tensor copies; torch.from_numpy would share memory with the other side.
    """
    floats = np.asarray(values).dtype.kind == "f"
    return torch.tensor(values, dtype=dtype if floats else None, device=device)
