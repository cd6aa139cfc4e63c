"""The fixture `parity_check`, and the one name `check` with all checks under it."""

import inspect
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import handgrad
from handgrad import check, cmp
from handgrad.checking.functions import check_function
from handgrad.checking.modules import check_module
from handgrad.checking.optimizers import check_optimizer
from parity_tests.checking.functions import gate, reference
from parity_tests.checking.layers import Linear
from parity_tests.checking.networks import backward, forward, make
from parity_tests.checking.test_module import TorchLinear

X = np.random.default_rng(0).normal(size=(5, 4))


def sgd(rate):
    return lambda params, grads, state: {name: p - rate * grads[name] for name, p in params.items()}


def torch_sgd(tensors):
    return torch.optim.SGD(tensors, lr=0.1)


CASES = {
    "network": (
        lambda check, wrong: check(forward, lambda p, i: backward(p, i, wrong), *make(np.random.default_rng(0))),
        "twice",
        "dz1",
    ),
    "module": (lambda check, wrong: check.module(Linear(4, 3, wrong), TorchLinear(4, 3), X), "bias left out", "output"),
    "function": (lambda check, wrong: check.function(gate(wrong), reference, X, X[0]), "forward", "output0"),
    "optimizer": (lambda check, wrong: check.optimizer(sgd(0.2 if wrong else 0.1), torch_sgd), "rate", "W at step 1"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_fixture(parity_check, case):
    """Right code passes; wrong code fails the test, with the report as the message."""
    run, wrong, first = CASES[case]
    assert run(parity_check, "").ok
    with pytest.raises(AssertionError, match=f"WRONG: {first} goes wrong first"):
        run(parity_check, wrong)


def test_names_of_the_package():
    assert handgrad.__all__ == ["check", "cmp", "from_torch", "to_torch"]
    assert handgrad.cmp is cmp
    assert (check.module, check.function, check.optimizer) == (check_module, check_function, check_optimizer)
    assert list(inspect.signature(check).parameters)[:4] == ["forward", "backward", "params", "inputs"]
    with pytest.raises(AttributeError, match="no attribute 'chek'"):
        handgrad.chek  # noqa: B018


def test_the_entry_point_is_the_plugin_of_this_run(request):
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    ((name, module),) = project["project"]["entry-points"]["pytest11"].items()
    assert name == module, "registered under another name, pytest would take it for a second plugin beside conftest's"
    assert request.config.pluginmanager.get_plugin(name) is import_module(module)


def test_neither_the_package_nor_its_plugin_imports_torch():
    code = "import sys, handgrad, handgrad.pytest_plugin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
