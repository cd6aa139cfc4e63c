"""What a run found, by file, as text and as JSON."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from parity_tests.mutants.runner import Outcome

ALLOWED = 0.02  # of all mutants may be equivalent
Equivalent = dict[tuple[str, str], dict[tuple[str, str], str]]


@dataclass
class Report:
    """The outcomes beside the list of equivalent mutants."""

    sources: list[str]
    outcomes: list[Outcome]
    equivalent: Equivalent
    seconds: float
    whole: bool  # every file was mutated

    def reason(self, outcome: Outcome) -> str | None:
        """Why the mutant is equivalent, None where it is not listed."""
        file, function, before, after = outcome.mutant.key
        return self.equivalent.get((file, function), {}).get((before, after))

    @property
    def survivors(self) -> list[Outcome]:
        """The mutants that no test killed and the list does not have."""
        return [o for o in self.outcomes if o.by is None and self.reason(o) is None]

    @property
    def excused(self) -> list[Outcome]:
        """The mutants that no test killed and the list has."""
        return [o for o in self.outcomes if o.by is None and self.reason(o) is not None]

    @property
    def wrong(self) -> list[str]:
        """What is wrong with the list: entries that no mutant has, or that a test tells from the code."""
        by_key = {outcome.mutant.key: outcome for outcome in self.outcomes}
        found = []
        for (file, function), entries in self.equivalent.items():
            for before, after in entries:
                outcome = by_key.get((file, function, before, after))
                where = f"{file} {function}: {before} -> {after}"
                if outcome is None and (self.whole or file in self.sources):
                    found.append(f"{where}: no such mutant any more; take it out of the list")
                elif outcome is not None and outcome.by is not None:
                    found.append(f"{where}: is killed by {outcome.by}; take it out of the list")
        return found

    @property
    def killers(self) -> dict[str, int]:
        """How many mutants each file of tests killed; "time" has those that never ended, a signal's name a crash."""
        return dict(Counter(o.by.partition("::")[0] for o in self.outcomes if o.by is not None).most_common())

    @property
    def share(self) -> float:
        """The equivalent mutants' share of all."""
        return len(self.excused) / max(len(self.outcomes), 1)

    @property
    def ok(self) -> bool:
        """Whether nothing survived, and the list is right and short."""
        return not self.survivors and not self.wrong and not (self.whole and self.share > ALLOWED)

    def counts(self, file: str | None = None) -> dict[str, int]:
        """Return the numbers of one file's mutants, or of all."""

        def count(outcomes: list[Outcome]) -> int:
            return sum(file is None or outcome.mutant.file == file for outcome in outcomes)

        everything, excused, survived = count(self.outcomes), count(self.excused), count(self.survivors)
        killed = everything - excused - survived
        return {"mutants": everything, "killed": killed, "equivalent": excused, "survived": survived}

    def text(self) -> str:
        """Return the report for a terminal."""
        rows = [(file, self.counts(file)) for file in self.sources]
        width = max([len(file) for file, _ in rows] + [5])
        lines = [f"{'':{width}}  mutants  killed  equivalent  survived"]
        for file, counts in [*((f, c) for f, c in rows if c["mutants"]), ("all", self.counts())]:
            numbers = zip((7, 6, 10, 8), counts.values(), strict=True)
            lines.append("  ".join([f"{file:{width}}", *(f"{number:{columns}}" for columns, number in numbers)]))
        for outcome in self.survivors:
            mutant = outcome.mutant
            noticed = f"{outcome.tests} tests run it" if outcome.tests else "no test runs it"
            lines += ["", f"{mutant.file}:{mutant.line} {mutant.function} ({mutant.kind}; {noticed})"]
            lines += [f"  - {mutant.before}", f"  + {mutant.after}"]
        lines += ["", *(f"equivalent: {line}" for line in self.wrong)]
        if self.whole and self.share > ALLOWED:
            lines.append(f"equivalent: more than {ALLOWED:.0%} of all mutants; make the code say only what counts")
        counts = self.counts()
        verdict = "every mutant is killed or equivalent" if self.ok else "NOT every mutant is accounted for"
        lines.append(f"{verdict}: {counts['survived']} survived, {self.share:.2%} equivalent, {self.seconds:.0f} s")
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """Return the report as one JSON document."""
        return {
            "ok": self.ok,
            "seconds": round(self.seconds, 1),
            "all": self.counts(),
            "files": {file: self.counts(file) for file in self.sources},
            "killed_by": self.killers,
            "survivors": [self._entry(outcome) for outcome in self.survivors],
            "equivalent": [{**self._entry(outcome), "reason": self.reason(outcome)} for outcome in self.excused],
            "wrong_entries": self.wrong,
        }

    def _entry(self, outcome: Outcome) -> dict[str, Any]:
        mutant = outcome.mutant
        names = ("file", "line", "function", "kind", "before", "after")
        return {**{name: getattr(mutant, name) for name in names}, "tests": outcome.tests}
