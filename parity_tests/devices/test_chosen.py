"""`pytest --device NAME`: every parity test moves, or says why not."""

import re
import subprocess
import sys

import pytest

from parity_tests.commands.commands import ROOT
from parity_tests.devices import chosen

TESTS = ROOT / "parity_tests"
MOVING = [path for path in sorted(TESTS.rglob("*.py")) if chosen.stays(path.relative_to(TESTS).as_posix()) is None]
PLANTED = "one.network.register_forward_hook("  # test_numpy_within_a_step_is_caught makes the mistake on purpose


def test_what_stays_on_the_cpu_exists():
    for place in chosen.STAYS:
        assert (TESTS / place).exists(), place


@pytest.mark.parametrize("path", MOVING, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_no_test_that_moves_takes_an_array_from_a_device(path):
    """A tensor of an accelerator has no `.numpy()`: it comes to the host first, by `.cpu()`."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if re.search(r"(?<!cpu\(\))\.numpy\(\)(?!`)", line) and PLANTED not in line] == []


def pytest_on(device, *arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--device", device, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)


@pytest.mark.skipif(chosen.no_gpu() is None, reason="there is a CUDA device")
def test_where_there_is_no_such_device_tests_are_skipped_with_the_reason():
    found = pytest_on("cuda", "parity_tests/nn/test_linear.py", "parity_tests/house/test_layout.py").stdout
    assert re.search(r"SKIPPED .*test_linear.py.*: --device cuda: this PyTorch", found), found
    assert re.search(r"SKIPPED .*test_layout.py.*: on the CPU alone: no tensor takes part", found), found
    assert not re.search(r"\d+ (passed|failed|error)", found), found


def test_another_name_is_refused():
    found = pytest_on("cdua", "parity_tests/nn/test_linear.py")
    assert found.returncode == 4
    assert "--device 'cdua': use cpu, cuda, cuda:N or mps" in found.stderr
