"""Train while somebody kills the process at random moments: python killed.py KILLS SEED FOLDER TRAIN-ARGUMENTS...

Each life is a fork of this process, which has trained before, so that a life begins without imports and without what
torch makes ready at its first step. Prints the step of the last checkpoint at each death, and how the run ended.
"""

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from handgrad import checkpoint
from scripts import train

LONGEST = 0.3  # seconds of a life


def live(folder: Path, arguments: list[str]) -> int:
    """Fork a process that trains, or goes on if there is something to go on with; return its number."""
    if (process := os.fork()) == 0:
        here = ["--resume", str(folder)] if folder.is_dir() else [*arguments, "--out", str(folder)]
        os._exit(train.main([*here, "--json"]))
    return process


def ended(process: int) -> int:
    """Wait for a process and return its exit status, negative for the signal that has ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main(kills: int, seed: int, folder: Path, arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as first, open(os.devnull, "w") as nowhere:
        results, sys.stdout = sys.stdout, nowhere
        train.main(["alice", "--side", "both", "--out", first, "--json"])
        steps: list[int] = []
        moments = random.Random(seed)
        while len(steps) < kills:
            process = live(folder, arguments)
            time.sleep(moments.uniform(0, LONGEST))
            os.kill(process, signal.SIGKILL)
            status = ended(process)
            if status == 0:  # it was done before: once more from the start
                shutil.rmtree(folder)
            elif status == -signal.SIGKILL:
                steps.append(checkpoint.load(folder)[1]["order"]["step"] if folder.is_dir() else 0)
            else:
                raise SystemExit(f"the run ended with {status} after {len(steps)} kills, at {steps}")
        status = ended(live(folder, arguments))
    print(json.dumps({"killed_at": steps, "status": status}), file=results)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
