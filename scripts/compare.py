"""Run an experiment by hand and with autograd from identical weights, and show both side by side."""

import argparse
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from handgrad import cli
from handgrad.data_options import FILES
from handgrad.errors import UsageError

if TYPE_CHECKING:
    from handgrad.experiment import Experiment


def parser() -> cli.Parser:
    """Return the command's options."""
    parser = cli.Parser(prog="compare.py", description=__doc__, epilog="Exit status: 0 in parity, 1 not, 2 wrong use.")
    parser.add_argument("name", nargs="?", help="the experiment, see --list")
    parser.add_argument("--list", action="store_true", help="list the experiments")
    parser.add_argument("--all", action="store_true", help="run every experiment, a line each (minutes)")
    cli.add_training_options(parser)
    cli.add_step_options(parser)
    parser.add_argument(
        "--trace", action="store_true", help="the first step alone: every tensor by name, and each module by itself"
    )
    parser.add_argument("--device", default="cpu", help="autograd's device: cpu (default), auto, cuda, cuda:N or mps")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="leave both runs and comparison.json in this new folder"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return cli.run("compare.py", command, arguments)


def command(arguments: list[str]) -> int:
    """Parse the arguments and do what they ask for."""
    options = parser().parse_args(arguments)
    if sum([options.list, options.all, (options.name or options.csv) is not None]) != 1:
        raise UsageError("give the name of one experiment, or --list, or --all, or --csv FILE (see --help)")
    if options.list:
        return list_experiments(options)
    if options.trace and options.out:
        raise UsageError("--trace takes one step and leaves no run; leave out --out, or --trace")
    if options.all:
        return compare_all(options)
    return trace_one(options) if options.trace else compare_one(options)


def list_experiments(options: argparse.Namespace) -> int:
    """Print a line for each experiment, with the options that it takes beyond the common ones."""
    from handgrad import experiments
    from handgrad.experiments._table import TAKES_TABLES

    found = [experiments.get(name) for name in experiments.names()]
    if options.json:
        rows = [{"name": e.name, "title": e.title, "source": e.source, "kind": e.kind, "slow": e.slow} for e in found]
        print(cli.document("compare", None, {}, rows, "listed"))
        return 0
    for e in found:
        marks = [f"--inputs {'|'.join(e.inputs)}"] if e.inputs else []
        marks += [f"--cell {'|'.join(e.cells)}"] * bool(e.cells) + ["--data"] * (e.folder is not None)
        marks += ["--csv"] * (e.kind == "training" and e.network.name in TAKES_TABLES)
        marks += ["--text", "--names"] * (e.network.name in ("char_rnn", "gpt"))
        marks += ["--published"] * bool(e.published) + ["--sizes"] * e.resizable + ["takes minutes"] * e.slow
        print(f"{e.name:16} {e.title}" + (f"  ({', '.join(marks)})" if marks else ""))
    return 0


def chosen(options: argparse.Namespace) -> "Experiment":
    """Return the experiment with the settings that were given; UsageError where it cannot be compared with them."""
    experiment = cli.with_steps(cli.chosen(options), options)
    if experiment.scheduler is not None and experiment.scheduler.takes_loss:
        raise UsageError(f"--scheduler {experiment.scheduler.name} looks at a loss, which parts; use it with train.py")
    if options.batch_size is not None and options.batch_size > (most := len(experiment.data().inputs)):
        raise UsageError(f"--batch-size {options.batch_size}: there are {most:,} samples; give at most that many")
    if options.trace and (experiment.accumulate > 1 or experiment.max_norm is not None):
        raise UsageError("--trace shows the gradients of one whole batch; leave out --accumulate and --clip-norm")
    if experiment.network.published and not experiment.layered:
        raise UsageError("--published is compared as it was published, by plain steps; leave out how steps are taken")
    return experiment


def compare_one(options: argparse.Namespace) -> int:
    """Compare one experiment and print what was found."""
    from handgrad import runs
    from handgrad.comparison import compare
    from handgrad.data import describe
    from handgrad.report import document, text

    experiment = chosen(options)
    with runs.new_folder(options.out) if options.out else nullcontext() as folder:
        comparison = compare(experiment, options.device)
        config = {**experiment.config(), "read": describe(comparison.data, experiment.name)}
        found, word = document.results(comparison), document.verdict(comparison)
        whole = cli.document("compare", experiment.name, config, found, word)
        if folder is not None:
            for side, state in (("hand", comparison.final_hand), ("autograd", comparison.final_autograd)):
                metrics = [{"epoch": r.epoch, "loss": getattr(r, side)} for r in comparison.reports]
                name = "manual" if side == "hand" else "torch"
                runs.write(folder / name, name, experiment, comparison.data, metrics, state)
            runs.RunFolder(folder).write_text("comparison.json", whole + "\n")
    print(whole if options.json else "\n".join(text.full(comparison)))
    return 0 if comparison.ok else 1


def trace_one(options: argparse.Namespace) -> int:
    """Trace one step of one experiment and print what was found."""
    from handgrad.isolate import isolate
    from handgrad.report import trace as report
    from handgrad.trace import Trace

    experiment = chosen(options)
    trace = Trace(experiment, options.device)
    isolated = isolate(trace)
    good = report.in_parity(trace, isolated)
    if options.json:
        found = report.results(trace, isolated)
        word = "in parity" if good else "out of parity"
        print(cli.document("compare", experiment.name, experiment.config(), found, word))
    else:
        print("\n".join(report.full(trace, isolated)))
    return 0 if good else 1


def compare_all(options: argparse.Namespace) -> int:
    """Compare every experiment, a line of verdict each."""
    from handgrad import experiments
    from handgrad.comparison import compare
    from handgrad.report import document, text

    for name in ("published", "inputs", *FILES, "validation", "cell", "sizes", "out", "trace", *cli.STEP_OPTIONS):
        if getattr(options, name):
            option = name.replace("_", "-")
            raise UsageError(f"--all runs the experiments as they stand; --{option} goes with one experiment's name")
    rows, good = [], True
    for name in experiments.names():
        started, experiment = time.monotonic(), experiments.get(name)
        if experiment.kind == "forward":
            settings = argparse.Namespace(**{**vars(options), "epochs": None, "lr": None, "order": None})
        else:
            settings = options
        comparison = compare(cli.configured(experiment, settings), options.device)
        good &= comparison.ok
        rows.append({"name": name, "verdict": document.verdict(comparison), **document.results(comparison)})
        if not options.json:
            print(f"{name:16} {text.verdict(comparison)}  [{time.monotonic() - started:.1f} s]", flush=True)
    if options.json:
        print(cli.document("compare", None, {}, rows, "in parity" if good else "out of parity"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
