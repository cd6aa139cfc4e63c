"""Check a hand-written backward in a file of yours: where it first goes wrong, and why.

The file defines forward(params, inputs) with torch operations, backward(params, inputs) by hand in NumPy, params and
inputs (dicts of arrays), or make_inputs(rng) that returns both.
"""

import argparse
import subprocess
import sys
import traceback
import types
from contextlib import suppress
from pathlib import Path
from typing import Any

from handgrad import cli, parsing
from handgrad.errors import UsageError


def main(arguments: list[str] | None = None) -> int:
    return cli.run("check.py", _main, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = cli.Parser(prog="check.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE.py", type=Path, nargs="?", help="a file that defines these names")
    parser.add_argument("--hint", action="store_true", help="the place alone, without cause or numbers, for exercises")
    parser.add_argument("--json", action="store_true", help="print one JSON document, with a score")
    parser.add_argument(
        "--save", metavar="OUT.npz", type=Path, help="write the params and inputs to which the report's numbers belong"
    )
    parser.add_argument(
        "--replay", metavar="IN.npz", type=Path, help="check at the params and inputs of a file that --save wrote"
    )
    parser.add_argument("--self-test", action="store_true", help="check planted mistakes, print how many are found")
    parser.add_argument(
        "--networks", type=parsing.positive_int, default=3000, help="right networks of the self-test (default: 3000)"
    )
    return parser


def _main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    if options.self_test:
        if options.file is not None:
            raise UsageError(f"--self-test checks the planted mistakes, not {options.file}; leave one of the two out")
        return _self_test(options)
    if options.file is None or not options.file.is_file():
        found = options.file is not None and options.file.exists()
        given = (
            "no file was given"
            if options.file is None
            else f"{options.file}: {'no' if found else 'there is no such'} file"
        )
        raise UsageError(f"{given}; give a Python file with forward and backward")

    from handgrad import check
    from handgrad.checking import cases

    with _Theirs(options.file):
        names = _run(options.file)
    make = names.get("make_inputs")
    missing = [name for name in ("forward", "backward") if not callable(names.get(name))]
    missing += [n for n in ("params", "inputs") if n not in names and make is None and options.replay is None]
    if missing:
        raise UsageError(
            f"{options.file} does not define {', '.join(missing)}; "
            "it takes forward, backward, and params and inputs or make_inputs"
        )

    with _Theirs(options.file):
        if options.replay is not None:
            params, inputs = cases.load(options.replay)
            _same_names(options, names, params, inputs)
        elif "params" in names and "inputs" in names:
            params, inputs = names["params"], names["inputs"]
        else:
            params, inputs = cases.drawn(make)
        report = check(names["forward"], names["backward"], params, inputs, make)
    if options.save is not None:
        cases.save(options.save, report.params, report.inputs)
    if options.json:
        judged = [row for row in report.table if row.verdict != "not judged"]
        right = sum(row.verdict in ("", "fine") for row in judged)
        right = min(right, len(judged) - (not report.ok))  # what no row shows is wrong all the same
        shown = report.plain()
        if options.hint:
            shown = {name: shown[name] for name in ("ok", "first_wrong", "stage")}
        results = {**shown, "score": max(right, 0) / max(len(judged), 1)}
        print(cli.document("check", None, {"file": str(options.file)}, results, "right" if report.ok else "wrong"))
    elif options.hint and not report.ok:
        print(f"WRONG: look at {report.first_wrong} ({report.stage}); all before it that is handed in is right")
    else:
        print(report)
    return 0 if report.ok else 1


def _run(file: Path) -> dict[str, Any]:
    """Run their file as a module, which dataclasses and pickles look up by its name; return what it defines."""
    module = types.ModuleType("checked")
    module.__file__ = str(file)
    sys.modules["checked"] = module
    try:
        code = compile(file.read_bytes(), str(file), "exec")
    except ValueError as error:  # Python before 3.11.4 says so of null bytes, where it says SyntaxError since
        raise SyntaxError(str(error)) from error
    exec(code, vars(module))
    return vars(module)


def _same_names(options: argparse.Namespace, names: dict[str, Any], params: Any, inputs: Any) -> None:
    """Raise UsageError where a saved case has other names than the file's own params and inputs."""
    for part, saved in (("params", params), ("inputs", inputs)):
        own = names.get(part)
        if isinstance(own, dict) and set(own) != set(saved):
            raise UsageError(
                f"{options.replay} has {part} {', '.join(saved) or 'none'}, {options.file} has "
                f"{', '.join(map(str, own)) or 'none'}; replay what --save wrote of this file"
            )


def _self_test(options: argparse.Namespace) -> int:
    """Check the project's own planted mistakes and right networks; 1 where a right one is called wrong."""
    root = Path(__file__).parents[1]
    if not (root / "parity_tests" / "mistakes").is_dir():
        raise UsageError("--self-test needs the project's folder, where parity_tests is; run scripts/check.py there")
    command = [sys.executable, "-m", "parity_tests.mistakes.self_test", "--networks", str(options.networks)]
    return subprocess.run([*command, *["--json"] * options.json], cwd=root, check=False).returncode


CALLS = ("forward(params, inputs)", "backward(params, inputs)", "make_inputs(rng)")
CALLED = tuple(call.split("(", maxsplit=1)[0] + "() " for call in CALLS)


class _Theirs:
    """Runs code of the user's; an error in it is shown as theirs, with the line of their file."""

    def __init__(self, file: Path) -> None:
        self.file, self.folder = file, str(file.resolve().parent)

    def __enter__(self) -> None:
        self.stdout, sys.stdout = sys.stdout, sys.stderr  # what their code prints is no part of the report
        sys.path.insert(0, self.folder)

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        sys.stdout = self.stdout
        with suppress(ValueError):  # their code may have removed it
            sys.path.remove(self.folder)
        if isinstance(error, SyntaxError) and error.filename in (str(self.file), None):  # none: bytes that are no text
            place = f":{error.lineno}" if error.lineno else ""
            raise UsageError(f"{self.file}{place}: {type(error).__name__}: {error.msg}") from None
        if isinstance(error, SystemExit):  # else a file that ends itself would pass for a right one
            raise UsageError(f"{self.file} calls exit, and is not checked to the end; leave the call out") from None
        if error is None or isinstance(error, UsageError) or not isinstance(error, Exception):
            return
        if isinstance(error, TypeError) and str(error).startswith(CALLED):
            raise UsageError(f"{self.file}: {error}; they are called as {', '.join(CALLS)}") from None
        theirs = [frame for frame in traceback.extract_tb(trace) if Path(frame.filename).name == self.file.name]
        if theirs:
            text = f": {str(error).splitlines()[0]}" if str(error) else ""
            place = f"{self.file}:{theirs[-1].lineno}: in {theirs[-1].name}"
            raise UsageError(f"{place}: {type(error).__name__}{text}") from None


if __name__ == "__main__":
    sys.exit(main())
