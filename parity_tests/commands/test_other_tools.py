"""The page on other tools is what the command prints, but for numbers and for what is not installed."""

import re

from parity_tests.commands.commands import ROOT, run

NUMBER = re.compile(r"-?\d[\d.,]*(?:e[+-]?\d+)?")


def sections(text):
    """{title: words without numbers}, JAX's apart: it may not be installed."""
    parts = re.split(r"^## ", text, flags=re.M)
    found = {part.splitlines()[0]: NUMBER.sub("#", part).split() for part in parts}
    return {title: words for title, words in found.items() if not title.startswith("jax")}


def test_the_page_is_what_the_command_prints(capsys):
    status, out, err = run(capsys, "other_tools")
    assert (status, err) == (0, "")
    page = (ROOT / "docs" / "other_tools.md").read_text(encoding="utf-8")
    assert sections(page) == sections(out)
    assert "ACT-TWICE" in page
    assert "dz1 goes wrong first" in page
