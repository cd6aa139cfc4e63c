"""All parameters' gradients are wrong by one factor: it is told of all together, or of the one that is."""

from collections.abc import Iterator

from handgrad.checking.finders.shapes import near
from handgrad.checking.search import Proposal, Search

TWICE = "the gradient comes twice: it is added twice, or to a buffer that was not set to zero"


def find(search: Search) -> Iterator[Proposal]:
    """Yield a factor on the gradients of all parameters, and the factor 2 on this one."""
    leaves = [search.record.named[name] for name in search.record.parameters]
    if not any(t is search.target for t in leaves) or not search.expected.any():
        return
    every = [(t, search.up(t)) for t in leaves]
    for factor, identity, sentence in _factors(search.sizes.get("the batch size", 0.0)):
        if near(search.given, factor * search.expected, search.fit):
            yield Proposal(identity, sentence, "", [], [(t, (factor - 1) * g) for t, g in every])
    if near(search.given, 2 * search.expected, search.fit) and search.target.numel() > 1:
        yield Proposal("ACC-DOUBLE-COUNT", TWICE, "", [], [(search.target, search.up(search.target))])


def _factors(batch: float) -> Iterator[tuple[float, str, str]]:
    yield 2.0, "STATE-NOT-ZEROED", "every gradient is added to a buffer that was not set to zero: it comes twice"
    if batch > 1:
        with_n = f"with N = {batch:g}"
        yield 1 / batch, "LOSS-DOUBLE-MEAN", f"1/N {with_n} is applied once too often, to every parameter's gradient"
        yield batch, "LOSS-NO-MEAN", f"1/N {with_n} is missing in every parameter's gradient"
