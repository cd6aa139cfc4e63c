"""How well check() finds the planted mistakes: where, why, wrong causes; and how often it calls right code wrong."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import torch

from handgrad import check, cli
from parity_tests.mistakes.case import Mistake, Variant
from parity_tests.mistakes.random_networks import random_network
from parity_tests.mistakes.score import ALL, HALF, NONE, alarm, corpus, judge


@dataclass(frozen=True)
class Outcome:
    """What the self-test keeps of one planted mistake."""

    named: str
    known: bool
    where: bool
    right: tuple[bool, ...]
    text: str

    @property
    def missed(self) -> bool:
        return not self.where or self.right[:1] != ((True,) if self.known else ())


def outcome(mistake: Mistake, named: str) -> Outcome | str:
    verdict = judge(mistake, named)
    if verdict.hidden:
        return ""
    return Outcome(named, bool(mistake.id), verdict.where, tuple(verdict.right), str(verdict))


def false_alarm(seed: int) -> str:
    """Return what is wrongly called wrong of a right network, or nothing."""
    report = check(*random_network(np.random.default_rng([seed, 1])))
    return "" if report.ok else f"random network {seed}: {report.first_wrong} called wrong"


def task(job: tuple[str, int]) -> Outcome | str:
    """Return the outcome of a mistake, or what is wrongly called wrong of a variant or a network."""
    kind, number = job
    if kind == "network":
        return false_alarm(number)
    mistakes, variants = corpus()
    return alarm(variants[number]) if kind == "variant" else outcome(mistakes[number], kind)


def figures(outcomes: list[Outcome]) -> dict[str, dict[str, list[int]]]:
    """Return, for each share of names withheld, how many of how many: where, why first, why listed, wrong causes."""
    found = {}
    for named in (ALL, HALF, NONE):
        here = [o for o in outcomes if o.named == named]
        known = [o for o in here if o.known]
        if here:
            found[named] = {
                "where": [sum(o.where for o in here), len(here)],
                "why, first": [sum(o.right[:1] == (True,) for o in known), len(known)],
                "why, listed": [sum(any(o.right) for o in known), len(known)],
                "wrong causes": [sum(o.right[:1] == (False,) for o in here), len(here)],
            }
    return found


def run(jobs: list[tuple[str, int]], told: Callable[[str], None]) -> tuple[list[Outcome], dict[str, list[int]]]:
    """Run the self-test's jobs on all processors; tell of what is missed, and return outcomes and false alarms."""
    outcomes: list[Outcome] = []
    alarms = {kind: [0, sum(k == kind for k, _ in jobs)] for kind in ("variant", "network")}
    with ProcessPoolExecutor(os.cpu_count(), get_context("forkserver"), torch.set_num_threads, (1,)) as pool:
        for (kind, _), found in zip(jobs, pool.map(task, jobs, chunksize=4), strict=True):
            if isinstance(found, Outcome):
                outcomes.append(found)
                if found.missed:
                    told(f"{found.named}: {found.text}")
            elif found:
                alarms[kind][0] += 1
                told(f"false alarm: {found}")
    return outcomes, alarms


def lines(outcomes: list[Outcome], alarms: dict[str, list[int]]) -> Iterator[str]:
    """Yield the figures as text."""

    def percent(part: int, whole: int) -> str:
        return f"{part:5} of {whole:5}   {100 * part / whole:5.1f} %"

    for named, figure in figures(outcomes).items():
        yield f"planted mistakes, {named}"
        yield from (f"  {what:14}{percent(*counts)}" for what, counts in figure.items())
    for kind, counts in alarms.items():
        if counts[1]:
            yield f"  {'false alarms':14}{percent(*counts)}   right {kind}s"


def main() -> int:
    """Run the self-test; with WORDs those mistakes alone whose system, name or id contains one of them."""
    parser = argparse.ArgumentParser(prog="check.py --self-test", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="WORD", help="part of a system's, a mistake's name or of an id")
    parser.add_argument("--networks", type=int, default=3000, help="right networks drawn at random (default: 3000)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--named", choices=(ALL, HALF, NONE), action="append", help="which intermediates are handed in")
    options = parser.parse_args()
    mistakes, variants = corpus()

    def asked(case: Mistake | Variant) -> bool:
        text = f"{getattr(case, 'id', '')} {case.system.name} {case.wrong}".lower()
        return not options.words or any(word.lower() in text for word in options.words)

    levels = options.named or (ALL, HALF, NONE)
    jobs = [(named, i) for named in levels for i, mistake in enumerate(mistakes) if asked(mistake)]
    jobs += [("variant", i) for i, variant in enumerate(variants) if asked(variant)]
    jobs += [("network", seed) for seed in range(0 if options.words else options.networks)]
    outcomes, alarms = run(jobs, lambda text: print(text, file=sys.stderr, flush=True))
    verdict = "wrong" if any(wrong for wrong, _ in alarms.values()) else "right"
    if options.json:
        results = {"planted": figures(outcomes), "false alarms": alarms}
        print(cli.document("check", None, {"self_test": True}, results, verdict))
    else:
        print("\n".join(lines(outcomes, alarms)))
    return 0 if verdict == "right" else 1


if __name__ == "__main__":
    sys.exit(main())
