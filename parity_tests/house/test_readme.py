"""What the README shows is what the commands print, and what it names exists."""

import re
import shlex

import numpy as np
import pytest
import torch

from parity_tests.commands.commands import ROOT, run

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```text\n(.*?)```", README, re.S)
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e[+-]?\d+)?")


ROUNDING = re.compile(r"\s\d\.\de[-+]\d\d(\s+\d+\.\d{3}$)?")  # the columns `difference` and `units`


def words(line):
    return NUMBER.sub("#", line).split()


def alike(quoted, printed):
    """The same words, and the same numbers but for rounding."""
    quoted, printed = ROUNDING.sub("", quoted), ROUNDING.sub("", printed)
    if words(quoted) != words(printed):
        return False
    pairs = zip(NUMBER.findall(quoted), NUMBER.findall(printed), strict=True)
    return all(float(a.replace(",", "")) == pytest.approx(float(b.replace(",", "")), rel=1e-9) for a, b in pairs)


def check(block, printed):
    for quoted in block.splitlines():
        if quoted.strip() in ("", "..."):
            continue
        if "IN PARITY" in quoted or "difference" in quoted.split()[:1]:  # measures of rounding alone
            assert any(words(quoted) == words(line) for line in printed), quoted
        else:
            assert any(alike(quoted, line) for line in printed), quoted


def test_compare_prints_what_the_readme_shows(capsys):
    _, out, _ = run(capsys, "compare", "people")
    check(BLOCKS[0], out.splitlines())


def test_explain_prints_what_the_readme_shows(capsys):
    _, out, _ = run(capsys, "explain", "alice", "--parameter", "w1")
    check(BLOCKS[1], out.splitlines())


def test_links_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page}: {link}"


def test_the_options_of_the_pages_exist():
    from scripts import compare, predict, sample, train

    known = {o for command in (compare, predict, sample, train) for o in command.parser()._option_string_actions}
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    for text in (page, README.split("## Training")[1].split("\n## ")[0]):
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
        assert len(named) > 5
        assert named <= known


def test_the_commands_of_the_table_exist():
    for name in re.findall(r"python (scripts/\w+\.py)", README):
        assert (ROOT / name).is_file(), name


def test_check_prints_what_the_readme_shows_of_the_file_in_it(capsys, tmp_path):
    """But for the columns that measure rounding: of a right tensor they are another machine's."""
    file = tmp_path / "mine.py"
    file.write_text(re.findall(r"```python\n(.*?)```", README, re.S)[1], encoding="utf-8")
    status, out, _ = run(capsys, "check", file)
    assert status == 1
    quoted, printed = BLOCKS[3].splitlines(), out.splitlines()
    assert [line.split()[0] for line in quoted] == [line.split()[0] for line in printed]
    for shown, line in zip(quoted, printed, strict=True):
        in_table = len(line.split()) in (4, 5) and NUMBER.fullmatch(line.split()[1])
        assert words(shown) == words(line) if in_table else alike(shown, line), line
    wrong = [line.split()[0] for line in quoted if line.endswith("wrong")]
    assert wrong == ["dz1", "db1", "dW1"]


def test_the_commands_on_your_own_data_print_what_the_readme_shows(capsys, tmp_path, monkeypatch):
    """All four of them as they stand there, and the book is this README."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "handgrad").symlink_to(ROOT / "handgrad")
    (tmp_path / "book.txt").write_text(README.replace("Every", "It was") * 2, encoding="utf-8")
    section = README.split("## Your own data")[1].split("\n## ")[0]
    printed = []
    for name, arguments in re.findall(r"^    python scripts/(\w+)\.py (.*)$", section, re.M):
        given = shlex.split(arguments)
        if "20" in given and "--text" in given:
            given[given.index("20")] = "1"  # the rest takes longer, and prints nothing that is shown
        status, out, err = run(capsys, name, *given)
        assert (status, err) == (0, "")
        printed.append(out.splitlines())
    assert len(printed) == 4
    check(BLOCKS[4], printed[0] + printed[1])
    assert printed[3][0].startswith("It was")


def test_the_twins_in_the_readme():
    """The block runs as it stands, and what it computes is the gradient of the sum of squares."""
    found = {}
    exec(re.findall(r"```python\n(.*?)```", README, re.S)[0], found)
    x = torch.tensor(found["x"], requires_grad=True)
    (found["theirs"](x) ** 2).sum().backward()
    np.testing.assert_allclose(found["grad_x"], x.grad.cpu().numpy(), rtol=1e-4, atol=1e-5)
