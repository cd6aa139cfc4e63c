"""Runs the tests on every mutant: those that run its lines, the likeliest first, until one fails.

Which lines a test runs is measured anew each time. The tests asked are those laid out as what they test: for
manual/nn/linear.py all of parity_tests/nn, for manual/module.py parity_tests/test_module.py, and so on; any of them
may kill any mutant whose line it runs.
"""

import json
import os
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from parity_tests.mutants.mutator import Mutant

ROOT = Path(__file__).resolve().parents[2]
FORKS = hasattr(os, "fork")
TRACE_LIMIT = 300.0  # seconds of computing for one file of tests
SLACK = 10.0  # a mutant may take so many times, and so many seconds more, than its tests take without it


class ToolError(Exception):
    """The tests cannot be run, or fail without any mutant."""


@dataclass(frozen=True)
class Project:
    """What is mutated, and where its tests stand."""

    root: Path = ROOT
    package: str = "manual"
    tests: str = "parity_tests"
    asked: tuple[str, ...] = ()  # the files and folders of tests that are asked; all where none is named

    def sources(self) -> list[str]:
        """Return the modules' files, relative to the root."""
        return sorted(path.relative_to(self.root).as_posix() for path in (self.root / self.package).rglob("*.py"))

    def test_files(self) -> list[str]:
        """Return the files of tests that mirror a folder or a module of the package, of those that are asked."""
        inside = [Path(source).relative_to(self.package) for source in self.sources()]
        folders = {path.parts[0] for path in inside if len(path.parts) > 1}
        modules = {f"test_{path.name}" for path in inside if len(path.parts) == 1}
        found = sorted((self.root / self.tests).rglob("test_*.py"))
        names = [path.relative_to(self.root / self.tests) for path in found]
        mirrors = [f"{self.tests}/{name.as_posix()}" for name in names if name.parts[0] in folders | modules]
        return [path for path in mirrors if any(Path(path).is_relative_to(only) for only in self.asked or [""])]


@dataclass(frozen=True)
class Test:
    """One test, and how long it takes."""

    file: str
    name: str
    seconds: float


@dataclass
class Outcome:
    """What became of a mutant: the test that killed it ("time" where it never ended), or None."""

    mutant: Mutant
    by: str | None
    tests: int  # how many run its lines


class Worker:
    """A warm process that answers jobs; without forks it is a new one for each."""

    def __init__(self, project: Project, forks: bool = FORKS) -> None:
        self.project, self.forks = project, forks
        self.modules: list[str] = []
        self.process: subprocess.Popen[str] | None = None

    def ask(self, **job: Any) -> dict[str, Any]:
        """Return the answer to a job."""
        if self.process is None:
            self.start()
        assert self.process is not None
        process = self.process
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        # A fork ends by its own limit; this is for a process that cannot fork, or hangs.
        timer = threading.Timer((20 if self.forks else 10) * job["limit"], stop)
        timer.start()
        answer = self.exchange(job)
        timer.cancel()
        if not self.forks or not answer:
            self.close()
        if not answer and late.is_set() and not self.forks:
            return {"by": "time"}
        if not answer or "error" in answer:
            raise ToolError(answer.get("error", "a worker ended, see above"))
        return answer

    def start(self) -> None:
        command = [sys.executable, "-m", "parity_tests.mutants.worker", *([] if self.forks else ["--no-fork"])]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=self.project.root, env=environment, stdin=pipe, stdout=pipe, text=True
        )
        if self.modules:
            self.exchange({"kind": "load", "modules": self.modules})

    def exchange(self, job: dict[str, Any]) -> dict[str, Any]:
        """Send one line and return the answer to it, {} where the process ended instead."""
        assert self.process is not None
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer: dict[str, Any] = json.loads(line) if line else {}
        return answer

    def load(self, modules: list[str]) -> None:
        """Let the process import these before it forks."""
        self.modules = list(dict.fromkeys([*self.modules, *modules]))
        if self.process is not None:
            self.exchange({"kind": "load", "modules": modules})

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    stream.close()
            self.process.wait()
            self.process = None


@dataclass
class Run:
    """One run over a project's mutants, in `jobs` processes."""

    project: Project
    jobs: int = 2
    forks: bool = FORKS
    told: Callable[[Outcome], None] = lambda outcome: None
    tests: list[Test] = field(default_factory=list)
    running: dict[str, dict[int, set[Test]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))
    looking: set[Test] = field(default_factory=set)  # they run no line of the package
    killers: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def outcomes(self, mutants: list[Mutant]) -> list[Outcome]:
        """Return what became of each mutant, in their order."""
        workers = [Worker(self.project, self.forks) for _ in range(self.jobs)]
        free = list(workers)

        def with_worker(task: Callable[..., Any], *arguments: Any) -> Any:
            worker = free.pop()
            try:
                return task(worker, *arguments)
            finally:
                free.append(worker)

        files = self.project.test_files()
        try:
            with ThreadPoolExecutor(self.jobs) as pool:
                answers = list(pool.map(lambda file: with_worker(self.trace, file), files))
                for file, answer in zip(files, answers, strict=True):
                    self.keep(file, answer)
                modules = [module for answer in answers for module in answer["modules"]]
                list(pool.map(lambda worker: worker.load(modules), workers))
                return list(pool.map(lambda mutant: with_worker(self.try_one, mutant), mutants))
        finally:
            for worker in workers:
                worker.close()

    def trace(self, worker: Worker, file: str) -> dict[str, Any]:
        """Run a file's tests without any mutant, and return which lines each of them runs."""
        package = str(self.project.root / self.project.package)
        answer = worker.ask(kind="trace", file=file, package=package, limit=TRACE_LIMIT)
        if answer.get("failed", answer.get("by")):
            raise ToolError(f"{answer.get('failed', file)}: fails without any mutant; mend it first")
        worker.load(answer["modules"])
        return answer

    def keep(self, file: str, answer: dict[str, Any]) -> None:
        """Keep the tests of a file, and by line which of them run it."""
        for name, (seconds, lines) in answer["tests"].items():
            test = Test(file, name, seconds)
            self.tests.append(test)
            if not lines:
                self.looking.add(test)
            for path, line in lines:
                self.running[Path(os.path.relpath(path, self.project.root)).as_posix()][line].add(test)

    def try_one(self, worker: Worker, mutant: Mutant) -> Outcome:
        """Run the tests that may notice the mutant until one does."""
        reaching = self.reaching(mutant)
        if not reaching:
            return self.tell(Outcome(mutant, None, 0))
        path = self.project.root / mutant.file
        parts = Path(mutant.file).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        limit = SLACK + SLACK * sum(test.seconds for test in reaching)
        order = self.order(mutant, reaching)
        by = worker.ask(kind="run", module=module, path=str(path), source=mutant.source, tests=order, limit=limit)["by"]
        if by is not None:
            self.killers[mutant.file, mutant.function].insert(0, by)
        return self.tell(Outcome(mutant, by, len(reaching)))

    def reaching(self, mutant: Mutant) -> list[Test]:
        """Return the tests that may notice the mutant."""
        lines = self.running[mutant.file]
        if not mutant.imported:
            return list(
                set().union(*(lines[line] for line in range(mutant.reach[0], mutant.reach[1] + 1) if line in lines))
            )
        # A test may look at a default or a constant without running the function; that of signatures runs none at all.
        files = {test.file for tests in lines.values() for test in tests}
        return [test for test in self.tests if test.file in files or test in self.looking]

    def order(self, mutant: Mutant, reaching: list[Test]) -> list[tuple[str, list[str]]]:
        """Return the tests by file: what killed this function's mutants before first, then what is cheap."""
        before = Counter(self.killers[mutant.file, mutant.function])
        total: defaultdict[str, float] = defaultdict(float)
        kills: Counter[str] = Counter()
        for test in reaching:
            total[test.file] += test.seconds
            kills[test.file] += before[test.name]
        ranked = sorted(
            reaching,
            key=lambda test: (-kills[test.file], total[test.file], test.file, -before[test.name], test.seconds),
        )
        return [(file, [test.name for test in tests]) for file, tests in groupby(ranked, key=lambda test: test.file)]

    def tell(self, outcome: Outcome) -> Outcome:
        self.told(outcome)
        return outcome
