"""Where autograd's side of the parity tests runs: `pytest --device NAME` sets it here, and all helpers ask here.

A test needs to do nothing for it. Its torch tensors and modules are made on the device (torch's default device), the
helpers of parity.py and sides.py move what they are given, and the hand-written side and the truth stay on the CPU. A
test that asks for the fixture `device` places its tensors itself; there torch's default stays the CPU, so that a
constant that a network makes without a device is found out.
"""

import pytest

NAME = "cpu"


def choose(name: str) -> None:
    """Let this be the device, also of what handgrad puts on the CPU where no device is named."""
    global NAME
    NAME = name
    if name == "cpu":
        return
    from handgrad.comparison import Comparison, compare
    from handgrad.torch_side import TorchSide
    from handgrad.trace import Trace

    for function in (TorchSide.__init__, Comparison.__init__, compare, Trace.__init__):
        function.__defaults__ = tuple(name if value == "cpu" else value for value in function.__defaults__)


def device(dtype: str = "float64") -> str:
    """Return the device; where it is absent or lacks the dtype, skip the test that asks, with the reason."""
    reason = refused(dtype)
    if reason is not None:
        pytest.skip(reason)
    return NAME


def refused(dtype: str) -> str | None:
    """Return why the device cannot be used for a dtype; None where it can."""
    if NAME == "cpu":  # without torch: some tests run where it is hidden
        return None
    import torch

    from torch_impl.device import pick_device

    try:
        pick_device(NAME, getattr(torch, dtype))
    except ValueError as error:
        return str(error)
    return None


def no_gpu() -> str | None:
    """Return why no test can run on a GPU; None where one can."""
    import torch

    from torch_impl.device import refusal

    refused = refusal(torch.device("cuda"), torch.float32)
    return refused and f"only on a GPU, and {refused[0]}"


# What stays on the CPU, under every --device, and why. A test there that asks for the fixture `device` moves.
STAYS = {
    "checking": "it checks a user's backward where the user's own arrays lie",
    "commands": "commands run in processes of their own; gpu tests run them with --device cuda",
    "data": "no tensor takes part",
    "derivations": "no tensor takes part",
    "explaining": "explain.py shows autograd on the CPU, where its nodes have these names",
    "house": "no tensor takes part",
    "mistakes": "mistakes are planted in NumPy and found on the CPU",
    "mutants": "no tensor takes part",
    "values": "the file has the numbers of torch on the CPU",
    "test_convert.py": "a module is turned into NumPy and back, on the CPU",
    "test_errata.py": "the tutorials' mistakes are run on the CPU",
    "test_errata_command.py": "the tutorials' mistakes are run on the CPU",
    "test_lockstep.py": "mistakes are planted in NumPy and found on the CPU",
    "test_module.py": "it is about the hand-written contract",
    "test_mutants.py": "mistakes are planted in NumPy and found on the CPU",
    "tracing/test_bound.py": "the bound is one for NumPy and for torch on the CPU",
    "tracing/test_exact.py": "bit for bit is promised for the CPU alone",
    "tracing/test_nine_scalars.py": "bit for bit is promised for the CPU alone",
    "tracing/test_units.py": "rounding is measured by autograd in float64 on the CPU",
}


def stays(path: str) -> str | None:
    """Return why the tests of a file, named from parity_tests on, stay on the CPU; None where they move."""
    return next((why for place, why in STAYS.items() if path == place or path.startswith(f"{place}/")), None)
