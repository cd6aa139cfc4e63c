"""Show what becomes of the gradient of a batch in uneven parts, among processes or in time, and what mends it."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from handgrad import cli, parsing
from handgrad.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

    from handgrad.data import Data
    from handgrad.experiment import Experiment, State
    from handgrad.sides import ManualSide

    Array = np.ndarray[Any, np.dtype[Any]]

MOST = 16  # processes, each of which loads torch


def parser() -> cli.Parser:
    """Return the command's options."""
    parser = cli.Parser(prog="shares.py", description=__doc__, epilog="Exit status: 0 done, 2 wrong use.")
    parser.add_argument("--processes", type=parsing.positive_int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--samples", type=parsing.positive_int, default=129, metavar="N", help="default: 129")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return cli.run("shares.py", command, arguments)


def command(arguments: list[str]) -> int:
    """Parse the arguments, start the processes, and print how far each gradient is from the whole batch's."""
    options = parser().parse_args(arguments)
    if not 2 <= options.processes <= min(MOST, options.samples):
        raise UsageError(f"--processes {options.processes}: give 2 to {MOST}, and at most one for each sample")
    found = measured(options)
    if options.json:
        print(cli.document("shares", None, vars(options), found, "shown"))
        return 0
    sizes = " + ".join(map(str, found["sizes"]))
    print(
        f"{options.samples} samples of a 2-16-1 network on {options.processes} processes, {sizes}; mean cross-entropy"
    )
    print(f"the largest gradient of the whole batch, by hand, is {found['largest']:.2g}; of this differs, at most,")
    for name, error in found["errors"].items():
        print(f"  {name:58} {error:.1e}")
    return 0


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Return the sizes of the parts, and how far each way of putting their gradients together is from the whole's."""
    import numpy as np

    from handgrad.sides import ManualSide

    experiment, data, state = lesson(options.samples)
    alone = ManualSide(experiment, data, state)
    parts = np.array_split(np.arange(options.samples), options.processes)
    means = [gradient(alone, part) for part in parts]
    whole = gradient(alone, np.arange(options.samples))
    ways = {
        **together(options),
        "in time: the mean of the parts' means": np.mean(means, axis=0),
        "in time: the sum of the parts' shares": in_time(experiment, data, state, options.processes),
    }
    errors = {name: float(np.abs(found - whole).max()) for name, found in ways.items()}
    return {"sizes": [len(part) for part in parts], "largest": float(np.abs(whole).max()), "errors": errors}


def lesson(samples: int) -> "tuple[Experiment, Data, State]":
    """Return a 2-16-1 network with its weights, and points that it shall tell apart: inside a circle, or outside."""
    import numpy as np

    from handgrad.data import Data
    from handgrad.experiment import Experiment, Loss, Network
    from handgrad.weights import by_network

    inputs = np.random.default_rng(0).normal(size=(samples, 2))
    data = Data(inputs, ((inputs**2).sum(axis=1, keepdims=True) < 1).astype(float), ("x", "y"))
    network = Network("mlp", (2, 16, 1))
    described = {"name": "shares", "title": "a batch in uneven parts", "source": "drawn here"}
    experiment = Experiment(
        **described, kind="training", data=lambda: data, network=network, weights=by_network, loss=Loss("cross_entropy")
    )
    return experiment, data, by_network(0, network)


def gradient(side: "ManualSide", rows: "Array") -> "Array":
    """Return the gradient of the mean loss on some rows, by hand."""
    side.trainer.gradients(side.inputs[rows], side.targets[rows])
    return side.flat_gradients()


def in_time(experiment: "Experiment", data: "Data", state: "State", count: int) -> "Array":
    """Return the gradient of a batch that is computed in parts, one after the other."""
    import numpy as np

    from handgrad.sides import ManualSide

    side = ManualSide(replace(experiment, accumulate=count), data, state)
    side.step(np.arange(len(data.inputs)))
    return side.flat_gradients()


def together(options: argparse.Namespace) -> "dict[str, Array]":
    """Return what several processes find together, as the first of them has it."""
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        places = [
            (rank, options.processes, options.samples, f"file://{folder}/store") for rank in range(options.processes)
        ]
        started = [context.Process(target=take_part, args=(*place, sender), daemon=True) for place in places]
        with ignored(signal.SIGINT):  # by what is started meanwhile: Ctrl-C is this process's alone to tell of
            for process in started:
                process.start()
        sender.close()
        try:
            found: dict[str, Array] = receiver.recv()
            for process in started:
                process.join()
        except EOFError:
            raise UsageError("a process has ended before the gradients were summed; it has told why") from None
        finally:
            for process in started:  # none outlives this one, nor the folder in which they meet
                process.kill()
                process.join()
    return found


@contextmanager
def ignored(number: int) -> Iterator[None]:
    """Ignore a signal for a while; processes that are started then go on ignoring it."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


def take_part(rank: int, world: int, samples: int, at: str, sender: Any) -> None:
    """Differentiate one share of the batch, on both sides, and send the sums if this is the first process."""
    import numpy as np

    from handgrad.processes import TORCHRUNS, join

    os.environ.update(zip(TORCHRUNS, (f"{rank}", f"{world}", f"{rank}", "", ""), strict=True))
    with join("cpu", at) as processes:
        from handgrad.sides import ManualSide
        from handgrad.torch_side import TorchSide

        experiment, data, state = lesson(samples)
        rows = np.arange(samples)
        theirs = TorchSide(experiment, data, state, processes=processes)
        own = processes.share(rows)
        theirs.trainer.gradients(theirs.inputs[own], theirs.targets[own])
        found = {"DistributedDataParallel: the mean of the processes' means": theirs.flat_gradients()}
        theirs.step(rows)
        found["DistributedDataParallel: the sum of their shares"] = theirs.flat_gradients()
        by_hand = ManualSide(experiment, data, state, processes=processes)
        by_hand.step(rows)
        found["by hand: the sum of their shares"] = by_hand.flat_gradients()
        if processes.main:
            sender.send(found)


if __name__ == "__main__":
    sys.exit(main())
