"""scripts/errata.py as a command, and what it takes for a number that comes out as stated."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from handgrad.errata import ERRATA, Value
from handgrad.errata.entry import both, each
from scripts import errata

IDS = [f"E{number}" for number in (2, 4, 5, 6, 7, *range(9, 19), *range(24, 28))]


@pytest.mark.parametrize(
    ("value", "ok"),
    [
        (Value("all alike", 0.5, 0.5, 0.5), True),
        (Value("a rounding apart", 0.5, 0.5 + 1e-15, 0.5), True),
        (Value("hand differs", 0.5 + 1e-9, 0.5, 0.5), False),
        (Value("autograd differs", 0.5, 0.5 + 1e-9, 0.5), False),
        (Value("both differ from what is stated", 0.5, 0.5, 0.5 + 1e-9), False),
        (Value("sides differ, nothing stated", 0.5, 0.5 + 1e-9), False),
        (Value("hand alone", 0.5, None, 0.5), True),
        (Value("hand alone, wrong", 0.5, None, 0.6), False),
        (Value("hand is NaN", math.nan, 0.5, 0.5), False),
        (Value("all NaN", math.nan, math.nan, math.nan), False),
        (Value("sides NaN, nothing stated", math.nan, math.nan), False),
        (Value("words", "refused", "refused", "refused"), True),
        (Value("other words", "refused", "done", "refused"), False),
    ],
    ids=lambda value: value.name if isinstance(value, Value) else "",
)
def test_value(value: Value, ok: bool) -> None:
    assert value.ok is ok


def test_each_refuses_a_missing_number() -> None:
    with pytest.raises(ValueError, match="argument"):
        each(["a", "b"], ([1.0, 2.0], [1.0, 2.0]), [1.0])
    with pytest.raises(ValueError, match="argument"):
        each(["a", "b"], ([1.0, 2.0], [1.0]))
    with pytest.raises(ValueError, match="size 1"):
        both("a", ([1.0, 2.0], [1.0, 2.0]), 1.0)


# ---------------------------------------------------------------------- the command


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert errata.main(["e2", "E10", "E2"]) == 0
    out = capsys.readouterr().out
    assert out.count("E2  ") == 1, "an entry asked for twice is shown once"
    assert "0.721632561" in out
    assert "All 4 values of 2 entries come out as expected" in out


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert errata.main(["E6", "E9", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "handgrad/1"
    assert (document["command"], document["verdict"]) == ("errata", "in parity")
    assert [entry["id"] for entry in document["results"]] == ["E6", "E9"]
    values = {value["name"]: value for value in document["results"][1]["values"]}
    assert values["the loss of [1001] and [0000]"]["autograd"] == 1002001.0


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert errata.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if not line.startswith(" ")] == IDS
    assert max(map(len, out.splitlines())) <= 110
    assert errata.main(["--list", "--json"]) == 0
    assert [entry["id"] for entry in json.loads(capsys.readouterr().out)["results"]] == IDS


def test_unknown_entry(capsys: pytest.CaptureFixture[str]) -> None:
    assert errata.main(["E2", "E99"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "'E99'" in err
    assert all(name in err for name in IDS)


def test_unknown_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert errata.main(["--all"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("wrong", ["hand", "autograd", "stated"])
def test_one_wrong_number_gives_status_1(
    wrong: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = ERRATA["E2"].run()
    first = right[0]
    assert isinstance(first, Value)
    change: dict[str, Any] = {wrong: 0.98}
    monkeypatch.setitem(ERRATA, "E2", replace(ERRATA["E2"], run=lambda: [replace(first, **change), *right[1:]]))
    assert errata.main(["E2", "E10"]) == 1
    out = capsys.readouterr().out
    assert "! bias 1" in out
    assert "NOT AS STATED, or the sides differ, in E2 (1)" in out
    assert errata.main(["E2", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "out of parity"


def test_an_entry_without_numbers_is_not_in_parity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ERRATA, "E2", replace(ERRATA["E2"], run=lambda: ["nothing was run"]))
    assert errata.main(["E2"]) == 1


def test_help_imports_neither_numpy_nor_torch() -> None:
    code = (
        "import sys; from scripts.errata import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'numpy', 'torch'} & set(sys.modules), 'imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: errata.py" in done.stdout
