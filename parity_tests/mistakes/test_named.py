"""Every mistake of the catalogue is found where it is and called by its name; the whole corpus is the self-test's."""

import pytest

from parity_tests.mistakes.case import Mistake
from parity_tests.mistakes.score import ALL, HALF, NONE, alarm, corpus, judge

MISTAKES, VARIANTS = corpus()


def by_id() -> dict[str, list[Mistake]]:
    found: dict[str, list[Mistake]] = {}
    for mistake in MISTAKES:
        if mistake.id:
            found.setdefault(mistake.id, []).append(mistake)
    return dict(sorted(found.items()))


@pytest.mark.parametrize("mistakes", [pytest.param(of[:3], id=identity) for identity, of in by_id().items()])
def test_each_id_is_named(mistakes):
    """The place every time; the name of one of the first three planted, since not each can be told in any system."""
    named = []
    for mistake in mistakes:
        verdict = judge(mistake, probe=False)
        assert verdict.where, str(verdict.report)
        named.append(verdict.right[:1] == [True])
        if named[-1]:
            return
    pytest.fail(f"none is named: {', '.join(m.wrong for m in mistakes)}")


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
