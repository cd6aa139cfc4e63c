"""Train an experiment by hand, with autograd, or both, into a run folder; or go on with one."""

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handgrad import cli, parsing
from handgrad.data_options import FILES
from handgrad.errors import UsageError
from handgrad.processes import Processes, join, told_by_main

if TYPE_CHECKING:
    from handgrad.experiment import Experiment
    from handgrad.launch import Saved
    from handgrad.training import Training

# What may be said anew when a run goes on; all else is as it was.
ANEW = ("resume", "side", "device", "epochs", "steps", "checkpoint_every", "json", *FILES)


def parser() -> cli.Parser:
    """Return the command's options."""
    parser = cli.Parser(
        prog="train.py",
        description=__doc__,
        epilog="Several processes, each with a part of every batch: torchrun --nproc-per-node N scripts/train.py ... "
        "Ctrl-C finishes the step and saves. Exit status: 0 done, 2 wrong use or a training that diverged, "
        "130 interrupted.",
    )
    parser.add_argument("name", nargs="?", help="the experiment, see compare.py --list; none with --csv is a table's")
    parser.add_argument("--side", choices=("manual", "torch", "both"), help="default: manual")
    parser.add_argument(
        "--device", help="the torch side's: cpu (default; of a run that goes on, as it was), auto, cuda, cuda:N or mps"
    )
    parser.add_argument(
        "--deterministic", action="store_true", help="on an accelerator: the same bits every time, where it can"
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=Path, metavar="DIR", help="a new folder; with both, one a side in it")
    where.add_argument(
        "--resume",
        type=Path,
        metavar="DIR",
        help="go on with a run, on either side; more --epochs or --steps extend it",
    )
    cli.add_training_options(parser)
    cli.add_step_options(parser)
    parser.add_argument(
        "--steps", type=parsing.positive_int, metavar="N", help="end after N steps; instead of --epochs"
    )
    group = parser.add_argument_group("what is written")
    group.add_argument(
        "--evaluate-every", type=parsing.positive_int, metavar="N", help="steps from one evaluation to the next"
    )
    group.add_argument(
        "--checkpoint-every", type=parsing.positive_int, metavar="N", help="steps; default: every half minute"
    )
    group.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return cli.run("train.py", command, arguments)


def command(arguments: list[str]) -> int:
    """Parse the arguments, and train each side into its folder."""
    with told_by_main():
        options = parser().parse_args(arguments)
        saved = saved_in(options)
    with join(options.device or device_of(saved, options.side)) as processes:
        return train(options, saved, processes)


def saved_in(options: argparse.Namespace) -> "list[Saved]":
    """Return the checkpoints to go on from, one a side; none of a new run."""
    if options.resume is None:
        return []
    from handgrad import launch

    return [launch.read(folder) for folder in launch.folders(options.resume, options.side)]


def device_of(saved: "list[Saved]", side: str | None) -> str:
    """Return the device that a run was given, on which it goes on where none is said; the CPU by hand."""
    by_hand = all((one.rest["side"] if side in (None, "both") else side) == "manual" for one in saved)
    return "cpu" if by_hand else str(saved[-1].rest["config"].get("device") or "cpu")


def train(options: argparse.Namespace, saved: "list[Saved]", processes: Processes) -> int:
    """Train each side into its folder, together with the other processes, of which the main one speaks."""
    trainings = resumed(options, saved, processes) if saved else started(options, processes)
    with ExitStack() as kept:
        for training in trainings:
            kept.enter_context(training.alone())
        return train_all(options, processes, trainings)


def train_all(options: argparse.Namespace, processes: Processes, trainings: "list[Training]") -> int:
    """Train one side after the other, and say how good each is."""
    from handgrad.data import describe
    from handgrad.interrupts import TrainingInterruptedError

    experiment, found = trainings[0].experiment, {}
    read = describe(trainings[0].data, experiment.name)
    lines = processes.main and not options.json
    if lines:
        cli.say(read)
    try:
        for training in trainings:
            if lines:
                cli.say(f"{training.side.name:6}  {training.side.describe()}")
            summary = training.run(quiet=not lines)
            if processes.main:
                metrics = training.folder.metrics()
                found[training.side.name] = {"metrics": metrics, "final_loss": metrics[-1]["loss"], "summary": summary}
            if lines:
                tell(training, summary)
            if training.asked and training is not trainings[-1]:
                done = f"interrupted when the {training.side.name} side was done"
                raise TrainingInterruptedError(
                    f"{done}; go on with --resume {options.resume or options.out}", training.asked
                )
    except RuntimeError as error:
        if not options.deterministic or "deterministic" not in str(error):
            raise
        raise UsageError(f"--deterministic: {str(error).partition('. ')[0]}; leave it out") from None
    except TrainingInterruptedError as interrupted:
        if processes.main:
            print(f"train.py: {interrupted}", file=sys.stderr)
        return interrupted.status
    if options.json and processes.main:
        print(cli.document("train", experiment.name, {**experiment.config(), "read": read}, found, "trained"))
    return 0


def tell(training: "Training", summary: dict[str, Any]) -> None:
    """Print how good a trained side is, and what it has left."""
    from handgrad.summary import lines

    print("\n".join(["", *lines(summary, training.data)]))
    best = training.best
    print(
        f"{training.folder.path}: weights.npz after step {training.order.step:,}, best.npz after step {best['step']:,}"
    )


def started(options: argparse.Namespace, processes: Processes) -> "list[Training]":
    """Return the trainings of a new run, each with its folder and a checkpoint of its start."""
    from handgrad import launch, runs

    experiment = chosen(options)
    side = options.side or "manual"
    plan = launch.Plan(options.evaluate_every, options.checkpoint_every)
    both = side == "both"
    names = ["manual", "torch"] if both else [side]
    trainings = launch.trainings(experiment, names, processes, launch.kept(options), plan)
    if processes.main:
        with runs.new_folder(options.out) as folder:
            for training in trainings:
                try:
                    training.create(folder / training.side.name if both else folder)
                except UsageError as error:  # it knows the folder by the name that it has until it is complete
                    raise UsageError(str(error).replace(str(folder), str(options.out))) from None
    for training in trainings:
        training.folder.path = options.out / training.side.name if both else options.out
        training.resume_as = options.out
    return trainings


def resumed(options: argparse.Namespace, checkpoints: "list[Saved]", processes: Processes) -> "list[Training]":
    """Return the trainings of a run that goes on, each as its last checkpoint has it."""
    from handgrad import launch

    default = parser().parse_args(["--resume", "x"])
    given = [name for name, value in vars(options).items() if value != getattr(default, name) and name not in ANEW]
    if given:
        option = "NAME" if given[0] == "name" else f"--{given[0].replace('_', '-')}"
        raise UsageError(f"{option}: a run goes on with its own settings; leave it out, or start a new one with --out")
    found = []
    for saved in checkpoints:
        before = argparse.Namespace(**{**vars(default), **saved.options})
        for name in ("epochs", "steps"):
            if getattr(options, name) is not None:
                if getattr(before, "steps" if name == "epochs" else "epochs") is not None:
                    raise UsageError(f"--{name}: this run was given the other of --epochs and --steps; extend that")
                setattr(before, name, getattr(options, name))
        for name in (name for name in FILES if getattr(options, name) is not None):
            if getattr(before, name) is None:
                raise UsageError(f"--{name}: this run was not trained on such a file; leave it out")
            setattr(before, name, getattr(options, name))  # it has moved; that it holds the same is seen to
        plan = launch.Plan(before.evaluate_every, options.checkpoint_every or before.checkpoint_every)
        found.append(launch.go_on(saved, chosen(before), options.side, processes, launch.kept(before), plan))
        found[-1].resume_as = options.resume if options.resume.is_dir() else saved.folder
    return found


def chosen(options: argparse.Namespace) -> "Experiment":
    """Return the experiment with all settings; UsageError where nothing is trained."""
    experiment = cli.chosen(options)
    if experiment.kind == "forward":
        raise UsageError(f"{experiment.name} is forward only, nothing is trained; run compare.py {experiment.name}")
    if options.steps is not None and options.epochs is not None:
        raise UsageError("--steps and --epochs both say when to end; give one of them")
    return replace(cli.with_steps(experiment, options), steps=options.steps)


if __name__ == "__main__":
    sys.exit(main())
