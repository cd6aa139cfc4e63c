"""Options of the whole test run. This file stands at the root so that pytest knows them from any folder."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from parity_tests.devices import chosen

ROOT = Path(__file__).parent
pytest_plugins = ["handgrad.pytest_plugin"]

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks are small: more threads only cost


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=10, help="how often a training is killed and gone on with")
    parser.addoption("--device", default="cpu", help="where autograd's side runs: cpu, cuda, cuda:N or mps")


def pytest_configure(config: pytest.Config) -> None:
    name: str = config.getoption("--device")
    if not re.fullmatch(r"cpu|cuda(:\d+)?|mps|pretend", name):  # a slip would skip nearly everything, and stay green
        raise pytest.UsageError(f"--device {name!r}: use cpu, cuda, cuda:N or mps")
    chosen.choose(name)
    if name == "pretend":  # for the tests of the tests: see parity_tests/devices/pretend.py
        from parity_tests.devices.pretend import register

        register()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is for another device than this run's, with the reason."""
    for item in items:
        reason = _not_here(item)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))


def _not_here(item: pytest.Item) -> str | None:
    if item.get_closest_marker("gpu"):
        return chosen.no_gpu()
    if item.get_closest_marker("pretend") and chosen.NAME != "pretend":
        return "on the pretend device alone: test_pretend.py runs it there"
    if chosen.NAME == "cpu":
        return None
    only = item.get_closest_marker("cpu_only")
    stays = only.args[0] if only else chosen.stays(item.path.relative_to(ROOT / "parity_tests").as_posix())
    if stays is not None and "device" not in getattr(item, "fixturenames", ()):
        return f"on the CPU alone: {stays}"
    given = getattr(item, "callspec", None)
    dtype = given.params.get("dtype") if given is not None else None
    return chosen.refused(dtype if isinstance(dtype, str) else "float64")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let a test's tensors be made on the device, where it does not place them itself."""
    if chosen.NAME == "cpu" or "device" in getattr(item, "fixturenames", ()):
        return (yield)
    import torch

    with torch.device(chosen.NAME):
        return (yield)


@pytest.fixture(params=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> str:
    """Both precisions."""
    return str(request.param)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    """The device of autograd's side; a test is skipped, with the reason, where it is absent or lacks the dtype."""
    return chosen.device(request.getfixturevalue("dtype") if "dtype" in request.fixturenames else "float64")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend a machine: machine(cuda=2) has two CUDA devices, machine(mps=True) an Apple GPU."""
    import torch

    def pretend(cuda: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        properties = SimpleNamespace(name="NVIDIA of a test", total_memory=2**34)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)

    return pretend
