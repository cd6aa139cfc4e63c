"""Let a trained char_rnn or gpt write names, or text: by hand, with autograd's network, or both on the same draws."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handgrad import cli, parsing
from handgrad.errors import UsageError

if TYPE_CHECKING:
    from handgrad.saved_run import Run

MOST = 100_000  # names, or characters, at once
LENGTH = 200


def parser() -> cli.Parser:
    """Return the command's options."""
    parser = cli.Parser(prog="sample.py", description=__doc__, epilog="Exit status: 0 done, 2 wrong use.")
    parser.add_argument("run", type=Path, metavar="DIR", help="a run folder that train.py char_rnn or gpt has left")
    parser.add_argument("--side", choices=("manual", "torch", "both"), default="both", help="default: both")
    parser.add_argument("--count", type=parsing.positive_int, help="how many names (10), or pieces of text (1)")
    parser.add_argument("--length", type=parsing.positive_int, help="characters of a piece of text (200)")
    parser.add_argument("--start", metavar="TEXT", help="what a piece of text begins with")
    parser.add_argument("--seed", type=parsing.seed, default=0, help="of the draws (0)")
    parser.add_argument(
        "--temperature", type=parsing.rate, default=1.0, help="1 draws as trained, near 0 takes the likeliest letter"
    )
    parser.add_argument("--weights", choices=("last", "best"), default="last", help="which of the run's (last)")
    parser.add_argument("--device", default="cpu", help="the torch side's: cpu (default), auto, cuda, cuda:N or mps")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    return cli.run("sample.py", command, arguments)


def command(arguments: list[str]) -> int:
    """Parse the arguments, draw and print."""
    options = parser().parse_args(arguments)
    run = find_run(options.run, options.weights)
    text = run.data.features == ("character",)
    check(options, run, text)
    count = options.count or (1 if text else 10)
    names = ["manual", "torch"] if options.side == "both" else [options.side]
    found = {side: written(options, run, network(side, run, options.device), text, count) for side in names}
    known = None if text else names_read(run)
    rows: list[dict[str, Any]] = []
    for index in range(count):
        row: dict[str, Any] = {side: found[side][index] for side in names}
        rows.append(row if text else {**row, "new": None if known is None else row[names[0]] not in known})
    differ = sum(len({row[side] for side in names}) > 1 for row in rows)
    what = "text" if text else "names"
    if options.json:
        config = {"run": str(options.run), "seed": options.seed, "temperature": options.temperature}
        config |= {"length": options.length or LENGTH, "start": options.start} if text else {}
        verdict = "sampled" if len(names) == 1 else f"the same {what}" if not differ else f"different {what}"
        print(cli.document("sample", run.experiment_name, config, rows, verdict))
        return 0
    print("\n".join((shown_text if text else shown_names)(rows, names, "path" in (run.data.source or {}))))
    if len(names) == 2:
        pieces = f"{count} piece{'s' * (count > 1)} of text" if text else f"{count} names"
        same = f"the same {pieces}" if not differ else f"{differ} of {pieces} differ"
        print(f"by hand and with autograd, same weights, same draws: {same}")
    return 0


def check(options: argparse.Namespace, run: "Run", text: bool) -> None:
    """Raise UsageError for options that do not go with what the run writes, or ask for too much."""
    if (options.count or 1) * (options.length or 1) > MOST:
        asked = f"--count {options.count or 1}" + (f" of --length {options.length}" if options.length else "")
        raise UsageError(f"{asked}: at most {MOST:,} names, or characters, at once")
    for name in ("length", "start"):
        if not text and getattr(options, name) is not None:
            raise UsageError(
                f"--{name} is for a run of running text; {options.run} writes names, which end by themselves"
            )
    for character in options.start or "":
        if character not in run.data.classes:
            raise UsageError(f"--start has {character!r}, which the text that was learnt from has not; leave it out")


def written(options: argparse.Namespace, run: "Run", logits: Any, text: bool, count: int) -> list[str]:
    """Return what one side's network writes."""
    from handgrad.sampling import Writer

    writer = Writer(run.data.classes, block(run), "block_size" in dict(run.network.options))
    if text:
        length = options.length or LENGTH
        return writer.text(logits, count, options.seed, length, options.start or "", options.temperature)
    return writer.names(logits, count, options.seed, options.temperature)


def names_read(run: "Run") -> set[str] | None:
    """Return the names that the run has learnt from; None where their file is gone, or is another one now."""
    from handgrad.data import names
    from handgrad.data.source import file_digest
    from handgrad.data.text import read_names

    source = run.data.source or {}
    if "path" not in source:
        return set(names.read())
    path = Path(source["path"])
    same = path.is_file() and file_digest(path) == source.get("sha256")
    return set(read_names(path)) if same else None


def shown_names(rows: list[dict[str, Any]], names: list[str], own: bool) -> list[str]:
    """Return a line for each name."""
    width = max(len(row[names[0]]) for row in rows)
    words = {True: "new", False: "of the list" if own else "of the Census", None: ""}
    lines = []
    for row in rows:
        apart = "" if len({row[side] for side in names}) == 1 else f"  with autograd: {row['torch']}"
        lines.append(f"{row[names[0]]:{width}}  {words[row['new']]}{apart}".rstrip())
    return lines


def shown_text(rows: list[dict[str, Any]], names: list[str], own: bool) -> list[str]:
    """Return the pieces of text as they stand, an empty line between them."""
    pieces = []
    for row in rows:
        same = len({row[side] for side in names}) == 1
        pieces.append(row[names[0]] if same else f"{row[names[0]]}\n\nwith autograd:\n{row['torch']}")
    return ["\n\n".join(pieces)]


def find_run(folder: Path, which: str) -> "Run":
    """Return the run in a folder, of both sides the hand-written one; UsageError where it writes nothing."""
    from handgrad.saved_run import SEQUENCES, Run

    both = [folder / side for side in ("manual", "torch") if (folder / side / "config.json").is_file()]
    run = Run(both[0] if both else folder, which)
    if run.network.name not in SEQUENCES:
        raise UsageError(
            f"{folder} is a run of {run.experiment_name}, which writes no names; "
            "train.py char_rnn or gpt leaves one that does"
        )
    options = dict(run.network.options)
    if options.get("block_size", block(run)) < block(run) or options["vocabulary"] != len(run.data.classes):
        raise UsageError(f"{folder} is a run of a network that does not fit its characters; train again")
    return run


def block(run: "Run") -> int:
    """Return how many characters a sequence of the run's training had."""
    from handgrad.data.names import LENGTH

    return int((run.data.source or {}).get("block", LENGTH))


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
