"""Mutate everything that computes in manual/, run the tests that cover it, and list what they do not notice.

    make mutants          or  python -m parity_tests.mutants [--only manual/nn/loss] [--tests parity_tests/nn/loss]
                                                             [--jobs 2] [--list] [--json]

Exit status: 0 where every mutant is killed or listed as equivalent, 1 where one survives or the list is wrong, 2 for
wrong use or tests that fail without any mutant.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from parity_tests.mutants.equivalent import EQUIVALENT
from parity_tests.mutants.mutator import mutants
from parity_tests.mutants.report import Report
from parity_tests.mutants.runner import Outcome, Project, Run, ToolError


def main(arguments: list[str] | None = None, project: Project | None = None, equivalent: Any = None) -> int:
    """Run the command; return its exit status."""
    project = Project() if project is None else project
    equivalent = EQUIVALENT if equivalent is None else equivalent
    parser = argparse.ArgumentParser(prog="python -m parity_tests.mutants", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--only", action="append", metavar="PATH", help="a file or folder of the package; may be given again"
    )
    parser.add_argument(
        "--tests", action="append", metavar="PATH", help="ask these tests alone: a file or folder; may be given again"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side (2)")
    parser.add_argument("--list", action="store_true", help="show the mutants and run nothing")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    sources = [s for s in project.sources() if any(_within(s, only) for only in options.only or [""])]
    if not sources:
        print(f"--only {' '.join(options.only)}: no such file in {project.package}/", file=sys.stderr)
        return 2
    project = replace(project, asked=tuple(options.tests or ()))
    if not project.test_files():
        print(f"--tests {' '.join(options.tests or [])}: no such tests in {project.tests}/", file=sys.stderr)
        return 2
    found = [mutant for file in sources for mutant in mutants(file, (project.root / file).read_text(encoding="utf-8"))]
    if options.list:
        for mutant in found:
            print(f"{mutant.file}:{mutant.line} {mutant.function} ({mutant.kind})")
            print(f"  - {mutant.before}\n  + {mutant.after}")
        return 0
    started = time.perf_counter()
    progress = Progress(len(found))
    try:
        outcomes = Run(project, max(options.jobs, 1), told=progress).outcomes(found)
    except ToolError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    report = Report(sources, outcomes, equivalent, time.perf_counter() - started, whole=not options.only)
    print(json.dumps(report.document(), indent=1) if options.json else report.text())
    return 0 if report.ok else 1


def _within(source: str, only: str) -> bool:
    return Path(source).is_relative_to(only)


class Progress:
    """Counts on stderr, where that is a terminal."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.survived = total, 0, 0

    def __call__(self, outcome: Outcome) -> None:
        """Count one more."""
        self.done += 1
        self.survived += outcome.by is None
        if sys.stderr.isatty():
            end = "\n" if self.done == self.total else ""
            print(f"\r{self.done} of {self.total} mutants, {self.survived} not killed", end=end, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
