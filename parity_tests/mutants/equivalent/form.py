"""The form of the lists, and what merges them."""

Equivalent = dict[tuple[str, str], dict[tuple[str, str], str]]


def merged(*lists: Equivalent) -> Equivalent:
    """Return all entries in one; an entry stands in one list alone."""
    whole: Equivalent = {}
    for one in lists:
        assert not whole.keys() & one.keys(), sorted(whole.keys() & one.keys())
        whole |= one
    return whole
