"""How processes share a batch, what each computes on, how they begin and how they end."""

from datetime import timedelta

import numpy as np
import pytest

from handgrad.errors import ToldError, UsageError
from handgrad.processes import TORCHRUNS, Processes, join, told_by_main
from parity_tests.commands.commands import run
from parity_tests.distributed.forked import in_a_process
from torch_impl.distributed import own_device


@pytest.fixture
def launched(monkeypatch):
    """torchrun's environment of the second of two processes, which nobody answers."""
    for name, value in zip(TORCHRUNS, ("1", "2", "1", "127.0.0.1", "1"), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TORCH_CPP_LOG_LEVEL", "ERROR")  # join sets it where it is not set, for the rest of the process


@pytest.mark.parametrize(("rows", "sizes"), [(129, [65, 64]), (7, [3, 2, 2]), (2, [1, 1, 0]), (64, [64])])
def test_a_batch_is_shared_evenly_and_wholly(rows, sizes):
    batch = np.random.default_rng(0).permutation(rows)
    shares = [Processes(rank, len(sizes)).share(batch) for rank in range(len(sizes))]
    assert [len(share) for share in shares] == sizes
    assert np.array_equal(np.concatenate(shares), batch)


def test_without_torchrun_a_process_is_alone():
    with join("cpu") as alone:
        assert (alone.rank, alone.world, alone.main, alone.device) == (0, 1, True, "cpu")
        values = np.arange(3.0)
        assert alone.sum(values) is values
        assert alone.largest(3, 0) == (3, 0)
        assert alone.every("x") == ["x"]


def test_an_error_of_ones_own_is_no_loss_of_another():
    with pytest.raises(RuntimeError, match="mine"), Processes(0, 2).together(lambda: ""):
        raise RuntimeError("mine")


@pytest.mark.parametrize("name", ["mps", "cuda:1"])
def test_a_device_that_several_would_have_to_share_is_refused(name):
    with pytest.raises(ValueError, match=f"--device {name}: 2 processes cannot share it; use cpu, cuda or auto"):
        own_device(name, 1, 2)


@pytest.mark.parametrize("name", ["cuda", "auto"])
def test_more_processes_than_gpus_are_refused_in_each_of_them(name, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    for rank in range(3):
        with pytest.raises(ValueError, match="--device cuda: 3 processes, but 2 CUDA devices; start 2, or use cpu"):
            own_device(name, rank, 3)


def test_each_takes_the_gpu_of_its_number(monkeypatch):
    monkeypatch.setattr("torch_impl.distributed.pick_device", lambda name, dtype: name)
    assert own_device("cuda", 1, 2) == "cuda:1"
    assert own_device("cuda:3", 0, 1) == "cuda:3"
    assert own_device("mps", 0, 1) == "mps"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert own_device("auto", 2, 4) == "cuda:2"


def test_what_all_meet_alike_the_second_does_not_tell(launched, capsys):
    with pytest.raises(ToldError), told_by_main():
        raise UsageError("all the same")
    assert run(capsys, "train", "people", "--ou", "x") == (2, "", "")


def test_numbers_that_torchrun_does_not_set_are_refused(launched, monkeypatch):
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(UsageError, match="RANK 'first', WORLD_SIZE '2', LOCAL_RANK '1': these are whole numbers where"):
        join("cpu").__enter__()


def test_a_meeting_where_nobody_is_says_where(launched, monkeypatch):
    monkeypatch.setattr("torch_impl.distributed.TIMEOUT", timedelta(seconds=0.1))
    with pytest.raises(UsageError, match=r"MASTER_ADDR 127\.0\.0\.1, MASTER_PORT 1: the processes do not meet there"):
        join("cpu").__enter__()


def test_short_trainings_end(tmp_path):
    """The threads of gloo and the interpreter's lock: half of them hung, see torch_impl/distributed.py."""
    in_a_process("cases", "short", tmp_path, "6")
