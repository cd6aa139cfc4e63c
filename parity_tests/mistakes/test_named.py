"""Every mistake of the catalogue is found where it is and called by its name; the whole corpus is the self-test's."""

import pytest

from parity_tests.mistakes.case import Mistake
from parity_tests.mistakes.score import ALL, HALF, NONE, alarm, corpus, judge

MISTAKES, VARIANTS = corpus()


def first_of_each() -> list[Mistake]:
    """The first planted mistake of each id that is not one of a name's further spellings."""
    found: dict[str, Mistake] = {}
    for mistake in MISTAKES:
        if mistake.id:
            found.setdefault(mistake.id, mistake)
    return [found[identity] for identity in sorted(found)]


@pytest.mark.parametrize("mistake", first_of_each(), ids=lambda m: m.id)
def test_each_id_is_named(mistake):
    verdict = judge(mistake)
    assert verdict.where, str(verdict.report)
    assert verdict.right[:1] == [True], str(verdict)


@pytest.mark.parametrize("named", [HALF, NONE])
@pytest.mark.parametrize("mistake", MISTAKES[::60], ids=lambda m: f"{m.system.name}: {m.wrong}")
def test_the_place_with_names_withheld(mistake, named):
    verdict = judge(mistake, named, probe=False)
    assert verdict.where or verdict.hidden


@pytest.mark.parametrize("variant", VARIANTS[::6], ids=lambda v: f"{v.system.name}: {v.wrong}")
def test_what_is_right_is_called_right(variant):
    assert alarm(variant) == ""


@pytest.mark.slow
def test_the_whole_corpus():
    """What the project claims: the place always, the cause in nine of ten, a wrong one in one of fifty at most."""
    verdicts = [judge(mistake, ALL) for mistake in MISTAKES]
    assert [str(v) for v in verdicts if not v.where] == []
    known = [v for v in verdicts if v.mistake.id]
    assert sum(v.right[:1] == [True] for v in known) >= 0.9 * len(known)
    assert sum(v.right[:1] == [False] for v in verdicts) <= 0.02 * len(verdicts)
    assert [said for variant in VARIANTS if (said := alarm(variant))] == []
