"""Several processes as torchrun would start them, forked from one that has torch imported already.

    python -W error -m parity_tests.distributed.forked MODULE FUNCTION FOLDER ARGUMENT

calls FUNCTION(FOLDER, ARGUMENT) of a module beside this one, in a process of its own: pytest's may have threads.
"""

import importlib
import os
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from parity_tests.commands.commands import shell


def in_a_process(module: str, function: str, folder: Path, argument: str = "") -> str:
    """Call a function that forks, and return what it has printed."""
    done = shell("-W", "error", "-m", __name__, module, function, str(folder), argument)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fork(world: int, work: Callable[[], Any], folder: Path) -> list[int]:
    """Start processes in torchrun's environment that call work(); stdout and stderr go to files named by rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = []
    for rank in range(world):
        if (process := os.fork()) == 0:
            places: dict[str, Any] = {
                "RANK": rank,
                "WORLD_SIZE": world,
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
            }
            places |= {"LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": world}
            os.environ.update({name: str(place) for name, place in places.items()})
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(folder / f"{rank}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            status = 99
            try:
                status = work() or 0
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        found.append(process)
    return found


def ended(process: int) -> int:
    """Wait for a process and return its exit status, negative for the signal that has ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    import handgrad.torch_side  # noqa: F401  (imported here, every fork has it)

    name, function, folder, argument = sys.argv[1:]
    getattr(importlib.import_module(f"parity_tests.distributed.{name}"), function)(Path(folder), argument)
