"""Which device is chosen, and what is refused; on a machine with or without an accelerator."""

from dataclasses import replace

import pytest
import torch

from handgrad import experiments
from handgrad.torch_side import TorchSide
from torch_impl.device import pick_device


@pytest.fixture
def machine(monkeypatch):
    """Pretend a machine: machine(cuda=2) has two CUDA devices, machine(mps=True) an Apple GPU."""

    def pretend(cuda=0, mps=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


def test_cpu_alone(machine):
    machine()
    assert pick_device("cpu", torch.float64) == torch.device("cpu")
    assert pick_device("auto", torch.float64) == torch.device("cpu")
    for name in ("cuda", "cuda:0", "mps"):
        with pytest.raises(ValueError, match=name.split(":")[0]):
            pick_device(name, torch.float32)


def test_two_cuda_devices(machine):
    machine(cuda=2)
    assert pick_device("auto", torch.float64).type == "cuda"
    assert pick_device("cuda:1", torch.float64) == torch.device("cuda:1")
    with pytest.raises(ValueError, match="cuda:0 to cuda:1"):
        pick_device("cuda:2", torch.float64)


def test_mps_has_no_float64(machine):
    machine(mps=True)
    assert pick_device("auto", torch.float32).type == "mps"
    assert pick_device("auto", torch.float64) == torch.device("cpu")
    assert pick_device("mps", torch.float32).type == "mps"
    with pytest.raises(ValueError, match="no float64"):
        pick_device("mps", torch.float64)


@pytest.mark.parametrize("name", ["", "tpu", "meta", "cpu:5", "cuda:x", "cuda:-1", "xla"])
def test_not_a_device_of_ours(machine, name):
    machine(cuda=1)
    with pytest.raises(ValueError, match="use cpu, auto, cuda, cuda:N or mps"):
        pick_device(name, torch.float32)


def test_tf32_is_off_once_a_side_is_built():
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    experiment = replace(experiments.get("alice"))
    TorchSide(experiment, experiment.data(), experiment.weights(0, experiment.network))
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
