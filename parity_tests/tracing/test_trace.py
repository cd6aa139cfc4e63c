"""A step by name on both sides: the same names, and the first tensor that a planted mistake makes wrong."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import torch_impl.networks
from handgrad import experiments
from handgrad.isolate import isolate
from handgrad.recording import modules
from handgrad.trace import Trace, roots
from manual.optim import SGD
from parity_tests.tracing.planting import LAYERED, left, one_nan, output, plant, returned

NAMES = [name for name in experiments.names() if experiments.get(name).layered]
SYSTEMS = [(name, published) for name in NAMES for published in (False, True)]
SYSTEMS = [(name, p) for name, p in SYSTEMS if not p or experiments.get(name).published]
# All of them in float64; in float32 one for each network, the others with the slow tests.
ONE_EACH = [("neuron_network", False), ("people", False), ("or_worked", True), ("layered", False)]
CASES = [
    pytest.param(*system, dtype, marks=[pytest.mark.slow] * (dtype == "float32" and system not in ONE_EACH))
    for system in SYSTEMS
    for dtype in ("float64", "float32")
]


@pytest.mark.parametrize(("name", "published", "dtype"), CASES)
def test_every_experiment_has_the_same_names_on_both_sides_and_is_in_parity(name, published, dtype, device):
    experiment = replace(experiments.get(name), dtype=dtype)
    trace = Trace(experiment.as_published() if published else experiment, device)
    assert (trace.hand_lacks, trace.autograd_lacks, trace.stopped) == ([], [], "")
    assert [row.name for row in trace.rows if not row.ok] == []
    names = [row.name for row in trace.rows]
    assert len(set(names)) == len(names)
    for path, module in modules(roots(trace.hand_side())).items():
        if experiment.kind == "forward" and path.startswith("objective"):
            continue
        several = ["[0]", "[1]"] if path.startswith("objective") else [""]
        for place in [*(f"{path}.input{index}" for index in several), f"{path}.output"]:
            assert place in names
            assert f"d_L_d_{place}" in names
        for parameter in vars(module):
            if f"{path}.{parameter}" in names:
                assert f"d_L_d_{path}.{parameter}" in names
    assert all(alone.ok for alone in isolate(trace)), [alone.reason for alone in isolate(trace)]


NAMED = [name for name in experiments.names() if not experiments.get(name).layered]


@pytest.mark.parametrize(
    ("name", "dtype"),
    [pytest.param(n, d, marks=[pytest.mark.slow] * (d == "float64")) for n in NAMED for d in ("float32", "float64")],
)
def test_networks_of_any_modules(name, dtype, device):
    """Tokens, images and classes have no gradient; all else has, under the same names on both sides."""
    trace = Trace(replace(experiments.get(name), dtype=dtype), device)
    isolated = isolate(trace)
    assert trace.stopped == ""
    assert [row.reason for row in trace.rows if not row.ok] == []
    assert [alone.reason for alone in isolated if not alone.ok] == []
    assert trace.hand_lacks == []
    # torch's attention calls a function with the weights of out_proj, not the module.
    assert all("attn.out_proj" in lacking for lacking in trace.autograd_lacks)
    names = {row.name for row in trace.rows}
    assert {"objective.output", "d_L_d_objective.input[0]", "d_L_d_network.output"} <= names
    assert {f"d_L_d_{name}" for name in trace.hand_side().shapes()} <= names


def test_the_order_is_that_of_computation():
    trace = Trace(replace(LAYERED.resized((2, 3, 1)), dtype="float32"))
    forward = [f"{i}.{end}" for i in range(4) for end in ("input", "output")]
    parameters = ["0.weight", "0.bias", "2.weight", "2.bias"]
    loss = ["input[0]", "input[1]", "loss.input[0]", "loss.input[1]", "loss.output", "output"]
    back = ["output", "loss.output", "loss.input[0]", "loss.input[1]", "input[0]", "input[1]"]
    assert [row.name for row in trace.rows] == [
        "network.input",
        *forward,
        "network.output",
        *(f"objective.{name}" for name in loss),
        "loss",
        *(f"d_L_d_objective.{name}" for name in back),
        "d_L_d_network.output",
        *(f"d_L_d_{name}" for name in reversed(forward)),
        "d_L_d_network.input",
        *(f"d_L_d_{name}" for name in parameters),
        *parameters,
    ]


BACKWARD = {
    "the sign of the output delta": ("5", returned(lambda g: -g), "d_L_d_5.input"),
    "a factor that is off by 1e-9": ("3", returned(lambda g: g * g.dtype.type(1 + 1e-9)), "d_L_d_3.input"),
    "the missing slope of the first sigmoid": ("1", returned(lambda g: np.ones_like(g)), "d_L_d_1.input"),
    "W instead of its transpose": ("2", returned(lambda g: g[:, ::-1].copy()), "d_L_d_2.input"),
    "a transposed weight gradient": ("2", left("weight", lambda g: g.T.copy()), "d_L_d_2.weight"),
    "a bias gradient averaged over the batch": ("0", left("bias", lambda g: g / 2), "d_L_d_0.bias"),
    "a NaN": ("4", returned(one_nan), "d_L_d_4.input"),
    "a NaN in a parameter's gradient": ("4", left("weight", one_nan), "d_L_d_4.weight"),
    "an infinity": ("1", returned(lambda g: g / 0.0), "d_L_d_1.input"),
    "a gradient that is lost": ("2", left("bias", lambda g: None), "d_L_d_2.bias"),
    "a gradient of another shape": ("4", left("weight", lambda g: g.ravel()), "d_L_d_4.weight"),
    "a gradient of another dtype": ("4", left("weight", lambda g: g.astype(np.float16)), "d_L_d_4.weight"),
    "a delta of another dtype": ("5", returned(lambda g: g.astype(np.longdouble)), "d_L_d_5.input"),
}


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("mistake", BACKWARD)
def test_a_mistake_in_one_backward_is_named(monkeypatch, mistake):
    path, change, name = BACKWARD[mistake]
    plant(monkeypatch, path, "backward", change)
    trace = Trace(LAYERED)
    assert trace.first_wrong.name == name
    assert [alone.name for alone in isolate(trace) if not alone.ok] == [path]


@pytest.mark.parametrize("path", ["0", "3", "5"])
def test_a_mistake_in_one_forward_is_named(monkeypatch, path):
    plant(monkeypatch, path, "forward", output(lambda y: y * (1 + 1e-9)))
    trace = Trace(LAYERED)
    assert trace.first_wrong.name == f"{path}.output"
    assert [alone.name for alone in isolate(trace) if not alone.ok] == [path]


def test_float32_finds_what_float32_can_tell(monkeypatch):
    plant(monkeypatch, "3", "backward", returned(lambda g: g * np.float32(1 + 1e-5)))
    assert Trace(replace(LAYERED, dtype="float32")).first_wrong.name == "d_L_d_3.input"


def test_the_reasons_are_said_in_this_order_shape_dtype_nan_numbers(monkeypatch):
    reasons = []
    for change in (lambda g: one_nan(g.T.astype(np.float16)), lambda g: one_nan(g.astype(np.float16)), one_nan, np.exp):
        with monkeypatch.context() as planted:
            plant(planted, "4", "backward", left("weight", change))
            reasons.append(Trace(LAYERED).first_wrong.reason)
    assert reasons[0] == "its shape is (3, 1), autograd's (1, 3)"
    assert reasons[1] == "its dtype is float16, autograd's float64"
    assert reasons[2].startswith("[0,2] is nan by hand, ")
    assert "off by" in reasons[3]


def test_a_nan_that_both_sides_have_is_no_mistake():
    trace = Trace(replace(experiments.get("people"), lr=float("inf"), batch_size=4))
    assert np.isinf(next(row for row in trace.rows if row.name == "w1").hand)
    assert trace.ok


def test_a_wrong_update_is_named(monkeypatch):
    right = SGD.step

    def step(self):
        right(self)
        parameter = self.param_groups[0]["params"][1]
        parameter.data = parameter.data * (1 + 1e-9)

    monkeypatch.setattr(SGD, "step", step)
    trace = Trace(LAYERED)
    assert [row.name for row in trace.rows if not row.ok] == ["0.bias"]
    assert all(alone.ok for alone in isolate(trace))


def test_a_wrong_loss_is_named(monkeypatch):
    from manual.nn import MSELoss

    right = MSELoss.backward
    monkeypatch.setattr(MSELoss, "backward", lambda self, g, saved, input_grad=True: right(self, 2 * g, saved))
    trace = Trace(LAYERED)
    assert trace.first_wrong.name == "d_L_d_objective.loss.input[0]"
    assert [alone.name for alone in isolate(trace) if not alone.ok] == ["objective.loss"]


def test_where_the_hand_written_side_raises_is_said(monkeypatch):
    def planted(backward, module):
        return lambda g, saved, *, input_grad=True: module.weight.accumulate((g.T @ saved).T)

    plant(monkeypatch, "4", "backward", planted)
    trace = Trace(LAYERED)
    assert not trace.ok
    assert trace.stopped.startswith("the backward of 4 raised ValueError: gradient of shape (3, 1)")
    assert "d_L_d_4.output" in [row.name for row in trace.rows]
    assert "d_L_d_4.input" in trace.hand_lacks
    assert [alone.name for alone in isolate(trace) if not alone.ok] == ["4"]


def test_a_forward_that_raises_has_nothing_behind_it(monkeypatch):
    plant(monkeypatch, "2", "forward", output(lambda y: y[:, :2]))
    trace = Trace(LAYERED)
    assert trace.stopped.startswith("the forward of 4 raised ValueError")
    assert trace.first_wrong.name == "2.output"
    assert [alone.name for alone in isolate(trace) if not alone.ok] == ["2"]


def test_a_name_that_one_side_lacks_is_listed_and_does_not_fail(monkeypatch):
    class Longer(torch_impl.networks.MLP):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.append(nn.Identity())

    monkeypatch.setattr(torch_impl.networks, "MLP", Longer)
    trace = Trace(LAYERED)
    assert trace.hand_lacks == ["6.input", "6.output", "d_L_d_6.output", "d_L_d_6.input"]
    assert trace.ok
    assert "6" not in [alone.name for alone in isolate(trace)]


class _Doubled(nn.Sigmoid):
    """A sigmoid to which autograd gives twice its gradient."""

    def forward(self, x):
        y = super().forward(x)
        return y + (y - y.detach())


def test_the_truth_is_no_backward_that_is_under_test(monkeypatch):
    """Both sides are wrong alike: in float64 the complex step of the forward tells."""

    class Wrong(torch_impl.networks.MLP):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self[3] = _Doubled()

    monkeypatch.setattr(torch_impl.networks, "MLP", Wrong)
    plant(monkeypatch, "3", "backward", returned(lambda g: 2 * g))
    trace = Trace(LAYERED)
    row = next(row for row in trace.rows if row.name == "d_L_d_3.input")
    assert np.allclose(row.hand, row.autograd, rtol=1e-14)
    assert trace.first_wrong.name == "d_L_d_3.input"
    assert [alone.name for alone in isolate(trace) if not alone.ok] == ["3"]


def test_a_saturated_network_is_no_false_alarm(dtype):
    """In raw pounds and inches the sums are near 300 and the slopes far below eps."""
    experiment = replace(experiments.get("people").with_inputs("raw"), dtype=dtype, batch_size=None)
    for seed in range(4):
        trace = Trace(replace(experiment, seed=seed))
        assert trace.ok, trace.first_wrong


def test_nothing_is_left_on_the_global_state():
    before = torch.get_default_dtype(), torch.is_grad_enabled(), np.geterr()
    isolate(Trace(LAYERED))
    assert (torch.get_default_dtype(), torch.is_grad_enabled(), np.geterr()) == before
