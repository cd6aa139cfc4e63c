"""check.module: layers by hand against torch.nn, each broken promise and each wrong formula by its name."""

from functools import cache

import numpy as np
import pytest
import torch

from handgrad.checking import upstream
from handgrad.checking.modules import check_module
from handgrad.checking.report import Cause, Report, Row
from parity_tests.checking.layers import BatchNorm, Cell, CrossEntropy, Embedding, Linear

X = np.random.default_rng(0).normal(size=(5, 4))


class TorchLinear(torch.nn.Linear):
    def forward(self, x):
        return torch.sigmoid(super().forward(x))


class TorchCell(torch.nn.Module):
    def forward(self, x, state):
        h, c = state
        return torch.tanh(x + c) * h, c + x * h


@cache
def linear(wrong="", **options):
    return check_module(Linear(4, 3, wrong), TorchLinear(4, 3), X, **options)


@cache
def norm(wrong="", **options):
    return check_module(BatchNorm(4, wrong), torch.nn.BatchNorm1d(4), X, **options)


@cache
def embedding(wrong=""):
    return check_module(Embedding(6, 3, wrong), torch.nn.Embedding(6, 3), np.array([[1, 4, 1, 1], [5, 4, 0, 5]]))


@cache
def loss(wrong=""):
    return check_module(CrossEntropy(wrong), torch.nn.CrossEntropyLoss(), X, np.array([1, 0, 3, 2, 2]))


@cache
def cell(wrong=""):
    h, c, x = np.random.default_rng(1).normal(size=(3, 5, 4))
    return check_module(Cell(wrong), TorchCell(), x, (h, c))


def outcome(found):
    return found.first_wrong, found.stage, found.causes[0].id if found.causes else ""


@pytest.mark.parametrize("system", [linear, norm, embedding, loss, cell])
def test_right(system):
    found = system()
    assert found.ok, str(found)
    assert max(row.units for row in found.table) < 16


def test_all_is_in_the_table():
    names = [row.name for row in norm().table]
    for mode in ("training", "evaluation"):
        for name in ("output", "dinput", "dweight", "dbias", "running_mean", "running_var", "num_batches_tracked"):
            assert f"{name} in {mode}" in names
    assert {row.name for row in cell().table} == {"output0", "output1", "dx", "dstate0", "dstate1"}


MISTAKES = {
    "twice": ("dbias", "backward", "ACT-TWICE"),
    "bias mean": ("dbias", "backward", "BIAS-MEAN"),
    "no gradient": ("dbias", "backward", None),
    "bias left out": ("output", "forward", None),
    "sum of the batch": ("output", "forward", ""),
    "overwrites its input": ("input", "forward", "CACHE-INPLACE"),
    "upstream overwritten": ("grad_output", "backward", "CACHE-INPLACE"),
    "saved overwritten": ("saved", "backward", "CACHE-INPLACE"),
    "hidden": ("dweight", "backward", "CACHE-STALE"),
    "does not add": ("dweight", "backward", "ACC-OVERWRITE"),
    "input_grad ignored": ("dinput", "backward", ""),
    "input_grad scales": ("dweight", "backward", ""),
}


@pytest.mark.parametrize("wrong", MISTAKES)
def test_linear(wrong):
    found = linear(wrong)
    first, stage, cause = outcome(found)
    assert (first, stage) == MISTAKES[wrong][:2], str(found)
    assert MISTAKES[wrong][2] in (None, cause), str(found)
    assert found.causes or found.facts or stage == "forward"


NORMS = {
    "momentum": ("running_mean", "forward", "NORM-RUNNING-STATS", "in training"),
    "not updated": ("running_mean", "forward", "NORM-RUNNING-STATS", "in training"),
    "biased": ("running_var", "forward", "NORM-DDOF-FORWARD", "in training"),
    "batch in evaluation": ("output", "forward", None, "in evaluation"),
    "no variance path": ("dinput", "backward", None, "in training"),
    "training formula in evaluation": ("dinput", "backward", None, "in evaluation"),
}


@pytest.mark.parametrize("wrong", NORMS)
def test_batch_norm_in_both_modes(wrong):
    found = norm(wrong)
    *expected, mode = NORMS[wrong]
    assert outcome(found)[:2] == tuple(expected[:2]), str(found)
    assert expected[2] in (None, outcome(found)[2]), str(found)
    assert any(mode in fact for fact in found.facts), found.facts


def test_one_mode_alone():
    assert norm("batch in evaluation", training=True).ok
    assert not norm("batch in evaluation", training=False).ok


def test_indices():
    found = embedding("duplicates")
    assert outcome(found)[:2] == ("dweight", "backward"), str(found)


@pytest.mark.parametrize(("wrong", "cause"), [("no mean", "LOSS-NO-MEAN"), ("upstream ignored", "UPSTREAM-IGNORED")])
def test_losses(wrong, cause):
    assert outcome(loss(wrong)) == ("dinput", "backward", cause), str(loss(wrong))


def test_several_outputs():
    found = cell("upstream lost")
    assert found.first_wrong == "dstate0"  # c' = c + x h: the last operation
    assert found.causes[0].id == "ACC-BRANCH-LOST", str(found)


def test_a_parameter_that_backward_forgets_is_told():
    assert "backward leaves the gradient of bias at None" in linear("no gradient").facts


def test_what_is_made_up_does_not_show():
    """The loss, the copies of the outputs and the gradients that were given are no part of anybody's layer."""
    made_up = Report(
        causes=[Cause("ACC-BRANCH-LOST", "", "", "clone in torch's LSTMCell")],
        probe="tried again on fresh inputs of make_inputs; tried again on fresh inputs of make_inputs",
        fine=["loss: in float32", "dx: in float32"],
        table=[Row(name, 0.0, 0.0, 0.0, "") for name in ("output0", "loss", "doutput0", "dx")],
    )
    upstream.tidy(made_up, "weights")
    assert made_up.probe == "tried again on fresh weights"
    assert made_up.causes[0].place == "output of torch's LSTMCell"
    assert made_up.fine == ["dx: in float32"]
    assert [row.name for row in made_up.table] == ["output0", "dx"]


def test_a_transposed_output_is_no_layout():
    square = np.random.default_rng(2).normal(size=(3, 4))
    found = check_module(Linear(4, 3, "transposed"), TorchLinear(4, 3), square)
    assert (found.first_wrong, found.stage) == ("output", "forward")
    assert "transposed" in found.facts[0]


def test_the_place_is_in_torch_s_module_or_in_a_line_of_the_user_s():
    assert loss("no mean").causes[0].place.endswith("in torch's CrossEntropyLoss")
    assert "line 0" not in linear("twice").causes[0].place


def test_other_sizes_of_make_inputs():
    def make(rng):
        return (rng.normal(size=(int(rng.integers(3, 9)), 4)),)

    assert linear(make_inputs=make).ok
    found = linear("twice", make_inputs=make)
    assert found.causes[0].id == "ACT-TWICE"
    assert "fresh inputs" in found.probe


def test_nothing_of_the_caller_s_changes():
    layer, module, x = BatchNorm(4), torch.nn.BatchNorm1d(4), X.copy()
    check_module(layer, module, x)
    assert np.array_equal(x, X)
    assert not layer.weight.data.std()
    assert layer.weight.grad is None
    assert not layer.running_mean.any()
    assert not module.running_mean.any()
    assert module.weight.grad is None
    assert module.weight.dtype == torch.float32


def test_a_buffer_that_the_layer_lacks_is_not_judged():
    layer = BatchNorm(4)
    del layer.num_batches_tracked
    layer.forward = lambda x: BatchNorm.forward(type("Any", (), vars(layer) | {"num_batches_tracked": 0})(), x)
    found = check_module(layer, torch.nn.BatchNorm1d(4), X, training=False)
    assert "num_batches_tracked: the layer has no such buffer" in found.not_judged


def test_an_error_in_the_layer_stays_its_own():
    class Broken(Linear):
        def backward(self, grad_output, saved, input_grad=True):
            return grad_output @ np.zeros((17, 1))

    with pytest.raises(ValueError, match="matmul"):
        check_module(Broken(4, 3), TorchLinear(4, 3), X)
