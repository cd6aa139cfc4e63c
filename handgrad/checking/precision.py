"""Lower precisions: the error of a function against float64, beside the error of the plain formula in that dtype.

This is how fused kernels are judged: nobody can be closer than the formula in the same dtype by right, and no kernel
has to be; twice its error is allowed, and one rounding of the tensor's size, for where the formula is exact by luck.
"""

from collections.abc import Iterator

import numpy as np
import torch

from handgrad.checking.calls import Call
from handgrad.checking.record import Array
from handgrad.checking.report import Row

TIMES = 2.0


def precision_rows(call: Call, dtype: torch.dtype, rng: np.random.Generator) -> Iterator[tuple[Row, float, float]]:
    """Yield (row, the function's largest error, the formula's) for every output and gradient in this dtype."""
    eps = torch.finfo(dtype).eps
    rounded = {name: t.detach() for name, t in call.tensors(call.inputs, dtype).items()}
    shapes = [
        tuple(o.shape)
        for o in call.outputs(call.reference, call.tensors(call.inputs, torch.float64, torch.device("cpu")))
    ]
    # What the lower precision holds is where all three start from: float64 has it without error.
    upstream = [torch.tensor(rng.standard_normal(shape)).to(dtype) for shape in shapes]
    inputs = {n: (t.double() if t.is_floating_point() else t).cpu().numpy() for n, t in rounded.items()}
    found = [
        _run(call, function, inputs, kind, upstream, device)
        for function, kind, device in (
            (call.reference, torch.float64, torch.device("cpu")),
            (call.reference, dtype, call.device),
            (call.fn, dtype, call.device),
        )
    ]
    for name, true in found[0].items():
        plain, given = (_error(part[name], true) for part in found[1:])
        finite = np.abs(true[np.isfinite(true)])
        unit = eps * float(finite.max(initial=0.0))
        allowed = TIMES * (plain if np.isfinite(plain) else 0.0) + unit
        label = f"{name} in {str(dtype).removeprefix('torch.')}"
        size = unit / eps
        units = given / unit if unit else float(given > 0)
        wrong = "wrong" if given > allowed and not (np.isinf(given) and np.isinf(plain)) else ""
        yield Row(label, given, given / size if size else float(given > 0), units, wrong), given, plain


def _run(
    call: Call,
    function: object,
    inputs: dict[str, Array],
    dtype: torch.dtype,
    upstream: list[torch.Tensor],
    device: torch.device,
) -> dict[str, Array]:
    tensors = call.tensors(inputs, dtype, device)
    outputs = call.outputs(function, tensors)  # type: ignore[arg-type]
    handed = [g.to(dtype).to(device) for g in upstream]
    grads = call.grads(outputs, tensors, handed)
    several = len(outputs) > 1
    values = {f"output{number}" if several else "output": o.detach() for number, o in enumerate(outputs)}
    values |= {f"d{name}": g for name, g in grads.items()}
    return {name: t.double().cpu().numpy() for name, t in values.items()}


def _error(given: Array, true: Array) -> float:
    """Return the largest error; infinite where one side alone is not finite."""
    if given.shape != true.shape:
        return float("inf")
    with np.errstate(all="ignore"):
        error = np.where((given == true) | (np.isnan(given) & np.isnan(true)), 0.0, np.abs(given - true))
    return float(np.where(np.isnan(error), np.inf, error).max(initial=0.0))
