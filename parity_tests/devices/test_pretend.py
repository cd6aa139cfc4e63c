"""`pytest --device pretend`, in a process of its own: registering the device is for a whole process."""

import re
import subprocess
import sys

import pytest

from parity_tests.devices.pretend import MISSING

QUICK = (
    "devices/test_on_pretend.py",
    "devices/test_moved.py",
    "devices/test_batches.py",
    "nn/loss/test_regression.py",
    "nn/loss/test_classification.py",
    "nn/test_linear.py",
    "nn/activation/test_elementwise.py",
    "nn/conv/test_convolution.py",
    "nn/test_batchnorm.py",
    "nn/normalization/test_layer_norm.py",
    "nn/rnn/test_cells.py",
    "optim/test_sgd.py",
    "networks",
)
ONE = "not float64"  # precision, where a test has both


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
def test_parity_holds_on_a_pretend_device():
    """A quick part of the parity tests, by the rule that they have on the CPU, and the tests that are for it alone."""
    files = [f"parity_tests/{name}" for name in QUICK]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--device", "pretend", "-k", ONE, *files]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
    passed = int(re.search(r"(\d+) passed", found.stdout)[1])
    assert passed > 900, found.stdout[-300:]
    assert "failed" not in found.stdout
