"""Let a trained char_rnn or gpt write names: by hand, with autograd's network, or both on the same draws."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handgrad import cli, parsing
from handgrad.errors import UsageError

if TYPE_CHECKING:
    from handgrad.saved_run import Run

MOST = 100_000  # names at once


def parser() -> cli.Parser:
    """Return the command's options."""
    parser = cli.Parser(prog="sample.py", description=__doc__, epilog="Exit status: 0 done, 2 wrong use.")
    parser.add_argument("run", type=Path, metavar="DIR", help="a run folder that train.py char_rnn or gpt has left")
    parser.add_argument("--side", choices=("manual", "torch", "both"), default="both", help="default: both")
    parser.add_argument("--count", type=parsing.positive_int, default=10, help="how many names (10)")
    parser.add_argument("--seed", type=parsing.seed, default=0, help="of the draws (0)")
    parser.add_argument(
        "--temperature", type=parsing.rate, default=1.0, help="1 draws as trained, near 0 takes the likeliest letter"
    )
    parser.add_argument("--device", default="cpu", help="the torch side's: cpu (default), auto, cuda, cuda:N or mps")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return cli.run("sample.py", command, arguments)


def command(arguments: list[str]) -> int:
    """Parse the arguments, draw and print."""
    options = parser().parse_args(arguments)
    if options.count > MOST:
        raise UsageError(f"--count {options.count}: at most {MOST:,} names at once")
    from handgrad.data.names import read
    from handgrad.sampling import sample

    run = find_run(options.run)
    names = ["manual", "torch"] if options.side == "both" else [options.side]
    found = {}
    for side in names:
        logits = network(side, run, options.device)
        found[side] = sample(logits, options.count, options.seed, options.temperature)
    known = set(read())
    rows: list[dict[str, Any]] = []
    for index in range(options.count):
        written = {side: found[side][index] for side in names}
        rows.append({**written, "new": next(iter(written.values())) not in known})
    differ = sum(len({row[side] for side in names}) > 1 for row in rows)
    if options.json:
        config = {"run": str(options.run), "seed": options.seed, "temperature": options.temperature}
        verdict = "sampled" if len(names) == 1 else "the same names" if not differ else "different names"
        print(cli.document("sample", run.experiment_name, config, rows, verdict))
        return 0
    width = max(len(row[names[0]]) for row in rows)
    for row in rows:
        apart = "" if len({row[side] for side in names}) == 1 else f"  with autograd: {row['torch']}"
        print(f"{row[names[0]]:{width}}  {'new' if row['new'] else 'of the Census'}{apart}")
    if len(names) == 2:
        same = f"the same {len(rows)} names" if not differ else f"{differ} of {len(rows)} names differ"
        print(f"by hand and with autograd, same weights, same draws: {same}")
    return 0


def find_run(folder: Path) -> "Run":
    """Return the run in a folder, of both sides the hand-written one; UsageError where it writes no names."""
    from handgrad.data.names import ALPHABET, LENGTH
    from handgrad.saved_run import Run

    both = [folder / side for side in ("manual", "torch") if (folder / side / "config.json").is_file()]
    run = Run(both[0] if both else folder)
    if run.network.name not in ("char_rnn", "gpt"):
        raise UsageError(
            f"{folder} is a run of {run.experiment_name}, which writes no names; "
            "train.py char_rnn or gpt leaves one that does"
        )
    if dict(run.network.options).get("block_size", LENGTH) < LENGTH or run.network.sizes[-1] != len(ALPHABET):
        raise UsageError(f"{folder} is a run of a network that is too small for names; train again")
    return run


def network(side: str, run: "Run", device: str) -> Any:
    """Return the run's network of one side as a function of tokens."""
    if side == "manual":
        from handgrad.sides import predict

        return lambda tokens: predict(run.network, run.state, tokens, run.dtype)
    from handgrad.torch_side import choose_device
    from handgrad.torch_side import predict as predict_with_torch

    chosen = choose_device(device, run.dtype)
    return lambda tokens: predict_with_torch(run.network, run.state, tokens, run.dtype, chosen)


if __name__ == "__main__":
    sys.exit(main())
