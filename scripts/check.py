"""Check a hand-written backward in a file of yours: where it first goes wrong, and why.

The file defines forward(params, inputs) with torch operations, backward(params, inputs) by hand in NumPy, params and
inputs (dicts of arrays), or make_inputs(rng) that returns both.
"""

import argparse
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

from handgrad import cli
from handgrad.errors import UsageError

SEED = 0  # of the values that make_inputs draws where the file has no params and inputs


def main(arguments: list[str] | None = None) -> int:
    return cli.run("check.py", _main, arguments)


def _main(arguments: list[str]) -> int:
    parser = cli.Parser(prog="check.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE.py", type=Path, help="a file that defines these names")
    parser.add_argument("--hint", action="store_true", help="the place alone, without cause or numbers, for exercises")
    parser.add_argument("--json", action="store_true", help="print one JSON document, with a score")
    options = parser.parse_args(arguments)
    if not options.file.is_file():
        raise UsageError(f"{options.file}: there is no such file; give a Python file with forward and backward")

    import numpy as np

    from handgrad import check

    names = _user_code(options.file, lambda: runpy.run_path(str(options.file)))
    make = names.get("make_inputs")
    missing = [name for name in ("forward", "backward") if not callable(names.get(name))]
    missing += [name for name in ("params", "inputs") if name not in names and make is None]
    if missing:
        raise UsageError(
            f"{options.file} does not define {', '.join(missing)}; "
            "it takes forward, backward, and params and inputs or make_inputs"
        )

    def checked() -> Any:
        if "params" in names and "inputs" in names:
            params, inputs = names["params"], names["inputs"]
        else:
            params, inputs = make(np.random.default_rng(SEED))
        return check(names["forward"], names["backward"], params, inputs, make)

    report = _user_code(options.file, checked)
    if options.json:
        right = sum(not row.verdict for row in report.table)
        results = {**report.plain(), "score": right / len(report.table)}
        print(cli.document("check", None, {"file": str(options.file)}, results, "right" if report.ok else "wrong"))
    elif options.hint and not report.ok:
        print(f"WRONG: look at {report.first_wrong} ({report.stage}); all that is computed before it is right")
    else:
        print(report)
    return 0 if report.ok else 1


def _user_code(file: Path, call: Any) -> Any:
    """Run code of the user's; an error in it is shown as theirs, with the line of their file."""
    try:
        return call()
    except (UsageError, KeyboardInterrupt):
        raise
    except SyntaxError as error:
        raise UsageError(f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}") from None
    except Exception as error:
        theirs = [
            frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == file.name
        ]
        if not theirs:
            raise
        text = str(error).splitlines()[0] if str(error) else ""
        raise UsageError(f"{file}:{theirs[-1].lineno}: in {theirs[-1].name}: {type(error).__name__}: {text}") from None


if __name__ == "__main__":
    sys.exit(main())
