"""Autograd's side of a test is where `--device` says, and the hand-written side, the truth and its units are not."""

import pytest
import torch

from handgrad import experiments
from handgrad.comparison import compare
from handgrad.torch_side import TorchSide
from handgrad.trace import Trace
from manual import nn
from parity_tests.devices import chosen
from parity_tests.optim.twins import Twins
from parity_tests.parity import check, check_exact, normal

HERE = torch.device(chosen.NAME).type


@pytest.fixture
def seen(monkeypatch):
    """Return the list of devices on which torch's linear layers run, in order."""
    devices, right = [], torch.nn.Linear.forward

    def forward(self, x):
        assert self.weight.device == x.device
        assert torch.ones(()).device.type == "cpu", "a constant of the network's would be moved, and not found out"
        devices.append(x.device.type)
        return right(self, x)

    monkeypatch.setattr(torch.nn.Linear, "forward", forward)
    return devices


def network(nn):
    return nn.Sequential(nn.Linear(3, 2), nn.Sigmoid())


def test_the_module_of_a_case(seen):
    check(network, normal(4, 3), dtype="float32")
    assert seen == [HERE, *["cpu"] * 6], "the side itself; then the truth and the five draws that measure its size"


def test_the_module_of_an_exact_case(seen):
    check_exact(lambda nn: nn.Linear(3, 2), normal(4, 3).round())
    assert seen == [HERE] * 2


def test_what_a_test_makes_by_itself():
    assert torch.tensor([1.0]).device.type == HERE
    assert torch.nn.Linear(2, 2).weight.device.type == HERE
    assert Twins("SGD", {}, "float32").theirs[0].device.type == HERE


def test_what_a_test_makes_that_asks_for_the_device(device):
    assert torch.device(device).type == HERE
    assert torch.tensor([1.0]).device.type == "cpu"


def test_what_an_experiment_is_given_no_device_for():
    experiment = experiments.get("alice")
    assert Trace(experiment).device.type == compare(experiment).device.type == HERE
    state = experiment.weights(0, experiment.network)
    assert TorchSide(experiment, experiment.data(), state).device.type == HERE
    assert Trace(experiment).wide_side().device.type == "cpu", "the truth"


def test_the_hand_written_side_has_arrays():
    y, _ = network(nn).forward(normal(4, 3).astype("float32"))
    assert type(y).__module__ == "numpy"
