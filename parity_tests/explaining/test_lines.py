"""The lines and the nodes that an explanation names are those that compute the factor."""

import sys

import pytest

from handgrad import experiments
from handgrad.explaining import Step
from handgrad.explaining.source import ROOT, watched
from parity_tests.explaining.cases import ALICE, CASES, explained


@pytest.mark.parametrize("case", CASES)
def test_the_lines_named_hold_that_code(case: str) -> None:
    step = Step(CASES[case])
    for entry in step.entries():
        chain = step.explain(entry).chain
        for line in [chain.line, *(factor.line for factor in chain.factors)]:
            assert line.path.startswith("manual/")
            assert (ROOT / line.path).read_text().splitlines()[line.number - 1].strip() == line.code


@pytest.mark.parametrize("parameter", ALICE)
def test_a_scalars_factors_are_assigned_in_their_lines(parameter: str) -> None:
    chain = explained(experiments.get("alice"), parameter).chain
    assert chain.line.code == f"{chain.name} = {' * '.join(factor.name for factor in chain.factors)}"
    for factor in chain.factors[1:]:
        assert factor.line.code == f"{factor.name} = {factor.formula}"
    loss = chain.factors[0]
    assert (loss.formula, loss.line.path) == ("2 * (ypred - t)", "manual/nn/loss/regression.py")
    assert loss.line.code.startswith("grad = ")


NEURON = ("SigmoidBackward0", "AddBackward0", "AddBackward0", "MulBackward0")
NODES = {
    ("alice", "w1"): [("MseLossBackward0",), NEURON, (*NEURON, "AccumulateGrad")],
    ("alice", "w6"): [("MseLossBackward0",), ("SigmoidBackward0", *NEURON[1:], "AccumulateGrad")],
    ("alice", "b3"): [("MseLossBackward0",), ("SigmoidBackward0", "AddBackward0", "AccumulateGrad")],
    ("or_gate", "w2"): [
        ("MulBackward0", "MseLossBackward0"),
        ("SigmoidBackward0",),
        ("AddmmBackward0", "TBackward0", "AccumulateGrad"),
    ],
    ("or_gate published", "b"): [
        ("MulBackward0", "MseLossBackward0"),
        ("AddBackward0", "SubBackward0", "SigmoidBackward0", "SubBackward0", "AddBackward0"),
        ("AddmmBackward0", "AccumulateGrad"),
    ],
    ("or_hidden", "0.weight[1,0]"): [
        ("MulBackward0", "MseLossBackward0"),
        ("SigmoidBackward0",),
        ("MmBackward0",),
        ("SigmoidBackward0",),
        ("MmBackward0", "TBackward0", "AccumulateGrad"),
    ],
    ("layered 2,3,4,1", "0.bias[1]"): [
        (
            "MulBackward0",
            "MseLossBackward0",
            "SigmoidBackward0",
            "AddmmBackward0",
            "SigmoidBackward0",
            "AddmmBackward0",
        ),
        ("SigmoidBackward0",),
        ("AddmmBackward0", "AccumulateGrad"),
    ],
}


@pytest.mark.parametrize(("case", "parameter"), NODES)
def test_autograds_nodes_stand_with_their_factors(case: str, parameter: str) -> None:
    factors = explained(CASES[case], parameter).chain.factors
    assert [tuple(factor.nodes) for factor in factors] == NODES[case, parameter]


def test_watching_puts_the_profiler_back() -> None:
    def profiler(*event: object) -> None:
        pass

    def failing() -> None:
        raise ZeroDivisionError

    sys.setprofile(profiler)
    try:
        with pytest.raises(ZeroDivisionError), watched(failing):
            failing()
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
