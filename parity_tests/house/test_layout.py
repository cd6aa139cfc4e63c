"""The layout: which way imports run, what --help loads, and that the two sides have the same names."""

import ast
import sys
from pathlib import Path

import pytest

from parity_tests.commands.commands import ROOT, shell

MAY_IMPORT = {
    "manual": set(),
    "torch_impl": set(),
    "handgrad": {"manual", "torch_impl"},
    "scripts": {"manual", "torch_impl", "handgrad"},
}
OUTSIDE = {"manual": {"numpy"}, "torch_impl": {"numpy", "torch"}}
SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("[a-z]*.py"))


def imported(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package):
    for path in (ROOT / package).rglob("*.py"):
        for name in imported(path):
            if name in MAY_IMPORT and name != package:
                assert name in MAY_IMPORT[package], f"{path} imports {name}"
            if package in OUTSIDE and name not in MAY_IMPORT:
                assert name in OUTSIDE[package] or name in sys.stdlib_module_names, f"{path} imports {name}"


def test_manual_works_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np, manual.nn, manual.optim, manual.networks, manual.trainer\n"
        "print(manual.networks.Neuron([0, 1], 4).feedforward([2, 3]))"
    )
    done = shell("-c", code)
    assert done.stdout.strip() == "0.9990889488055994", done.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_imports_neither_torch_nor_numpy(name):
    code = (
        f"import sys, importlib\nmain = importlib.import_module('scripts.{name}').main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as e:\n    assert not e.code\n"
        "print('LOADED', sorted({'torch', 'numpy'} & set(sys.modules)))"
    )
    done = shell("-c", code)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
    assert "LOADED []" in done.stdout


def test_every_network_has_a_twin_and_a_test():
    names = {path.name for path in (ROOT / "manual" / "networks").glob("[a-z]*.py")}
    assert names == {path.name for path in (ROOT / "torch_impl" / "networks").glob("[a-z]*.py")}
    assert {f"test_{name}" for name in names} <= {
        path.name for path in (ROOT / "parity_tests" / "networks").glob("*.py")
    }


def test_every_layer_beyond_torchs_has_a_twin_and_a_test():
    names = {path.name for path in (ROOT / "torch_impl" / "nn").glob("[a-z]*.py")}
    assert names <= {path.name for path in (ROOT / "manual" / "nn").glob("[a-z]*.py")}
    assert {f"test_{name}" for name in names} <= {path.name for path in (ROOT / "parity_tests" / "nn").glob("*.py")}


def test_torch_impl_computes_no_gradient_by_hand():
    """No backward is defined or fed there: the only call is `loss.backward()`."""
    for path in (ROOT / "torch_impl").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.FunctionDef) and node.name == "backward"), path
            if isinstance(node, ast.Attribute) and node.attr in ("grad", "autograd", "Function"):
                raise AssertionError(f"{path}:{node.lineno} touches .{node.attr}")


def test_the_console_command():
    done = shell("-m", "scripts", "compare", "neuron")
    assert "0.9990889488055994" in done.stdout
    assert shell("-m", "scripts").returncode == 2
    assert "compare" in shell("-m", "scripts", "--help").stdout
