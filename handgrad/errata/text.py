"""An entry of the errata after it was run, as lines for a terminal and as plain values for JSON."""

import textwrap
import time
from dataclasses import dataclass
from typing import Any

from handgrad.errata.entry import Erratum, Finding, Scalar, Value

WIDTH = 106
NAME, NUMBER = 42, 17  # widths of the table's columns
INDENT = "    "


@dataclass(frozen=True)
class Shown:
    """An entry with the numbers that its run gave, and how many seconds that took."""

    erratum: Erratum
    findings: tuple[Finding, ...]
    seconds: float

    @classmethod
    def of(cls, erratum: Erratum) -> "Shown":
        """Run the entry."""
        started = time.perf_counter()
        findings = tuple(erratum.run())
        return cls(erratum, findings, time.perf_counter() - started)

    @property
    def values(self) -> list[Value]:
        """The numbers, without the lines of text between them."""
        return [finding for finding in self.findings if isinstance(finding, Value)]

    @property
    def wrong(self) -> list[Value]:
        """The numbers that did not come out as stated, or on which the sides differ."""
        return [value for value in self.values if not value.ok]

    @property
    def ok(self) -> bool:
        """Whether there are numbers, and all came out as stated on both sides."""
        return bool(self.values) and not self.wrong

    def lines(self) -> list[str]:
        """Return the whole entry: what is said, what is right, what it changes, and the numbers."""
        lines = [f"{self.erratum.id}  {self.erratum.title}", f"{INDENT}({self.erratum.tutorial})"]
        for label in ("says", "right", "effect", "ran"):
            lines += wrapped(f"{INDENT}{label:8}", getattr(self.erratum, label))
        lines.append(f"{INDENT}{'took':8}{self.seconds:.1f} s")
        heads = "".join(f"{head:>{NUMBER}}" for head in ("by hand", "with autograd", "expected"))
        lines += ["", f"{INDENT}  {'':{NAME}}{heads}{'apart':>8}"]
        for finding in self.findings:
            lines += row(finding) if isinstance(finding, Value) else wrapped(INDENT, finding)
        return lines

    def plain(self) -> dict[str, Any]:
        """Return the entry with its numbers as plain values."""
        names = ("name", "hand", "autograd", "stated", "apart", "ok")
        return {
            **description(self.erratum),
            "seconds": round(self.seconds, 3),
            "values": [{name: getattr(value, name) for name in names} for value in self.values],
            "remarks": [finding for finding in self.findings if isinstance(finding, str)],
            "ok": self.ok,
        }


def description(erratum: Erratum) -> dict[str, str]:
    """Return what an entry is about, without running it."""
    return {name: getattr(erratum, name) for name in ("id", "tutorial", "title", "says", "right", "effect", "ran")}


def listed(erratum: Erratum) -> list[str]:
    """Return the entry's line in a list, wrapped where it is too long."""
    return wrapped(f"{erratum.id:5}", f"{erratum.title} ({erratum.tutorial})")


def verdict(shown: list[Shown]) -> str:
    """Return the last line: whether every number is as stated, or which are not."""
    count = sum(len(entry.values) for entry in shown)
    wrong = [f"{entry.erratum.id} ({len(entry.wrong)})" for entry in shown if not entry.ok]
    took = f"{sum(entry.seconds for entry in shown):.0f} s"
    entries = f"{len(shown)} {'entry' if len(shown) == 1 else 'entries'}"
    if wrong:
        return f"NOT AS STATED, or the sides differ, in {', '.join(wrong)}; {entries}, {count} values, {took}."
    return f"All {count} values of {entries} come out as expected, and both sides agree. {took}."


def wrapped(first: str, text: str) -> list[str]:
    """Return `text` after `first`, in lines of at most WIDTH columns, the later ones indented as far."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * len(first),
        break_long_words=False,
        break_on_hyphens=False,
    )


def row(value: Value) -> list[str]:
    """Return a number's line of the table; one that is not as stated is marked."""
    columns = (cell(value.hand), cell(value.autograd, "not run"), cell(value.stated, "-"))
    apart = "" if value.apart is None else "0" if value.apart == 0 else f"{value.apart:.0e}"
    line = f"{INDENT}  {value.name:{NAME}}{''.join(f'{column:>{NUMBER}}' for column in columns)}{apart:>8}"
    return [line.rstrip() if value.ok else f"{INDENT}! {line.strip()}"]


def cell(value: Scalar | None, without: str = "") -> str:
    """Return a number to ten digits, or a word as it is."""
    return without if value is None else value if isinstance(value, str) else f"{value:.10g}"
