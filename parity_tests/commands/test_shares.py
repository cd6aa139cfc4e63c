"""The page on several processes quotes what the command prints, and the command shows a mistake and what mends it."""

import re
import signal
from argparse import Namespace

from parity_tests.commands.commands import ROOT, document, refused, run
from scripts import shares

PAGE = (ROOT / "docs" / "several_processes.md").read_text(encoding="utf-8")
ROUNDING = 8e-17  # half an eps of a gradient below 0.5
NUMBER = re.compile(r"\d\.\de[-+]\d\d$")


def test_the_page_quotes_what_the_command_prints(capsys):
    """Word for word and number for number, but for those of rounding alone."""
    status, out, err = run(capsys, "shares")
    assert (status, err) == (0, "")
    (block,) = re.findall(r"```text\n(.*?)```", PAGE, re.S)
    for quoted, printed in zip(block.splitlines(), out.splitlines(), strict=True):
        assert NUMBER.sub("", quoted) == NUMBER.sub("", printed)
        for line in (quoted, printed):
            if "the sum of" in line:
                assert float(NUMBER.findall(line)[0]) <= ROUNDING
        assert "the mean of" not in quoted or quoted == printed


def test_every_process_more_makes_the_mean_of_means_no_better(capsys):
    status, out, _ = run(capsys, "shares", "--samples", "8", "--processes", "3", "--json")
    assert status == 0
    found = document(out)["results"]
    assert found["sizes"] == [3, 3, 2]
    for name, error in found["errors"].items():
        assert error > 0.4 * found["largest"] if "the mean of" in name else error <= ROUNDING


def test_the_page_shows_lines_that_stand_in_the_code():
    code = (ROOT / "handgrad" / "torch_side.py").read_text(encoding="utf-8")
    lines = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len(lines) == 2
    assert all(" " * 8 + line in code for line in lines)


def test_too_few_and_too_many_processes_are_refused(capsys):
    for number in ("1", "17", "5"):
        line = refused(capsys, "shares", "--samples", "4", "--processes", number)
        assert f"--processes {number}: give 2 to 16, and at most one for each sample" in line


def how_sigint_is_met(rank, world, samples, at, sender):
    """Stand in for a process's part."""
    if rank == 0:
        sender.send(signal.getsignal(signal.SIGINT))


def test_ctrl_c_is_left_to_the_command_itself(monkeypatch):
    """A terminal sends it to its processes too, each of which would print where it was."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(shares, "take_part", how_sigint_is_met)
    assert shares.together(Namespace(processes=2, samples=4)) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) == before
