"""Tied maxima that share a gradient in any way: right, if every window's shares are none below 0 and sum to 1."""

from collections.abc import Iterator

import numpy as np
import torch

from handgrad.checking.operations import Operation
from handgrad.checking.record import Array
from handgrad.checking.rules.windows import Windows
from handgrad.checking.search import Proposal, Search

SAME = 1e-9


def find(search: Search) -> Iterator[Proposal]:
    """Propose other shares of the tied maxima of windows side by side, as they stand in the numbers."""
    for operation in search.near:
        if operation.kind != "max_pool" or operation.roles["x"] is not search.target:
            continue
        use = search.use(operation)
        share = search.given - search.expected + use.true["x"]
        if _splits(operation, share, use.up):
            sentence = "a maximum is tied, and any shares of its gradient that sum to it are right"
            change = torch.from_numpy(share - use.true["x"])
            yield Proposal("CTRL-SUBGRADIENT", sentence, "", [operation], [(search.target, change)], fine=True)


def _splits(operation: Operation, share: Array, up: Array) -> bool:
    """Return whether these numbers are `up`, split in every window among its maxima."""
    windows: Windows = operation.attributes["windows"]
    if windows.stride != windows.size or any(windows.padding) or set(windows.dilation) != {1}:
        return False
    lead = up.shape[:-2]
    largest = windows.take(operation["x"], -np.inf) == operation["y"].reshape(*lead, 1, 1, *windows.count)
    given = windows.take(share, 0.0)
    slack = SAME * float(np.abs(up).max(initial=0.0))
    whole = up.reshape(*lead, 1, 1, *windows.count)
    covered = windows.add(np.ones_like(given))[tuple(slice(n) for n in share.shape)]
    return bool(
        (np.abs(given.sum(axis=(-3, -4)) - up) <= slack).all()
        and (np.abs(given[~largest]) <= slack).all()
        and (given * np.sign(whole) >= -slack).all()
        and (np.abs(share[covered == 0]) <= slack).all()
    )
