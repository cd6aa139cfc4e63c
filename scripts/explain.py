"""Show one step of an experiment as the chain rule with numbers: each factor by hand and in autograd's graph."""

import argparse
import sys

from handgrad import cli
from handgrad.errors import UsageError


def parser() -> cli.Parser:
    """Return the command's options."""
    parser = cli.Parser(
        prog="explain.py",
        description=__doc__,
        epilog="Exit status: 0 the product agrees with autograd, 1 it does not, 2 wrong use.",
    )
    parser.add_argument("name", help="the experiment, e.g. alice")
    parser.add_argument("--parameter", metavar="NAME", help="w1, b, 0.weight[1,0], ...; without it all are listed")
    parser.add_argument("--step", type=count, default=0, metavar="K", help="the K-th step, counted from 0 (default: 0)")
    cli.add_training_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return cli.run("explain.py", command, arguments)


def command(arguments: list[str]) -> int:
    """Explain one parameter, or list all."""
    options = parser().parse_args(arguments)
    from handgrad import experiments
    from handgrad.explaining import Step, text
    from handgrad.explaining.step import explainable

    experiment = experiments.get(options.name)
    if not explainable(experiment):
        accepted = ", ".join(name for name in experiments.names() if explainable(experiments.get(name)))
        why = "is forward only, it has no loss" if experiment.kind == "forward" else f"is a {experiment.network.name}"
        raise UsageError(f"{experiment.name} {why}, so there is no chain to show; choose one of {accepted}")
    experiment = cli.configured(experiment, options)
    step = Step(experiment, options.step)
    entries = step.entries() if options.parameter is None else [step.find(options.parameter)]
    found = [step.explain(entry) for entry in entries]
    good = all(each.ok for each in found)
    if options.json:
        verdict = "in parity" if good else "out of parity"
        print(cli.document("explain", experiment.name, experiment.config(), text.results(step, found), verdict))
    else:
        print("\n".join(text.every(step, found) if options.parameter is None else text.one(step, found[0])))
    return 0 if good else 1


def count(text: str) -> int:
    """Parse a whole number, 0 or above."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or above")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
