"""Options of the whole test run. This file stands at the root so that pytest knows them from any folder."""

import os
import re

import pytest

pytest_plugins = ["handgrad.pytest_plugin"]

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks are small: more threads only cost


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=10, help="how often a training is killed and gone on with")
    parser.addoption("--device", default="cpu", help="where autograd's side runs: cpu, cuda, cuda:N or mps")


def pytest_configure(config: pytest.Config) -> None:
    name: str = config.getoption("--device")
    if not re.fullmatch(r"cpu|cuda(:\d+)?|mps", name):  # a slip would skip nearly everything, and stay green
        raise pytest.UsageError(f"--device {name!r}: use cpu, cuda, cuda:N or mps")


@pytest.fixture(params=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> str:
    """Both precisions."""
    return str(request.param)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    """The device of autograd's side; a test is skipped, with the reason, where it is absent or lacks the dtype."""
    import torch

    from torch_impl.device import pick_device

    name: str = request.config.getoption("--device")
    precision = request.getfixturevalue("dtype") if "dtype" in request.fixturenames else "float64"
    try:
        pick_device(name, getattr(torch, precision))
    except ValueError as error:
        pytest.skip(str(error))
    return name
