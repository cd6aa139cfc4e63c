"""Which device is chosen, and what is refused; on a machine with or without an accelerator."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from handgrad import experiments
from handgrad.torch_side import TorchSide
from torch_impl.device import WORKSPACE, deterministic, full_precision, is_full_precision, pick_device, report


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


HAS_PRECISIONS = hasattr(torch.backends.cudnn, "conv")  # since PyTorch 2.9


def old_flags_on():
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True


def new_flags_on():
    torch.backends.fp32_precision = torch.backends.cudnn.conv.fp32_precision = "tf32"
    torch.backends.cuda.matmul.fp32_precision = torch.backends.cudnn.rnn.fp32_precision = "tf32"


@pytest.mark.parametrize("switch_on", [old_flags_on, *([new_flags_on] if HAS_PRECISIONS else [])])
def test_tf32_is_off_once_a_side_is_built(switch_on):
    """Both the flags of old and those since PyTorch 2.9, and all can still be read: a mix of the two would raise."""
    switch_on()
    assert not is_full_precision()
    experiment = experiments.get("alice")
    TorchSide(experiment, experiment.data(), experiment.weights(0, experiment.network))
    assert is_full_precision()
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"
    if HAS_PRECISIONS:
        cudnn = torch.backends.cudnn
        parts = [torch.backends, torch.backends.cuda.matmul, cudnn, cudnn.conv, cudnn.rnn]
        assert [part.fp32_precision for part in parts] == ["ieee"] * 5


@pytest.fixture
def as_before(monkeypatch):
    """Give back what deterministic() sets."""
    monkeypatch.setenv(WORKSPACE, "")  # so that it is remembered as it was
    monkeypatch.delenv(WORKSPACE)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    yield
    torch.use_deterministic_algorithms(False)


def test_deterministic(as_before):
    assert not torch.are_deterministic_algorithms_enabled()
    deterministic()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.backends.cudnn.benchmark
    assert os.environ[WORKSPACE] == ":4096:8"
    found = report("cpu")
    assert found["deterministic"]
    assert not found["benchmark"]


def test_deterministic_keeps_the_users_workspace(as_before, monkeypatch):
    monkeypatch.setenv(WORKSPACE, ":16:8")
    deterministic()
    assert os.environ[WORKSPACE] == ":16:8"


def test_deterministic_comes_too_late_once_cuda_has_started(as_before, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(ValueError, match=r"CUDA has started without CUBLAS_WORKSPACE_CONFIG; set it to :4096:8"):
        deterministic()
    assert not torch.are_deterministic_algorithms_enabled()
    monkeypatch.setenv(WORKSPACE, ":4096:8")
    deterministic()


def test_a_deterministic_step_of_every_network_is_the_same_step(as_before):
    """On the CPU every operation of ours has a form that is: none raises, and no bit changes."""
    for name in ("people", "mlp", "convnet", "char_rnn", "gpt"):
        experiment = experiments.get(name)
        sides = [TorchSide(experiment, experiment.data(), experiment.weights(0, experiment.network)) for _ in range(2)]
        sides[0].step(np.arange(4))
        deterministic()
        sides[1].step(np.arange(4))
        torch.use_deterministic_algorithms(False)
        assert np.array_equal(sides[0].flat_parameters(), sides[1].flat_parameters())


def test_the_report_of_the_cpu():
    full_precision()
    found = report("cpu")
    assert (found["device"], found["torch"]) == ("cpu", torch.__version__)
    assert found["memory"] is None or found["memory"] > 2**28
    assert found["threads"] == torch.get_num_threads()
    assert found["cudnn"] is found["driver"] is None
    assert not found["tf32"]
    assert all(value is None or isinstance(value, str | int | bool) for value in found.values())


def test_the_report_of_a_cuda_device(machine, monkeypatch):
    """As torch would describe one; what a real one says is seen by a gpu test."""
    machine(cuda=2)
    properties = SimpleNamespace(name="NVIDIA of a test", total_memory=2**34)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 90100)
    monkeypatch.setattr(torch._C, "_cuda_getDriverVersion", lambda: 12040, raising=False)
    found = report("cuda:1")
    wanted = {"device": "cuda:1", "name": "NVIDIA of a test", "memory": 2**34, "cudnn": 90100, "driver": "12.4"}
    assert found | wanted == found
