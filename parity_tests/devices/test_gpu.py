"""What only a CUDA device can show: its arithmetic, its streams, its waits. Skipped, with the reason, where none is."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from handgrad.loop import Order
from parity_tests.commands.commands import run, shell
from parity_tests.devices.every import side, variants
from torch_impl.batches import Batches
from torch_impl.device import full_precision, report

pytestmark = pytest.mark.gpu
VARIANTS = {name: experiment for name, experiment in variants() if experiment.kind != "forward"}
NAMES = ["people", "mlp", "convnet", "char_rnn gru", "char_rnn lstm", "gpt"]


@pytest.fixture(autouse=True)
def exactly():
    full_precision()


@pytest.mark.parametrize("call", ["matmul", "conv2d"])
def test_float32_is_computed_as_float32(call):
    """Of TF32, with its mantissa of 10 bits, the error would be some 3e-4 of the result: 2,000 times this bound."""
    draw = torch.Generator().manual_seed(3)
    shapes = {"matmul": [(256, 512), (512, 256)], "conv2d": [(4, 32, 16, 16), (24, 32, 3, 3)]}[call]
    operands = [torch.randn(shape, generator=draw) for shape in shapes]
    compute = {"matmul": torch.matmul, "conv2d": torch.nn.functional.conv2d}[call]
    found = compute(*(operand.cuda() for operand in operands)).cpu().double()
    wanted = compute(*(operand.double() for operand in operands))
    # n terms of order one: their sum is of order sqrt(n), and is rounded by sqrt(n) eps sqrt(n) at most, in practice.
    terms = {"matmul": 512, "conv2d": 32 * 9}[call]
    assert (found - wanted).abs().max() <= terms * torch.finfo(torch.float32).eps


def test_a_pinned_batch_that_was_expected_is_the_plain_one():
    random = np.random.default_rng(2)
    inputs, targets = random.normal(size=(4096, 257)), random.integers(0, 9, 4096)
    batches, order = Batches(inputs, targets, torch.float32, "cuda"), random.permutation(4096).reshape(64, 64)
    kept = []
    for rows, following in zip(order, [*order[1:], None], strict=True):
        pair = batches.take(rows)
        if following is not None:
            batches.expect(following)
        kept.append([tensor * 1 for tensor in pair])  # work on this stream, while the next rows come on the other
        del pair
    for rows, (x, t) in zip(order, kept, strict=True):
        assert np.array_equal(x.cpu().numpy(), inputs[rows].astype(np.float32))
        assert np.array_equal(t.cpu().numpy(), targets[rows])


@pytest.mark.parametrize("changes", [{}, {"accumulate": 3}, {"max_norm": 0.1}], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_a_step_waits_for_nothing(name, changes):
    one = side(replace(VARIANTS[name], **changes), "cuda")
    rows = np.arange(min(4, len(one.inputs)))
    one.step(rows)  # the first one may set things up
    one.expect(rows)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            one.step(rows)
            one.expect(rows)
    finally:
        torch.cuda.set_sync_debug_mode("default")


REPEATED = """
import sys, numpy as np
from torch_impl.device import deterministic
deterministic()
from parity_tests.devices.every import side, variants
one = side(dict(variants())[sys.argv[1]], "cuda")
for _ in range(5):
    one.step(np.arange(min(16, len(one.inputs))))
print(one.flat_parameters().tobytes().hex())
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_deterministic_run_twice_gives_the_same_bits(name):
    """In processes of their own: cuBLAS reads its workspace's size once."""
    first, second = (shell("-c", REPEATED, name) for _ in range(2))
    assert first.returncode == 0, first.stderr[-2000:]
    assert first.stdout.strip()
    assert first.stdout == second.stdout


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_near_those_of_the_cpu(name):
    """In float64; the rule of parity itself is held by `pytest --device cuda`."""
    cpu, cuda = (side(VARIANTS[name], device, "float64") for device in ("cpu", "cuda"))
    order = Order(cpu.experiment, len(cpu.inputs))
    for _ in range(3):
        rows = order.next().rows
        cpu.step(rows)
        cuda.step(rows)
        grads = cpu.flat_gradients()
        np.testing.assert_allclose(cuda.flat_gradients(), grads, rtol=0, atol=1e-12 * np.abs(grads).max())
        cuda.restore(cpu.snapshot())


def test_the_commands_run_there(capsys, tmp_path):
    status, out, _ = run(capsys, "devices", "--json")
    assert status == 0
    assert any(each["device"] == "cuda:0" and each["usable"] for each in json.loads(out)["results"])
    arguments = ("--side", "both", "--device", "cuda", "--epochs", "5", "--out", tmp_path / "run")
    assert run(capsys, "train", "people", *arguments)[0] == 0
    question = ("--height-cm", "180", "--weight-kg", "80")
    assert run(capsys, "predict", tmp_path / "run" / "torch", "--device", "cuda", *question)[0] == 0
    assert run(capsys, "compare", "people", "--device", "cuda", "--epochs", "20")[0] == 0
    assert run(capsys, "compare", "alice", "--trace", "--device", "cuda")[0] == 0


def test_the_report_is_of_a_gpu():
    found = report("cuda:0")
    assert found["name"]
    assert found["memory"] > 2**28
    assert found["cuda"] or found["hip"]
    assert not found["tf32"]
