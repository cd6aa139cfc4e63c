"""devices.py: which devices can be used, and why not."""

import torch

from parity_tests.commands.commands import document, refused, run


def test_a_machine_without_an_accelerator(capsys, machine):
    machine()
    status, out, err = run(capsys, "devices")
    assert (status, err) == (0, "")
    cpu, cuda, mps, versions, flags = out.splitlines()
    assert cpu.startswith("cpu     usable in float64 and float32: ")
    assert cuda.startswith(f"cuda    not usable: this PyTorch ({torch.__version__}) ")
    assert mps == "mps     not usable: no Apple GPU is available to this PyTorch"
    assert versions.startswith(f"PyTorch {torch.__version__}; CUDA ")
    assert flags.startswith("float32 at full precision (TF32 off); deterministic off; cuDNN benchmark ")


def test_every_cuda_device_has_a_line(capsys, machine):
    machine(cuda=2)
    lines = run(capsys, "devices")[1].splitlines()
    for number in range(2):
        assert lines[1 + number].startswith(f"cuda:{number}  usable in float64 and float32: NVIDIA of a test, 16.0 GiB")


def test_an_apple_gpu_has_float32_alone(capsys, machine):
    machine(mps=True)
    mps = run(capsys, "devices")[1].splitlines()[2]
    assert mps.startswith("mps     usable in float32: ")
    assert mps.endswith("; it has no float64")


def test_json(capsys, machine):
    machine(mps=True)
    found = document(run(capsys, "devices", "--json")[1])
    assert (found["command"], found["experiment"], found["verdict"]) == ("devices", None, "listed")
    cpu, cuda, mps = found["results"]
    assert [(each["device"], each["usable"], each["dtypes"]) for each in (cpu, cuda, mps)] == [
        ("cpu", True, ["float64", "float32"]),
        ("cuda", False, []),
        ("mps", True, ["float32"]),
    ]
    assert cpu["why_not"] is None
    assert cpu["report"]["tf32"] is False
    assert "CUDA" in cuda["why_not"]
    assert cuda["report"] is None


def test_wrong_use(capsys):
    assert "unrecognized arguments: cuda" in refused(capsys, "devices", "cuda")
