"""What all commands share: their errors, their common options and their JSON. Imports no numpy and no torch."""

import argparse
import io
import json
import math
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from handgrad import parsing
from handgrad.data_options import add_data_options, with_data
from handgrad.errors import ToldError, UsageError

if TYPE_CHECKING:
    from handgrad.experiment import Experiment

SCHEMA = "handgrad/1"
ORDERS = ("fixed", "shuffle", "replacement")
DTYPES = ("float64", "float32")
STEP_OPTIONS = (
    *("batch_size", "accumulate", "optimizer", "weight_decay", "clip_norm", "scheduler", "schedule_every"),
    "report_every",
)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, and whose options are never abbreviated."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage and leaving."""
        raise UsageError(f"{message} (see --help)")


def run(name: str, command: Callable[[list[str]], int], arguments: list[str] | None) -> int:
    """Call `command` with the arguments, and return its exit status.

    A UsageError becomes one line on stderr and status 2; Ctrl-C ends with 130, a closed pipe quietly.
    """
    for stream in (sys.stdout, sys.stderr):  # names and lines of theirs may have letters that it cannot show
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = command(sys.argv[1:] if arguments is None else arguments)
        if sys.stdout is not None:  # None where the shell has closed it
            sys.stdout.flush()
        return status
    except ToldError:
        return 2
    except UsageError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `| head` has read enough
        _ignore_stdout()
        return 0
    except MemoryError:
        print(f"{name}: there is not enough memory for this; choose smaller sizes", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, for an accelerator; torch is not imported here
            raise
        print(f"{name}: the device has not enough memory for this; choose smaller sizes or batches", file=sys.stderr)
        return 2
    except OSError as error:
        if sys.stdout is not None:
            _ignore_stdout()  # it may be what cannot be written: leave nothing in its buffer
        print(f"{name}: {error.strerror or error}{f' ({error.filename})' if error.filename else ''}", file=sys.stderr)
        return 2


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that change an experiment's settings."""
    parser.add_argument("--epochs", type=parsing.positive_int, help="passes over the samples")
    parser.add_argument("--lr", type=parsing.rate, help="learning rate")
    parser.add_argument("--seed", type=parsing.seed, help="seed of the initial weights and of the order")
    parser.add_argument("--order", choices=ORDERS, help="in which order the samples are taken")
    parser.add_argument("--dtype", choices=DTYPES, help="precision of both sides (default: float64)")
    parser.add_argument(
        "--inputs", metavar="HOW", help="how the inputs are scaled, e.g. raw; compare.py --list shows which"
    )
    parser.add_argument("--cell", metavar="CELL", help="rnn, gru or lstm, for char_rnn")
    parser.add_argument(
        "--sizes", type=parsing.sizes, metavar="N,..,N", help="layer sizes, for layered, xor, mlp, tables"
    )
    parser.add_argument(
        "--published", action="store_true", help="a rule as the tutorial published it, with its mistake"
    )
    add_data_options(parser)


def add_step_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how steps are taken."""
    group = parser.add_argument_group("how steps are taken")
    group.add_argument("--batch-size", type=parsing.positive_int, metavar="N", help="samples a step")
    group.add_argument(
        "--accumulate", type=parsing.positive_int, metavar="N", help="compute each batch in N parts, for less memory"
    )
    group.add_argument("--optimizer", type=parsing.rule, metavar="RULE", help="as in 'AdamW(betas=(0.9, 0.99))'")
    group.add_argument("--weight-decay", type=parsing.rate, metavar="X", help="the optimizer's weight decay")
    group.add_argument("--clip-norm", type=parsing.rate, metavar="X", help="the largest norm of all gradients together")
    group.add_argument("--scheduler", type=parsing.rule, metavar="RULE", help="as in 'CosineAnnealingLR(T_max=20)'")
    group.add_argument("--schedule-every", choices=("epoch", "step"), help="how often the scheduler steps")
    group.add_argument("--report-every", type=parsing.positive_int, metavar="N", help="epochs from report to report")


def with_steps(experiment: "Experiment", options: argparse.Namespace) -> "Experiment":
    """Return the experiment with the options of `add_step_options`; UsageError where they do not fit."""
    from dataclasses import replace

    from handgrad import rules

    changes = {"batch_size": options.batch_size, "accumulate": options.accumulate, "max_norm": options.clip_norm}
    changes["report_every"] = options.report_every
    experiment = replace(experiment, **{name: value for name, value in changes.items() if value is not None})
    if options.optimizer is not None:
        experiment = replace(experiment, optimizer=rules.optimizer(*options.optimizer))
    if options.weight_decay is not None:
        experiment = replace(experiment, optimizer=rules.with_weight_decay(experiment.optimizer, options.weight_decay))
    if options.scheduler is not None:
        name, settings = options.scheduler
        experiment = replace(experiment, scheduler=rules.scheduler(name, settings, options.schedule_every))
    elif options.schedule_every is not None:
        raise UsageError(f"--schedule-every {options.schedule_every}: there is no scheduler; add --scheduler")
    if experiment.kind != "forward":
        rules.check(experiment)
    return experiment


def chosen(options: argparse.Namespace) -> "Experiment":
    """Return the experiment that was named, or else the one on a table of the user's, with the settings given."""
    from handgrad import experiments

    return configured(None if options.name is None else experiments.get(options.name), options)


def configured(experiment: "Experiment | None", options: argparse.Namespace) -> "Experiment":
    """Return the experiment with the samples and settings that were given on the command line."""
    from dataclasses import replace

    if experiment is None and (options.published or options.cell):
        raise UsageError("--published and --cell change an experiment; give the name of one")
    if experiment is not None and options.published:
        experiment = experiment.as_published()
    if experiment is not None and options.cell is not None:
        experiment = experiment.with_cell(options.cell)
    experiment = with_data(experiment, options)
    if options.inputs is not None:
        experiment = experiment.with_inputs(options.inputs)
    if options.sizes is not None:
        experiment = experiment.resized(options.sizes)
    if experiment.kind == "forward":
        names = ("epochs", "lr", "order", *STEP_OPTIONS)
        given = [name.replace("_", "-") for name in names if getattr(options, name, None) is not None]
        if given:
            raise UsageError(f"{experiment.name} is forward only, nothing is trained: leave out --{' --'.join(given)}")
    changes = {name: getattr(options, name) for name in ("epochs", "lr", "seed", "order", "dtype")}
    experiment = replace(experiment, **{name: value for name, value in changes.items() if value is not None})
    own = any(getattr(options, name) is not None for name in ("csv", "text", "names"))  # taken apart already
    return experiment if own or not options.validation else experiment.with_validation(options.validation)


def say(line: str) -> None:
    """Print a line of progress to stdout; a reader who has gone away does not end the work."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        _ignore_stdout()


def _ignore_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def document(command: str, experiment: str | None, config: Any, results: Any, verdict: str) -> str:
    """Return the one JSON document that a command prints under --json; NaN and infinities become strings."""
    whole = {
        "schema": SCHEMA,
        "command": command,
        "experiment": experiment,
        "config": config,
        "results": results,
        "verdict": verdict,
    }
    return json.dumps(plain(whole), indent=2, allow_nan=False)


def plain(value: Any) -> Any:
    """Return `value` as JSON has it: arrays as lists, numpy's numbers as Python's, NaN as "NaN"."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
