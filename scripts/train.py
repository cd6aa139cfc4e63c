"""Train an experiment by hand, with autograd, or both, and leave a run folder that predict.py reads."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from handgrad import cli
from handgrad.errors import UsageError

if TYPE_CHECKING:
    from handgrad.data import Data
    from handgrad.experiment import Experiment, State
    from handgrad.sides import ManualSide
    from handgrad.torch_side import TorchSide


def parser() -> cli.Parser:
    """Return the command's options."""
    parser = cli.Parser(prog="train.py", description=__doc__, epilog="Exit status: 0 done, 2 wrong use.")
    parser.add_argument("name", nargs="?", help="the experiment, see compare.py --list; none with --csv is a table's")
    parser.add_argument("--side", choices=("manual", "torch", "both"), default="manual", help="default: manual")
    parser.add_argument("--device", default="cpu", help="the torch side's: cpu (default), auto, cuda, cuda:N or mps")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", required=True, help="a new folder; with both, one a side in it"
    )
    cli.add_training_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return cli.run("train.py", command, arguments)


def command(arguments: list[str]) -> int:
    """Parse the arguments, train, and write the run folder."""
    options = parser().parse_args(arguments)
    from handgrad import runs
    from handgrad.data import describe

    experiment = cli.chosen(options)
    if experiment.kind == "forward":
        raise UsageError(f"{experiment.name} is forward only, nothing is trained; run compare.py {experiment.name}")
    if options.side == "manual" and options.device != "cpu":
        raise UsageError(f"--device {options.device}: the manual side runs on the CPU alone; use --side torch or both")
    data = experiment.data()
    read = describe(data, experiment.name)
    state = experiment.weights(experiment.seed, experiment.network)
    sides = [build(name, experiment, data, state, options.device) for name in sides_of(options.side)]
    found = {}
    with runs.new_folder(options.out) as folder:
        if not options.json:
            cli.say(read)
        for side in sides:
            metrics = train(experiment, side, quiet=options.json)
            found[side.name] = {"metrics": metrics, "final_loss": side.report(experiment.report)}
            runs.write(
                folder / side.name if len(sides) > 1 else folder, side.name, experiment, data, metrics, side.state()
            )
    if options.json:
        print(cli.document("train", experiment.name, {**experiment.config(), "read": read}, found, "trained"))
    else:
        print(
            f"{options.out}: config.json, metrics.jsonl and weights.npz" + (" for each side" if len(sides) > 1 else "")
        )
    return 0


def sides_of(choice: str) -> list[str]:
    """Return the names of the sides to train."""
    return ["manual", "torch"] if choice == "both" else [choice]


def build(name: str, experiment: "Experiment", data: "Data", state: "State", device: str) -> "ManualSide | TorchSide":
    """Return one side, with copies of the weights; torch is imported only for its own."""
    if name == "manual":
        from handgrad.sides import ManualSide

        return ManualSide(experiment, data, state)
    from handgrad.torch_side import TorchSide, choose_device

    return TorchSide(experiment, data, state, choose_device(device, experiment.dtype))


def train(experiment: "Experiment", side: "ManualSide | TorchSide", quiet: bool) -> list[dict[str, float]]:
    """Train one side and return its reports; some ten of them are printed as they come."""
    import numpy as np

    from handgrad.loop import run

    metrics: list[dict[str, float]] = []
    every = max(1, experiment.epochs // experiment.report_every // 10)
    terminal = sys.stderr.isatty()

    def report(epoch: int) -> None:
        loss = side.report(experiment.report)
        if not math.isfinite(loss):
            raise UsageError(
                f"the training diverged: at epoch {epoch} the loss is {loss}; lower --lr {experiment.lr:g}"
            )
        metrics.append({"epoch": epoch, "loss": loss})
        if not quiet and (len(metrics) % every == 1 or every == 1 or epoch == experiment.epochs - 1):
            cli.say(f"{side.name:6}  epoch {epoch:>7}  loss {loss:.17g}")
        elif terminal:
            print(f"\r{side.name} epoch {epoch} of {experiment.epochs}", end="\r", file=sys.stderr)

    with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is refused in one line
        run(experiment, len(side.inputs), side.step, report)
    return metrics


if __name__ == "__main__":
    sys.exit(main())
