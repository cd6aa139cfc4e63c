"""Running a command in this process, as a user would from the shell."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run(capsys: Any, name: str, *arguments: str) -> tuple[int, str, str]:
    """Return (exit status, stdout, stderr) of scripts/NAME.py."""
    try:
        status = importlib.import_module(f"scripts.{name}").main([str(a) for a in arguments])
    except SystemExit as leaving:  # argparse, for --help
        status = int(leaving.code or 0)
    out, err = capsys.readouterr()
    return status, out, err


def refused(capsys: Any, name: str, *arguments: str) -> str:
    """Assert wrong use: exit status 2, nothing on stdout, one line on stderr; return that line."""
    status, out, err = run(capsys, name, *arguments)
    assert status == 2, (status, out, err)
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    assert err.startswith(f"{name}.py: ")
    return err


def shell(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run python with these arguments in a process of its own."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, timeout=120)


def document(text: str) -> Any:
    """Parse a command's JSON, refusing NaN and Infinity, which JSON does not have."""

    def constant(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    found = json.loads(text, parse_constant=constant)
    assert list(found) == ["schema", "command", "experiment", "config", "results", "verdict"]
    assert found["schema"] == "handgrad/1"
    return found
