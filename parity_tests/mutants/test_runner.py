"""A small project with a strong test and a weak one: what is killed, what survives, and what the report says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from parity_tests.mutants.__main__ import main
from parity_tests.mutants.mutator import mutants
from parity_tests.mutants.report import Report
from parity_tests.mutants.runner import FORKS, Project, Run, ToolError, Worker

SOURCE = """
def area(x, y):
    return x * y


def longest(x):
    best = 0
    while x:
        head, *x = x
        best = max(best, head)
    return best


def unseen(x):
    return x + 2
"""

TESTS = """
from package.nn.shapes import area, longest


def test_area():
    assert area(3, 5) == 15


def test_longest():
    assert longest([0, 4, 4]) == 4
"""

FILE = "package/nn/shapes.py"
UNSEEN = ["return x - 2", "return x", "return 2", "return x + 3", "return x + 1", "return None"]
LISTED = {
    (FILE, "unseen"): {("return x + 2", after): "nobody calls it" for after in UNSEEN},
    (FILE, "longest"): {("best = 0", "best = 1"): "nothing is shorter"},
}
FORKED_OR_NOT = pytest.mark.parametrize(
    "forks", [False, pytest.param(True, marks=pytest.mark.skipif(not FORKS, reason="no fork"))]
)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    for name, text in {
        FILE: SOURCE,
        "tests/nn/test_shapes.py": TESTS,
        "tests/other/test_elsewhere.py": "def test_of_no_folder_of_the_package():\n    assert False\n",
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--import-mode=importlib'\npythonpath = ['.']\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Project(root, "package", "tests")


@pytest.fixture(scope="module")
def outcomes(project):
    before = files(project.root)
    found = Run(project, 1).outcomes(mutants(FILE, SOURCE))
    assert files(project.root) == before, "a run has changed a file"
    return found


def files(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.suffix in (".py", ".toml")}


def test_the_weak_test_lets_mutants_live_and_the_strong_one_none(outcomes):
    alive = {(o.mutant.function, o.mutant.after, o.tests) for o in outcomes if o.by is None}
    assert alive == {("longest", "best = 1", 1), *(("unseen", after, 0) for after in UNSEEN)}
    by = {o.mutant.after: o.by for o in outcomes if o.mutant.function == "area"}
    assert len(by) == 5
    assert set(by.values()) == {"tests/nn/test_shapes.py::test_area"}


def test_the_report_shows_the_survivors(outcomes):
    report = Report([FILE], outcomes, {}, 1.0, whole=True)
    assert not report.ok
    text = report.text()
    assert f"{FILE}:7 longest (constant; 1 tests run it)\n  - best = 0\n  + best = 1\n" in text
    assert f"{FILE}:15 unseen (operator; no test runs it)\n  - return x + 2\n  + return x - 2\n" in text
    assert ["all", str(len(outcomes)), str(len(outcomes) - 7), "0", "7"] in [line.split() for line in text.splitlines()]
    document = json.loads(json.dumps(report.document()))
    assert document["all"]["survived"] == len(document["survivors"]) == 7
    assert {s["function"] for s in document["survivors"]} == {"longest", "unseen"}
    assert document["killed_by"] == {"tests/nn/test_shapes.py": len(outcomes) - 7}


def test_equivalent_mutants_are_excused_as_long_as_they_are_few(outcomes):
    report = Report([FILE], outcomes, LISTED, 1.0, whole=False)
    assert report.ok
    assert (report.survivors, report.wrong, len(report.excused)) == ([], [], 7)
    assert not Report([FILE], outcomes, LISTED, 1.0, whole=True).ok
    assert "more than 2%" in Report([FILE], outcomes, LISTED, 1.0, whole=True).text()


@pytest.mark.parametrize(
    ("function", "entry", "says"),
    [
        ("area", ("return x * y", "return x / y"), "is killed by tests/nn/test_shapes.py::test_area"),
        ("area", ("return x * z", "return x / z"), "no such mutant any more"),
        ("gone", ("return x * y", "return x / y"), "no such mutant any more"),
    ],
)
def test_an_entry_that_does_not_hold_is_an_error(outcomes, function, entry, says):
    report = Report([FILE], outcomes, {**LISTED, (FILE, function): {entry: "wrong"}}, 1.0, whole=False)
    assert not report.ok
    (line,) = report.wrong
    assert line.startswith(f"{FILE} {function}: {entry[0]} -> {entry[1]}: {says}")
    assert line in report.text()


def test_one_that_runs_nothing_may_still_look_at_what_the_import_made(project):
    """So does the test of the signatures: it alone knows torch's defaults."""
    run = Run(project)
    for file, ran in {"runs": [[FILE, 3]], "looks": [], "elsewhere": [["package/other.py", 3]]}.items():
        run.keep(file, {"tests": {"test": [0.1, [[str(project.root / path), line] for path, line in ran]]}})
    mutant = mutants(FILE, SOURCE)[0]
    assert [test.file for test in run.reaching(mutant)] == ["runs"]
    assert [test.file for test in run.reaching(replace(mutant, imported=True))] == ["runs", "looks"]


@FORKED_OR_NOT
def test_a_mutant_that_never_ends_is_killed(project, monkeypatch, forks):
    monkeypatch.setattr("parity_tests.mutants.runner.SLACK", 0.3)
    found = {mutant.after: mutant for mutant in mutants(FILE, SOURCE)}
    endless = replace(found["while True:"], source=SOURCE.replace("while x:", "while True:\n        continue"))
    outcomes = Run(project, 1, forks).outcomes([endless, found["return x / y"]])
    assert [outcome.by for outcome in outcomes] == ["time", "tests/nn/test_shapes.py::test_area"]


@FORKED_OR_NOT
def test_a_fault_of_the_tool_is_told_and_kills_nothing(project, capfd, forks):
    worker = Worker(project, forks)
    with pytest.raises(ToolError, match="see above"):
        worker.ask(kind="run", limit=60.0)
    worker.close()
    assert "KeyError: 'module'" in capfd.readouterr().err


def test_the_command(project, capsys):
    assert main(["--list"], project) == 0
    assert f"{FILE}:3 area (operator)\n  - return x * y\n  + return x / y\n" in capsys.readouterr().out
    assert main(["--only", "package/none.py"], project) == 2
    assert "no such file in package/" in capsys.readouterr().err
    assert main(["--tests", "tests/none"], project) == 2
    assert "no such tests in tests/" in capsys.readouterr().err
    assert main(["--only", "package/nn", "--tests", "tests/nn", "--jobs", "1", "--json"], project, LISTED) == 0
    assert json.loads(capsys.readouterr().out)["ok"]
    assert main(["--only", "package/nn", "--jobs", "1"], project, {}) == 1
    assert "NOT every mutant is accounted for: 7 survived, 0.00% equivalent" in capsys.readouterr().out


def test_tests_that_fail_by_themselves_are_no_measure(project, capsys, monkeypatch):
    path = project.root / "tests/nn/test_shapes.py"
    path.write_text(TESTS.replace("15", "16"))
    assert main(["--jobs", "1"], project) == 2
    assert "test_area" in (said := capsys.readouterr().err)
    assert "without any mutant" in said
    path.write_text(TESTS)


def test_the_tests_asked_are_those_that_mirror_manual():
    names = Project().test_files()
    assert {"parity_tests/nn/test_linear.py", "parity_tests/test_module.py"} <= set(names)
    assert not [name for name in names if name.startswith(("parity_tests/commands", "parity_tests/mutants"))]
    few = Project(asked=("parity_tests/optim", "parity_tests/nn/test_linear.py")).test_files()
    assert "parity_tests/nn/test_linear.py" in few
    assert {Path(name).parts[1] for name in few} == {"nn", "optim"}
