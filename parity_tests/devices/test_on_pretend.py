"""On a pretend accelerator that computes: the same numbers as on the CPU, nothing left there, and nobody waits.

These tests run in a process of their own, which test_pretend.py starts.
"""

import signal
from dataclasses import replace

import numpy as np
import pytest
from torch.nn.attention import SDPBackend, sdpa_kernel

from handgrad.both_sides import parts
from handgrad.experiment import Scheduler
from handgrad.processes import Processes
from handgrad.torch_side import TorchSide
from parity_tests.devices.every import Constant, side, variants
from parity_tests.devices.pretend import LOG, Pretend
from parity_tests.training.runs import as_in_a_terminal, differing, resumed, trained

VARIANTS = {name: experiment for name, experiment in variants() if experiment.kind != "forward"}
BRING = ["to device", "to device"]  # the batch's inputs and targets
pytestmark = pytest.mark.pretend


@pytest.fixture(autouse=True)
def plain_attention(device):
    """The CPU's fused attention rounds otherwise; and with `device` asked for, torch's default is the CPU."""
    with sdpa_kernel(SDPBackend.MATH):
        yield


def both(name, **changes):
    experiment = replace(VARIANTS[name], **changes)
    return side(experiment, "cpu"), side(experiment, "pretend")


def batches(one, count=3):
    random = np.random.default_rng(5)
    return [random.permutation(len(one.inputs))[: 7 - k] for k in range(count)]


def log(call):
    """Return what a call copies and reads."""
    LOG.clear()
    call()
    return list(LOG)


@pytest.mark.parametrize("name", VARIANTS)
def test_steps_are_those_of_the_cpu(name):
    """Bit for bit, but for recurrent layers: of these torch sums the gradients in another order on an accelerator."""
    cpu, pretend = both(name)
    for rows in batches(cpu):
        loss, other = cpu.step(rows), pretend.step(rows)
        grads, others = cpu.flat_gradients(), pretend.flat_gradients()
        if "rnn" in name:
            rounding = 64 * np.finfo(grads.dtype).eps  # sums over some ten letters of seven names, of terms below 1
            np.testing.assert_allclose(others, grads, rtol=0, atol=rounding * np.abs(grads).max())
            pretend.restore(cpu.snapshot())
            continue
        assert float(loss) == float(other)
        assert np.array_equal(grads, others)
        assert np.array_equal(cpu.flat_parameters(), pretend.flat_parameters())
    assert {p.device.type for p in pretend.parameters} == {"pretend"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulate": 3},
        {"max_norm": 0.1},
        {"scheduler": Scheduler("StepLR", (("step_size", 1),), every="step")},
    ],
    ids=lambda changes: next(iter(changes), "plain"),
)
@pytest.mark.parametrize("name", ["people", "mlp", "convnet", "char_rnn lstm", "gpt"])
def test_a_step_copies_its_batch_and_waits_for_nothing(name, changes):
    """Reading the loss is one more, and the only one: a training reads it when it reports, not at each step."""
    one = both(name, **changes)[1]
    for rows in batches(one):
        found = []
        assert log(lambda rows=rows, found=found: found.append(one.step(rows))) == BRING
        assert log(one.schedule) == []
        assert log(found[0].item) == ["read"]


@pytest.mark.parametrize("accumulate", [1, 2, 3, 7])
def test_a_batch_in_parts_has_those_of_the_hand_written_side(accumulate, monkeypatch):
    """One copy brings the whole of it, and it is cut where numpy.array_split cuts."""
    one, rows, sizes = both("mlp", accumulate=accumulate)[1], np.arange(5), []
    for name in ("gradients", "add_gradients"):
        right = getattr(one.trainer, name)
        monkeypatch.setattr(one.trainer, name, lambda x, *rest, right=right: sizes.append(len(x)) or right(x, *rest))
    one.step(rows)
    assert sizes == [len(part) for part in parts(rows, accumulate)]


def test_a_batch_that_was_expected_is_there_already():
    one = both("mlp")[1]
    first, second, third = batches(one)
    assert log(lambda: one.expect(first)) == BRING
    assert log(lambda: one.step(first)) == []
    one.expect(second)
    assert log(lambda: one.step(third)) == BRING, "rows that were not expected"
    assert log(lambda: one.step(second)) == BRING, "rows that were expected once, and forgotten"


def test_a_process_expects_its_own_share():
    """The second of two has 2 of 5 rows: those are brought ahead, and no others."""
    one, rows = both("mlp")[1], np.arange(5)
    one.processes = Processes(1, 2)
    one.expect(rows)
    found = []
    assert log(lambda: found.append(one.batches.take(rows[3:]))) == []
    assert len(found[0][0]) == 2


def test_a_report_brings_a_chunk_at_a_time(monkeypatch):
    """Where there are classes: 1,437 images, of which the device holds 1,000 at most, and none from there on."""
    cpu, pretend = both("mlp", dtype="float64")
    loss, data = cpu.experiment.loss, cpu.experiment.data()
    sizes, right = [], type(pretend.network).forward
    monkeypatch.setattr(type(pretend.network), "forward", lambda self, x: sizes.append(len(x)) or right(self, x))
    for ask in (lambda one: one.report(loss), lambda one: one.evaluate(data.inputs, data.targets, loss)):
        found = []
        assert log(lambda ask=ask, found=found: found.append(ask(pretend))) == [*BRING, "read"] * 2
        assert found == [ask(cpu)]
    assert set(sizes) == {1000, 437}


@pytest.mark.parametrize("name", ["people", "convnet", "gpt"])
def test_a_constant_on_the_cpu_is_caught(name):
    one = both(name)[1]
    one.trainer.network = Constant(one.network)
    with pytest.raises(RuntimeError, match="expected all tensors to be on pretend:0, but one is on cpu"):
        one.step(np.arange(3))


def test_numpy_within_a_step_is_caught():
    one = both("people")[1]
    one.network.register_forward_hook(lambda module, inputs, output: output.detach().numpy())
    with pytest.raises(RuntimeError, match="numpy"):
        one.step(np.arange(3))


def test_a_wait_within_a_step_is_counted():
    one = both("people")[1]
    one.network.register_forward_hook(lambda module, inputs, output: output * float(output.mean() > -1))
    assert log(lambda: one.step(np.arange(3))) == [*BRING, "read"]


@pytest.mark.parametrize("name", ["adults", "mlp", "char_rnn gru", "gpt"])
def test_reports_predictions_and_snapshots(name):
    cpu, pretend = both(name)
    rows = batches(cpu)[0]
    for one in (cpu, pretend):
        one.step(rows)
    cpu.restore(pretend.snapshot())
    assert all(np.array_equal(value, pretend.state()[key]) for key, value in cpu.state().items())
    inputs, eps = cpu.experiment.data().inputs[:50], np.finfo(cpu.experiment.dtype).eps
    close = {"rtol": 0, "atol": 64 * eps * np.abs(cpu.predict(inputs)).max()}
    np.testing.assert_allclose(pretend.predict(inputs), cpu.predict(inputs), **close)


TRAININGS = {
    "plain": ("people", "--batch-size", "3", "--epochs", "7"),
    "scheduled": (
        *("mlp", "--batch-size", "200", "--epochs", "2", "--accumulate", "3", "--clip-norm", "0.5", "--lr", "0.01"),
        *("--optimizer", "AdamW(amsgrad=True)", "--scheduler", "ReduceLROnPlateau(patience=0)"),
    ),
}


@pytest.mark.parametrize("arguments", TRAININGS.values(), ids=TRAININGS)
def test_a_training_goes_on_there_to_the_bit(tmp_path, monkeypatch, arguments):
    """Interrupted after three steps; the whole one is that of the CPU."""
    for device in ("cpu", "pretend"):
        assert trained(tmp_path / device, *arguments, "--side", "torch", "--device", device) == 0
    run, step, taken = tmp_path / "run", TorchSide.step, []
    with monkeypatch.context() as patch, as_in_a_terminal():

        def interrupted(self, rows):
            taken.append(rows)
            if len(taken) == 3:
                signal.raise_signal(signal.SIGINT)
            return step(self, rows)

        patch.setattr(TorchSide, "step", interrupted)
        assert trained(run, *arguments, "--side", "torch", "--device", "pretend") == 130
    assert resumed(run, "--device", "pretend") == 0
    numbers = {"weights.npz", "best.npz", "metrics.jsonl"}
    assert not numbers & {*differing(run, tmp_path / "pretend"), *differing(run, tmp_path / "cpu")}


def test_a_training_that_diverges_there_says_where(tmp_path, capsys):
    arguments = ("--lr", "1e308", "--epochs", "9", "--side", "torch", "--device", "pretend")
    assert trained(tmp_path / "run", "trial_and_error", *arguments) == 2
    assert "after the update, 0.weight is the first tensor that is not finite" in capsys.readouterr().err


def test_a_weight_that_has_two_names_stays_one():
    network = both("gpt")[1].network
    assert network.lm_head.weight is network.wte.weight


def test_assigned_samples_are_those_of_the_next_step():
    one = both("people")[1]
    one.expect(np.arange(2))
    one.inputs = one.inputs * 2
    taken = one.batches.take(np.arange(2))[0]
    assert isinstance(taken, Pretend)
    assert np.array_equal(taken.cpu().numpy(), 2 * one.experiment.data().inputs[:2])
