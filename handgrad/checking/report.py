"""What a check has found, for reading: where it first goes wrong, why, and by how much."""

from dataclasses import dataclass, field
from typing import Any

from handgrad.checking.record import Arrays


@dataclass(frozen=True)
class Cause:
    """A hypothesis that reproduces the numbers: `id` in the catalogue, a sentence, the evidence, and the place."""

    id: str
    sentence: str
    evidence: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.id}: {self.sentence}{f' ({self.place})' if self.place else ''}; {self.evidence}"


@dataclass(frozen=True)
class Row:
    """One tensor of the table: its name, the largest error, the same relative and in roundings, and the verdict."""

    name: str
    error: float
    relative: float
    units: float
    verdict: str


@dataclass(eq=False)
class Report:
    """The verdict on a hand-written backward.

    `first_wrong` is a tensor's name, `z1` of a forward value and `dz1` of a gradient; `chain` the step of the chain
    rule that leads to it; `stage` is forward, backward or update; `causes` every known mistake that reproduces the
    numbers, best first; `also_wrong` further tensors that are wrong even given their own downstream gradients, with
    their causes; `fine` differences that are no mistake; `probe` what was run to tell hypotheses apart; `not_judged`
    what nothing was found to judge by; `params` and `inputs` are those to which the numbers belong.
    """

    first_wrong: str | None = None
    chain: str = ""
    stage: str | None = None
    causes: list[Cause] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)
    also_wrong: dict[str, list[Cause]] = field(default_factory=dict)
    fine: list[str] = field(default_factory=list)
    probe: str = ""
    not_judged: list[str] = field(default_factory=list)
    table: list[Row] = field(default_factory=list)
    params: Arrays = field(default_factory=dict, repr=False)
    inputs: Arrays = field(default_factory=dict, repr=False)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.first_wrong is None

    def raise_if_wrong(self) -> None:
        """Raise AssertionError with the report's text unless all is right."""
        if not self.ok:
            raise AssertionError(str(self))

    def plain(self) -> dict[str, Any]:
        """Return the report as plain values, for JSON."""
        own = {name: value for name, value in vars(self).items() if name not in ("params", "inputs")}
        return {**own, "ok": self.ok, "causes": [vars(c) for c in self.causes],
                "also_wrong": {n: [vars(c) for c in cs] for n, cs in self.also_wrong.items()},
                "table": [vars(r) for r in self.table]}  # fmt: skip

    def __str__(self) -> str:
        lines = []
        if self.ok:
            lines.append(f"RIGHT: all {len(self.table)} tensors agree with autograd to rounding")
        else:
            lines.append(f"WRONG: {self.first_wrong} goes wrong first ({self.stage})")
            lines += [f"  chain   {self.chain}"] * bool(self.chain)
            for number, cause in enumerate(self.causes):
                lines.append(f"  {'why' if number == 0 else 'or'}     {cause.id}: {cause.sentence}")
                lines.append(f"          {cause.evidence}")
                if cause.place:
                    lines.append(f"  where   {cause.place}")
            if not self.causes:
                lines.append("  why     no known cause")
        lines += [f"  fact    {fact}" for fact in self.facts]
        if not self.ok:
            for name, causes in self.also_wrong.items():
                lines.append(
                    f"  also    {name}: {causes[0].id + ': ' + causes[0].sentence if causes else 'no known cause'}"
                )
        lines += [f"  fine    {note}" for note in self.fine]
        lines += [f"  probe   {self.probe}"] * bool(self.probe)
        lines += [f"  not judged: {what}" for what in self.not_judged]
        width = max((len(row.name) for row in self.table), default=0)
        lines += [f"  {'':{width}}  {'error':>9}  {'relative':>9}  {'roundings':>9}"] * bool(self.table)
        for row in self.table:
            lines.append(
                f"  {row.name:{width}}  {row.error:9.2e}  {row.relative:9.2e}  {row.units:9.3g}  {row.verdict}".rstrip()
            )
        return "\n".join(lines)
