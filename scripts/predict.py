"""Predict with a trained run, by hand, with autograd, or both."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handgrad import cli, parsing
from handgrad.errors import UsageError

if TYPE_CHECKING:
    from handgrad.saved_run import Run

CM_PER_INCH = 2.54  # exact, by definition
KG_PER_POUND = 0.45359237  # exact, by definition


def parser() -> cli.Parser:
    """Return the command's options."""
    parser = cli.Parser(
        prog="predict.py",
        description=__doc__,
        epilog="Inputs are in the units of the training data; the run's shift and scale are applied to them. "
        "Exit status: 0 done, 2 wrong use.",
    )
    parser.add_argument("run", type=Path, metavar="DIR", help="a run folder that train.py has left")
    parser.add_argument("--side", choices=("manual", "torch", "both"), default="both", help="default: both")
    parser.add_argument("--weights", choices=("last", "best"), default="last", help="which of the run's (last)")
    parser.add_argument("--device", default="cpu", help="the torch side's: cpu (default), auto, cuda, cuda:N or mps")
    parser.add_argument("--height-cm", type=parsing.number, metavar="CM", help="a person's height, with --weight-kg")
    parser.add_argument("--weight-kg", type=parsing.number, metavar="KG", help="a person's weight, with --height-cm")
    parser.add_argument("--height-in", type=parsing.number, metavar="IN", help="a person's height, with --weight-lb")
    parser.add_argument("--weight-lb", type=parsing.number, metavar="LB", help="a person's weight, with --height-in")
    parser.add_argument("--input", metavar="X,..,X", help='one sample, as in --input "1,0,0,1"')
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="many samples: a column for each feature, with a header"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return cli.run("predict.py", command, arguments)


def command(arguments: list[str]) -> int:
    """Parse the arguments, predict and print."""
    options = parser().parse_args(joined(arguments))
    import numpy as np

    from handgrad import answers
    from handgrad.saved_run import SEQUENCES

    runs = find_runs(options.run, options.weights)
    first = next(iter(runs.values()))
    if first.data.features == ("pixel",) or first.network.name in SEQUENCES:
        writes = first.network.name in SEQUENCES
        other = "sample.py lets it write" if writes else "compare.py says how many it gets right"
        raise UsageError(f"{options.run} is a run of {first.experiment_name}, on no table of numbers; {other}")
    names = ["manual", "torch"] if options.side == "both" else [options.side]
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused in one line
        raw = samples(options, first)
        inputs = first.data.normalise(raw)
        outputs = {name: predict(name, runs.get(name, first), inputs, options.device) for name in names}
        found = {name: answers.answers(first.data, outputs[name]) for name in names}
    if not all(np.isfinite(values).all() for values in (raw, inputs, *found.values())):
        raise UsageError("the outputs are not finite: the inputs, or the run's weights, are too large; check the units")
    rows: list[dict[str, Any]] = []
    for index in range(len(raw)):
        each = {name: found[name][index] for name in names}
        row = {"given": raw[index], "inputs": inputs[index], **each}
        if len(names) == 2:
            row["difference"] = float(np.abs(each["manual"] - each["torch"]).max())
        rows.append(row | {"label": answers.label(first.data, next(iter(each.values())))})
    if options.json:
        rows = [row | {name: answers.plain(first.data, row[name]) for name in names} for row in rows]
        config = {"run": str(options.run), "features": first.data.features, "units": first.data.units}
        print(cli.document("predict", first.experiment_name, config, rows, "predicted"))
        return 0
    for row in rows:
        print("\n".join(text(first, row, names)))
    return 0


def joined(arguments: list[str]) -> list[str]:
    """Write `--input -2,-1` as `--input=-2,-1`: argparse would take -2,-1 for an option."""
    found: list[str] = []
    for argument in arguments:
        if found and found[-1] == "--input" and argument[:1] == "-" and argument[1:2] in tuple("0123456789."):
            found[-1] = f"--input={argument}"
        else:
            found.append(argument)
    return found


def text(run: "Run", row: dict[str, Any], names: list[str]) -> list[str]:
    """Return the lines for one sample."""
    from handgrad.answers import shown

    units = run.data.units or ("",) * len(run.data.features)
    given = ", ".join(
        f"{f} {v:.10g} {u}".rstrip() for f, v, u in zip(run.data.features, row["given"], units, strict=True)
    )
    shifted = run.data.shift is not None or run.data.scale is not None
    lines = [given + (f" -> ({', '.join(repr(float(x)) for x in row['inputs'])})" if shifted else "")]
    for name in names:
        by = {"manual": "by hand", "torch": "with autograd"}[name]
        label = f"{row['label']}: " if run.data.classes else f"{run.data.target} " if not run.data.labels else ""
        behind = row["label"] if run.data.labels else ""
        lines.append(f"  {by:14} {label.lstrip()}{shown(run.data, row[name])}  {behind}".rstrip())
    if "difference" in row:
        lines.append(f"  difference     {row['difference']:.1e}")
    return lines


def find_runs(folder: Path, which: str) -> "dict[str, Run]":
    """Return the run in a folder, or the two of a training of both sides, by the side that trained it."""
    from handgrad.saved_run import Run

    both = {name: folder / name for name in ("manual", "torch") if os.path.isfile(folder / name / "config.json")}
    found = [Run(path, which) for path in (both.values() if both else [folder])]
    if len({(run.experiment_name, run.network, run.data.features) for run in found}) > 1:
        raise UsageError(f"{folder}: manual/ and torch/ are runs of different experiments; name one of them")
    return {run.side: run for run in found}


def samples(options: argparse.Namespace, run: "Run") -> Any:
    """Return the samples asked for, (N, features), in the units of the training data."""
    import numpy as np

    metric, imperial = (options.height_cm, options.weight_kg), (options.height_in, options.weight_lb)
    given = {
        "--height-cm and --weight-kg": any(v is not None for v in metric),
        "--height-in and --weight-lb": any(v is not None for v in imperial),
        "--input": options.input is not None,
        "--csv": options.csv is not None,
    }
    if sum(given.values()) != 1:
        raise UsageError(f"give one of {', '.join(given)}")
    if options.csv is not None:
        from handgrad.data.csv_file import read

        return read(options.csv, run.data.features).numbers
    if options.input is not None:
        try:
            values = [parsing.number(part) for part in options.input.split(",")]
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"--input: {error}") from None
        if len(values) != len(run.data.features):
            raise UsageError(
                f"--input gives {len(values)} number{'s' * (len(values) != 1)}, but {run.experiment_name} "
                f"needs {len(run.data.features)}: {', '.join(run.data.features)}"
            )
        return np.array([values])
    # A table of the user's may have columns of these names too, in units that nobody knows.
    if dict(zip(run.data.features, run.data.units, strict=False)) != {"weight": "lb", "height": "in"}:
        raise UsageError(f"{run.experiment_name} does not ask for height and weight; use --input or --csv")
    return np.array([person(metric, imperial, run)])


def person(metric: tuple[Any, Any], imperial: tuple[Any, Any], run: "Run") -> list[float]:
    """Return a person's features in pounds and inches, in the run's order."""
    height, weight = metric if any(v is not None for v in metric) else imperial
    if height is None or weight is None:
        raise UsageError("a person needs both: --height-cm with --weight-kg, or --height-in with --weight-lb")
    if height <= 0 or weight <= 0:
        raise UsageError(f"a height of {height:g} and a weight of {weight:g}: both must be above 0")
    if metric[0] is not None:
        height, weight = height / CM_PER_INCH, weight / KG_PER_POUND
    values = {"height": height, "weight": weight}
    return [values[name] for name in run.data.features]


def predict(side: str, run: "Run", inputs: Any, device: str) -> Any:
    """Return one side's outputs (N, outputs) with the run's weights."""
    if side == "manual":
        from handgrad.sides import predict

        return predict(run.network, run.state, inputs, run.dtype)
    from handgrad.torch_side import choose_device
    from handgrad.torch_side import predict as predict_with_torch

    return predict_with_torch(run.network, run.state, inputs, run.dtype, choose_device(device, run.dtype))


if __name__ == "__main__":
    sys.exit(main())
