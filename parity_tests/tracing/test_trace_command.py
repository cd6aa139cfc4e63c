"""compare.py --trace: what it prints, and what it refuses."""

import re

import numpy as np
import pytest

from parity_tests.commands.commands import document, refused, run
from parity_tests.tracing.planting import left, plant, returned


def test_a_step_in_parity(capsys):
    status, out, err = run(capsys, "compare", "layered", "--trace")
    assert (status, err) == (0, "")
    for name in ("0.output", "3.input", "loss", "d_L_d_1.input", "d_L_d_2.weight", "2.bias"):
        assert len(re.findall(rf"^  {name}(\[[\d,]+\])? +\(", out, re.M)) == 1
    assert re.search(r"^  loss +\(\) +0\.1675796683096\d+ +0\.1675796683096\d+ ", out, re.M)
    assert re.search(r"^  objective\.loss  MSELoss    right$", out, re.M)
    assert out.splitlines()[-1].startswith("IN PARITY: all 41 tensors of the first step, and each of 7 modules alone;")


def test_the_first_wrong_name_and_the_wrong_modules(capsys, monkeypatch):
    plant(monkeypatch, "3", "backward", returned(np.negative))
    plant(monkeypatch, "0", "backward", left("bias", lambda g: 2 * g))
    status, out, _ = run(capsys, "compare", "layered", "--trace")
    assert status == 1
    assert re.search(r"^  d_L_d_3\.input\[\d,0\] .*  <- \[\d,0\] is off by ", out, re.M)
    assert re.search(r"^  3 +Sigmoid +WRONG: d_L_d_3\.input: \[\d,0\] is off by ", out, re.M)
    assert re.search(r"^  0 +Linear +WRONG: d_L_d_0\.bias: ", out, re.M)
    assert re.search(r"^  2 +Linear +right$", out, re.M)
    last = out.splitlines()[-1]
    assert last.startswith("OUT OF PARITY: d_L_d_3.input goes wrong first: ")
    assert last.endswith("Wrong alone: 0 (Linear), 3 (Sigmoid).")


def test_a_shape_that_differs_and_a_step_that_stops(capsys, monkeypatch):
    plant(monkeypatch, "2", "backward", left("weight", lambda g: g.T))
    _, out, _ = run(capsys, "compare", "layered", "--trace")
    assert re.search(r"^  d_L_d_2\.weight +\(2, 1\) +nan +nan +nan  <- its shape is \(2, 1\), autograd's", out, re.M)
    monkeypatch.undo()

    plant(monkeypatch, "2", "backward", lambda right, module: lambda g, saved, *, input_grad=True: g @ g)
    status, out, _ = run(capsys, "compare", "layered", "--trace")
    assert status == 1
    assert "By hand there is no loss, d_L_d_2.input, d_L_d_1.output, " in out
    assert "By hand the step stopped: the backward of 2 raised ValueError: matmul" in out
    assert re.search(r"OUT OF PARITY: by hand the step stopped: the backward of 2 raised", out.splitlines()[-1])


def test_json(capsys, monkeypatch):
    status, out, err = run(capsys, "compare", "people", "--trace", "--json", "--dtype", "float32")
    found = document(out)
    assert (status, err, found["verdict"], found["command"]) == (0, "", "in parity", "compare")
    assert found["config"]["dtype"] == "float32"
    results = found["results"]
    assert (results["first_wrong"], results["stopped"], results["hand_lacks"], results["autograd_lacks"]) == (
        *(None, None, [], []),
    )
    assert [row["name"] for row in results["tensors"]][:2] == ["network.input", "network.output"]
    assert set(results["tensors"][0]) == {
        *("name", "shape", "entry", "by_hand", "with_autograd", "difference", "relative", "units", "error_ratio"),
        *("in_parity", "reason"),
    }
    assert [(part["name"], part["module"]) for part in results["alone"]] == [
        ("network", "TwoTwoOne"),
        ("objective", "Objective"),
        ("objective.loss", "MSELoss"),
    ]
    plant(monkeypatch, "", "backward", left("w3", lambda g: g * np.nan))
    status, out, _ = run(capsys, "compare", "people", "--trace", "--json")
    found = document(out)
    assert (status, found["verdict"], found["results"]["first_wrong"]) == (1, "out of parity", "d_L_d_w3")
    row = next(row for row in found["results"]["tensors"] if row["name"] == "d_L_d_w3")
    assert (row["by_hand"], row["in_parity"]) == ("NaN", False)
    assert re.fullmatch(r"it is nan by hand, \S+ with autograd", row["reason"])


@pytest.mark.parametrize("name", ["neuron", "neuron_network"])
def test_a_network_without_a_loss_is_traced_from_a_random_gradient(capsys, name):
    status, out, _ = run(capsys, "compare", name, "--trace")
    assert status == 0
    assert "d_L_d_network.input" in out
    assert "loss" not in out.split("The first step")[1].split("Each module")[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["people", "--trace", "--out", "run"], "--trace takes one step and leaves no run"),
        (["--all", "--trace"], "--trace goes with one experiment's name"),
        (["--trace"], "give the name of one experiment"),
        (["neuron", "--trace", "--lr", "1"], "forward only"),
    ],
)
def test_wrong_use(capsys, arguments, says):
    assert says in refused(capsys, "compare", *arguments)
