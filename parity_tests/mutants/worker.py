"""One warm process: pytest stands ready, what the tests import from outside is loaded, each job runs in a fork.

    python -m parity_tests.mutants.worker [--no-fork]

A job is a line of JSON on stdin, its answer a line of JSON on stdout. A fork imports the project anew, the mutated
module from the source in the job: no file is written. Where there is no fork, the process ends with its first job.
"""

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, TextIO

import pytest

MEMORY = 4 << 30  # what a mutant may take more than the process has, in bytes
Answer = dict[str, Any]


class Planted(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Finds one module, and loads other source for it than its file has."""

    def __init__(self, module: str, path: str, source: str) -> None:
        super().__init__(module, path)
        self.source = source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return the spec of the module that is planted, None for all others."""
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, name: str) -> Any:
        """Return the code of the other source; none is read from, or written to, the cache."""
        return self.source_to_code(self.source.encode(), self.path)


class Tracer:
    """Which lines of a package a test runs."""

    def __init__(self, package: Path) -> None:
        self.package, self.lines, self.known = str(package), set[tuple[str, int]](), dict[str, bool]()

    def __call__(self, frame: Any, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        if name not in self.known:
            self.known[name] = os.path.abspath(name).startswith(self.package + os.sep)
        return self.line if self.known[name] else None

    def line(self, frame: Any, event: str, arg: Any) -> Any:
        self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self.line


class Jobs:
    """A pytest plugin: in the place of collecting and running it answers jobs."""

    def __init__(self, asked: TextIO, answers: TextIO, forks: bool) -> None:
        self.asked, self.answers, self.forks = asked, answers, forks
        self.failed: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> bool:
        first_failure_is_enough()
        for line in self.asked:
            job = json.loads(line)
            if job["kind"] == "load":
                answer = load(job["modules"])
            else:
                answer = self.forked(session, job) if self.forks else self.do(session, job)
            print(json.dumps(answer), file=self.answers, flush=True)
            if not self.forks and job["kind"] != "load":
                break
        session.items = []
        return True

    def forked(self, session: pytest.Session, job: Answer) -> Answer:
        """Answer the job in a fork, which may hang, grow or crash."""
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            status = 1
            try:
                limit(job["limit"])
                answer = json.dumps(self.do(session, job)).encode()
                with os.fdopen(write, "wb") as pipe:
                    pipe.write(answer)
                status = 0
            finally:  # the fork ends here, whatever happened: what stands above on the stack is the parent's to do
                if status:
                    traceback.print_exc()
                os._exit(status)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            answer = pipe.read()
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            return {"by": "time" if number in (signal.SIGPROF, signal.SIGALRM) else signal.Signals(number).name}
        return json.loads(answer) if status == 0 else {"error": "the worker failed, see above"}

    def do(self, session: pytest.Session, job: Answer) -> Answer:
        return self.trace(session, job) if job["kind"] == "trace" else self.run(session, job)

    def run(self, session: pytest.Session, job: Answer) -> Answer:
        """Run the tests until one fails on the mutant: `by` is its name, or None."""
        if job["module"] in sys.modules:
            return {"error": f"{job['module']} is loaded before its mutant is"}
        sys.meta_path.insert(0, Planted(job["module"], job["path"], job["source"]))
        for file, names in job["tests"]:
            items = {item.nodeid: item for item in self.collect(session, file)}
            chosen = [items[name] for name in names if name in items]
            for i, item in enumerate(chosen):
                following = chosen[i + 1] if i + 1 < len(chosen) else None
                if not self.failed:
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self.failed:
                return {"by": self.failed[0]}
        return {"by": None}

    def trace(self, session: pytest.Session, job: Answer) -> Answer:
        """Run every test of a file: the time and the lines of each, what failed, what was imported."""
        tracer = Tracer(Path(job["package"]))
        tests = {}
        for item in self.collect(session, job["file"]):
            tracer.lines = set()
            started = time.perf_counter()
            sys.settrace(tracer)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            sys.settrace(None)
            tests[item.nodeid] = [time.perf_counter() - started, sorted(tracer.lines)]
        return {"tests": tests, "failed": self.failed, "modules": from_outside(session.config.rootpath)}

    def collect(self, session: pytest.Session, file: str) -> list[pytest.Item]:
        session.perform_collect([file])
        return list(session.items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.append(f"{report.nodeid} (import)")

    def pytest_internalerror(self, excrepr: Any) -> None:
        print(excrepr, file=sys.stderr)  # stdout leads nowhere

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


def limit(seconds: float) -> None:
    """Let this process be killed once it has computed for so long, waited ten times as long, or grown too large."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 10 * seconds)
    if sys.platform == "linux":
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


def first_failure_is_enough() -> None:
    """Let hypothesis neither look for the smallest failure nor write one down."""
    with contextlib.suppress(ImportError):
        from hypothesis import Phase, settings

        settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate], database=None)
        settings.load_profile("mutants")


def load(modules: list[str]) -> Answer:
    """Import what the tests will import, so that no fork has to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in modules:
            with contextlib.suppress(ImportError):  # some are made by another, and come with that one
                importlib.import_module(name)
        with contextlib.suppress(ImportError):  # hypothesis reads every module's source, once a process
            from hypothesis.internal.conjecture.providers import _get_local_constants

            _get_local_constants()
    return {}


def from_outside(root: Path) -> list[str]:
    """Return the modules that are loaded and do not stand in the project."""
    files = {name: getattr(module, "__file__", None) for name, module in list(sys.modules.items())}
    return [name for name, file in files.items() if file and not _is_ours(Path(file), root)]


def _is_ours(file: Path, root: Path) -> bool:
    return file.is_relative_to(root) and not file.is_relative_to(sys.prefix)  # .venv may stand in the project


def main() -> None:
    """Answer jobs until stdin ends."""
    asked, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    forks = hasattr(os, "fork") and "--no-fork" not in sys.argv
    pytest.main(["-p", "no:cacheprovider", "--capture=no", "--tb=native"], plugins=[Jobs(asked, answers, forks)])


if __name__ == "__main__":
    main()
