"""Several processes as torchrun would start them, forked from one that has torch imported already.

    python -W error -m parity_tests.distributed.forked MODULE FUNCTION FOLDER ARGUMENT

calls FUNCTION(FOLDER, ARGUMENT) of a module beside this one, in a process of its own: pytest's may have threads.
"""

import atexit
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch.distributed as dist

from parity_tests.commands.commands import shell


def in_a_process(module: str, function: str, folder: Path, argument: str = "") -> str:
    """Call a function that forks, and return what it has printed."""
    done = shell("-W", "error", "-m", __name__, module, function, str(folder), argument)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fork(
    world: int, work: Callable[[], Any], folder: Path, then: Callable[[list[int]], None] = lambda _: None
) -> list[int]:
    """Start processes in torchrun's environment that call work(), and return their exit statuses.

    stdout and stderr go to files that are named by rank. `then(processes)` is called when all are started.
    """
    # torchrun's own process has the store as well: it outlives any that it has started.
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {"WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store.port}
    found = []
    for rank in range(world):
        if (process := os.fork()) == 0:
            signal.alarm(100)  # none goes on hanging when `shell` has given up
            places = {**shared, "RANK": rank, "LOCAL_RANK": rank, "TORCHELASTIC_USE_AGENT_STORE": True}
            os.environ.update({name: str(place) for name, place in places.items()})
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(folder / f"{rank}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            status = 99
            try:
                status = work() or 0
            except BaseException:
                traceback.print_exc()
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        found.append(process)
    then(found)
    return [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in found]


if __name__ == "__main__":
    # Imported here, every fork has them; torch's optimizers and DistributedDataParallel load the last on first use.
    import torch._dynamo  # noqa: F401

    name, function, folder, argument = sys.argv[1:]
    getattr(importlib.import_module(f"parity_tests.distributed.{name}"), function)(Path(folder), argument)
