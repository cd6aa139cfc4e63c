"""scripts/explain.py: what it prints, what it accepts, and its exit status."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from handgrad import experiments
from handgrad.explaining import Explanation, Step, text
from handgrad.explaining.source import ROOT
from parity_tests.explaining.cases import ALICE, CASES, D_H_D_FIRST, D_L_D_YPRED, D_YPRED_D_H, close
from scripts.explain import main


def printed(case: str) -> list[tuple[Explanation, list[str]]]:
    step = Step(CASES[case])
    return [(found, list(text.one(step, found))) for found in map(step.explain, step.entries())]


@pytest.mark.parametrize("case", ["alice", "or_worked", "or_worked published", "people raw", "people float32"])
def test_the_printed_factors_multiply_to_the_printed_product(case: str) -> None:
    for found, lines in printed(case):
        (line,) = [line for line in lines if line.startswith("product ")]
        factors, product = line.removeprefix("product").split(" = ")
        exact = Decimal(1)
        for factor in factors.split(" * "):
            exact *= Decimal(factor.strip())
        assert len(factors.split(" * ")) == len(found.chain.factors)
        assert abs(exact - Decimal(product)) <= abs(exact) * Decimal("1e-11") * (
            1 if case != "people float32" else 10**5
        )


def test_a_row_a_sample_and_the_sum() -> None:
    for found, lines in printed("layered"):
        rows = [line.split() for line in lines if re.match(r"\d,\d ", line)]
        assert len(rows) == 2
        for row in rows:
            *factors, product = map(float, row[1:])
            assert len(factors) == len(found.chain.factors)
            np.testing.assert_allclose(np.prod(factors), product, rtol=1e-6)
        (total,) = [line for line in lines if line.startswith("sum ")]
        close(float(total.split()[1]), float(f"{found.gradient:.12g}"))


def test_a_long_batch_shows_its_first_rows_and_sums_all() -> None:
    experiment = replace(experiments.get("adults"), batch_size=100)
    step = Step(experiment)
    found = step.explain(step.find("w1"))
    lines = list(text.one(step, found))
    assert "... and 92 samples more, which the sum includes" in lines
    assert found.products.shape == (100,)
    assert found.ok


def test_a_long_chain_is_cut_into_blocks() -> None:
    lines = printed("layered 2,1,1,1,1,1")[0][1]
    titles = [line.split()[1:] for line in lines if line.startswith("sample ")]
    assert len(titles) == 2
    assert titles[0] + titles[1] == [f"({number})" for number in range(1, 12)] + ["product"]


@pytest.mark.parametrize("case", CASES)
def test_lines_are_narrow_and_name_the_verdict(case: str) -> None:
    step = Step(CASES[case])
    found = [step.explain(entry) for entry in step.entries()]
    for lines in [list(text.every(step, found)), *(list(text.one(step, each)) for each in found)]:
        assert max(map(len, lines)) <= 110
        assert all(line == line.rstrip() for line in lines)
        assert "OUT OF PARITY" not in "\n".join(lines)
        assert any("in parity" in line for line in lines)


def test_the_tutorials_rounding_is_named_for_alice_alone() -> None:
    said = {
        (case, found.entry.label) for case in CASES for found, lines in printed(case) if "tutorial rounds" in lines[-1]
    }
    assert said == {("alice", "w1")}


def test_the_list_says_how_to_ask_for_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alice"]) == 0
    out = capsys.readouterr().out
    assert "w1   0.0214695 = -0.95261 * 0.249439 * -0.0903533" in out
    assert all(re.search(rf"^  {name} +-?0\.\d+ = ", out, re.MULTILINE) for name in ALICE)
    assert "--parameter w1" in out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nobody"], "alice, people"),
        (["neuron"], "choose one of alice, people"),
        (["neuron_network", "--parameter", "w1"], "choose one of alice, people"),
        (["alice", "--parameter", "w7"], "w1, w2, w3, w4, w5, w6, b1, b2, b3"),
        (["or_gate", "--parameter", "b2"], "w1, w2, b or 0.weight[0,0..1], 0.bias[0]"),
        (["or_gate_no_bias", "--parameter", "b"], "w1, w2 or 0.weight[0,0..1]"),
        (["layered", "--parameter", "1.weight[0,0]"], "0.weight[0..1,0..1], 0.bias[0..1], 2.weight[0,0..1], 2.bias[0]"),
        (["alice", "--step", "1"], "takes 1 step"),
        (["or_gate", "--epochs", "7", "--step", "7"], "takes 7 steps"),
        (["alice", "--step", "-1"], "0 or above"),
        (["alice", "--published"], "leave --published out"),
        (["people", "--inputs", "metres"], "shift, mean, raw"),
        (["alice", "--colour"], "--help"),
        ([], "--help"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert named in err


@pytest.mark.parametrize("name", ["w2", "0.weight[0,1]", "0.weight[0, 1]"])
def test_a_perceptrons_parameter_has_two_names(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["or_worked", "--parameter", name, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["results"]["parameters"]
    assert (found["name"], found["label"]) == ("0.weight[0,1]", "w2")


def test_json_is_one_document_with_all_digits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alice", "--parameter", "w1", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert (whole["command"], whole["experiment"], whole["verdict"]) == ("explain", "alice", "in parity")
    assert whole["results"]["samples"] == ["Alice"]
    (found,) = whole["results"]["parameters"]
    close([factor["values"][0] for factor in found["factors"]], np.array([D_L_D_YPRED, D_YPRED_D_H, D_H_D_FIRST]))
    assert found["factors"][2]["line"]["path"] == "manual/networks/two_two_one.py"
    assert found["factors"][2]["line"]["code"] == "d_h1_d_w1 = x1 * h1 * (1 - h1)"
    assert found["factors"][1]["nodes"] == ["SigmoidBackward0", "AddBackward0", "AddBackward0", "MulBackward0"]
    assert main(["layered", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert len(whole["results"]["parameters"]) == 9
    for found in whole["results"]["parameters"]:
        products = np.prod([factor["values"] for factor in found["factors"]], axis=0)
        np.testing.assert_allclose(products.sum(), found["with_autograd"], rtol=1e-13)


def test_help_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from scripts.explain import parser; parser().format_help(); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
