"""A wrong line in the hand-written side is found out, and shown as it stands."""

import importlib.util
import inspect
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

import manual.networks.two_two_one
import manual.nn.activation
import manual.nn.linear
import manual.nn.loss.regression
from handgrad import experiments
from parity_tests.explaining.cases import close, explained
from scripts.explain import main


def plant(monkeypatch: pytest.MonkeyPatch, folder: Path, where: ModuleType, name: str, right: str, wrong: str) -> None:
    """Give class `name` the backward that it would have if `wrong` stood in its file in the place of `right`."""
    source = inspect.getsource(sys.modules[getattr(where, name).__module__])
    assert source.count(right) == 1
    file = folder / "planted.py"
    file.write_text(source.replace(right, wrong))
    spec = importlib.util.spec_from_file_location("planted", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(getattr(where, name), "backward", getattr(module, name).backward)


SCALARS = (manual.networks.two_two_one, "TwoTwoOne")
BIAS = "        if self.bias is not None:\n            self.bias.accumulate("
MISTAKES = {
    "factor": (*SCALARS, "d_h1_d_w1 = x1 * h1 * (1 - h1)", "d_h1_d_w1 = x1 * h1", "alice", "w1", "w2"),
    "other unit": (*SCALARS, "w5 * ypred * (1 - ypred)", "w6 * ypred * (1 - ypred)", "people", "b1", "b2"),
    "factor left out": (*SCALARS, "d_ypred_d_h1 * d_h1_d_b1", "d_h1_d_b1", "alice", "b1", "w1"),
    "factor too many": (*SCALARS, "d_L_d_ypred * d_ypred_d_b3", "d_L_d_ypred * d_ypred_d_b3 * h1", "alice", "b3", "w1"),
    "sign": (*SCALARS, "= d_L_d_ypred * d_ypred_d_w5", "= -d_L_d_ypred * d_ypred_d_w5", "alice", "w5", "w6"),
    "handed to another": (
        *SCALARS,
        "d_L_d_w1, d_L_d_w2, d_L_d_w3",
        "d_L_d_w2, d_L_d_w1, d_L_d_w3",
        "alice",
        "w2",
        "w3",
    ),
    "loss": (
        manual.nn.loss.regression,
        "MSELoss",
        "* 2 * (input - target)",
        "* (input - target)",
        "or_worked",
        "w2",
        None,
    ),
    "tiny": (*SCALARS, "w6 * ypred * (1 - ypred)", "w6 * ypred * (1 - ypred) * (1 + 1e-13)", "alice", "w3", "w1"),
    "slope": (
        *(manual.nn.activation, "Sigmoid", "Array = grad_output * y * (1 - y)", "Array = grad_output * y * (1 + y)"),
        *("layered", "2.bias[0]", None),
    ),
    "layer's input": (manual.nn.linear, "Linear", "g.T @ x", "g.T @ (x * x)", "layered", "0.weight[0,1]", "2.bias[0]"),
    "bias not summed": (
        *(manual.nn.linear, "Linear", "# (out, in)\n" + BIAS + "sum_over(g, (0,))", "\n" + BIAS + "g.mean(axis=0)"),
        *("virus", "b", "w1"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_out_of_parity(
    mistake: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where, name, right, wrong, experiment, hit, spared = MISTAKES[mistake]
    assert main([experiment, "--parameter", hit]) == 0
    capsys.readouterr()
    plant(monkeypatch, tmp_path, where, name, right, wrong)
    assert main([experiment, "--parameter", hit]) == 1
    assert "OUT OF PARITY" in capsys.readouterr().out
    assert main([experiment]) == 1
    assert "OUT OF PARITY" in capsys.readouterr().out
    if spared is not None:
        assert main([experiment, "--parameter", spared]) == 0


def test_a_planted_factor_is_shown_as_it_stands_in_the_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plant(monkeypatch, tmp_path, *SCALARS, "d_h1_d_w1 = x1 * h1 * (1 - h1)", "d_h1_d_w1 = 3 * x1 * h1")
    factor = explained(experiments.get("alice"), "w1").chain.factors[2]
    assert factor.formula == "3 * x1 * h1"
    assert factor.line.code == "d_h1_d_w1 = 3 * x1 * h1"
    close(factor.values, 3 * -2 * 0.04742587317756678)


def test_nan_is_out_of_parity() -> None:
    found = explained(experiments.get("alice"), "w1")
    for name in ("gradient", "by_hand", "autograd"):
        assert not replace(found, **{name: float("nan")}).ok
