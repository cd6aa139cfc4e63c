"""The options that name a user's own samples, and the experiment on them. Imports no numpy and no torch."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from handgrad import parsing
from handgrad.errors import UsageError

if TYPE_CHECKING:
    from handgrad.data.split import Shares
    from handgrad.data.tasks import Scale
    from handgrad.experiment import Experiment

SHARE = 0.1  # of a user's samples, to validate, and as many to test
BLOCK = 32
LONGEST_BLOCK = 1024  # the most positions that a run folder may ask a network for
SCALES = ("standardise", "shift", "none")
OF_A_TABLE = ("features", "target", "task", "classes", "scale")
FILES = ("csv", "data", "text", "names")


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that name samples, how they are read, and what is held out of them."""
    group = parser.add_argument_group("your own data")
    group.add_argument("--csv", type=Path, metavar="FILE", help="a table; its first line names the columns")
    group.add_argument(
        "--features", type=parsing.names, metavar="A,B", help="columns of --csv to learn from (all but the target)"
    )
    group.add_argument("--target", metavar="C", help="the column of --csv to learn")
    group.add_argument(
        "--task", choices=("classes", "number"), help="what the target is (numbers are a number, text is classes)"
    )
    group.add_argument("--classes", type=parsing.names, metavar="A,B", help="the target's labels, in their order")
    group.add_argument("--scale", choices=SCALES, help="what is done to the numbers of --csv (standardise)")
    group.add_argument("--data", type=Path, metavar="DIR", help="IDX files (MNIST, Fashion-MNIST) for mlp and convnet")
    group.add_argument("--text", type=Path, metavar="FILE", help="running text for char_rnn and gpt, in UTF-8")
    group.add_argument("--names", type=Path, metavar="FILE", help="names, one a line, for char_rnn and gpt")
    group.add_argument("--block", type=parsing.positive_int, metavar="N", help=f"characters a sequence ({BLOCK})")
    group.add_argument(
        "--validation", type=parsing.share, metavar="SHARE", help=f"held out to look at in training ({SHARE}; else 0)"
    )
    group.add_argument("--test", type=parsing.share, metavar="SHARE", help=f"held out to the end ({SHARE})")


def with_data(experiment: "Experiment | None", options: argparse.Namespace) -> "Experiment":
    """Return the experiment on the samples that the options name; without one, a layered network on a table.

    Raises UsageError where options do not go together, or not with the experiment, and for files that cannot be read.
    """
    given = [name for name in FILES if getattr(options, name) is not None]
    _check(given, options)
    if options.csv is not None:
        return _on_csv(experiment, options)
    if experiment is None:
        raise UsageError("give the name of an experiment (compare.py --list), or --csv FILE with --target (see --help)")
    if options.data is not None:
        return experiment.with_folder(options.data)
    if options.text is None and options.names is None:
        return experiment
    from handgrad.data.text import name_list, running_text

    if experiment.network.name not in ("char_rnn", "gpt") or experiment.network_for is None:
        raise UsageError(f"--{given[0]}: {experiment.name} reads no text; it is for char_rnn and gpt")
    shares = _shares(options, experiment.seed)
    if options.text is not None:
        data, source = running_text(options.text, options.block or BLOCK, shares), options.text
    else:
        data, source = name_list(options.names, shares), options.names
    return experiment.with_samples(data, experiment.network_for(experiment.network, data), str(source))


def _check(given: list[str], options: argparse.Namespace) -> None:
    if len(given) > 1:
        raise UsageError(f"--{' and --'.join(given)} each name all samples; give one of them")
    if options.csv is None:
        for name in OF_A_TABLE:
            if getattr(options, name) is not None:
                raise UsageError(f"--{name} says how a table is read; it goes with --csv FILE")
    if options.block is not None and options.text is None:
        raise UsageError("--block cuts running text; it goes with --text FILE")
    if options.block is not None and options.block > LONGEST_BLOCK:
        raise UsageError(f"--block {options.block}: at most {LONGEST_BLOCK} characters a sequence")
    if options.test is not None and given in ([], ["data"]):
        raise UsageError(
            "--test takes a share of a file of yours; these samples have a test part of their own, or none"
        )
    if given and options.inputs is not None:
        raise UsageError("--inputs scales the samples of an experiment; leave it out, for --csv there is --scale")


def _on_csv(experiment: "Experiment | None", options: argparse.Namespace) -> "Experiment":
    from handgrad.data.tasks import read_samples
    from handgrad.experiments._table import on_table, table

    if options.target is None:
        raise UsageError("--csv needs --target, the column to learn")
    samples = read_samples(options.csv, options.features, options.target, options.task, options.classes)
    scale: Scale = options.scale or "standardise"
    if experiment is None:
        return table(samples, scale, _shares(options, 0))
    return on_table(experiment, samples, scale, _shares(options, experiment.seed))


def _shares(options: argparse.Namespace, seed: int) -> "Shares":
    from handgrad.data.split import Shares

    validation, test = (SHARE if share is None else share for share in (options.validation, options.test))
    return Shares(validation, test, seed if options.seed is None else options.seed)
