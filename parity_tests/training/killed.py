"""Train while somebody kills the process at random moments: python killed.py KILLS SEED FOLDER TRAIN-ARGUMENTS...

Each life is a fork of this process, so that it begins without the imports. Prints how many were killed, and by how many
steps the run had come on at each death.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import handgrad.torch_side  # noqa: F401  (imported here, every fork has it)
from handgrad import checkpoint
from scripts import train

LONGEST = 0.3  # seconds of a life


def live(arguments: list[str]) -> int:
    """Fork a process that trains; return its number."""
    if (process := os.fork()) == 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (this process ends by os._exit)
        os._exit(train.main(arguments))
    return process


def ended(process: int) -> int:
    """Wait for a process and return its exit status, negative for the signal that has ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main(kills: int, seed: int, folder: Path, arguments: list[str]) -> None:
    moments = random.Random(seed)
    steps: list[int] = []
    while len(steps) < kills:
        begun = folder.is_dir()
        process = live(["--resume", str(folder)] if begun else [*arguments, "--out", str(folder)])
        time.sleep(moments.uniform(0, LONGEST))
        os.kill(process, signal.SIGKILL)
        status = ended(process)
        if status == 0:  # it was done before: once more from the start
            shutil.rmtree(folder)
        elif status == -signal.SIGKILL:
            steps.append(checkpoint.load(folder)[1]["order"]["step"] if begun else 0)
        else:
            raise SystemExit(f"the run ended with {status} after {len(steps)} kills, at {steps}")
    print(json.dumps({"killed_at": steps, "status": ended(live(["--resume", str(folder)]))}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
