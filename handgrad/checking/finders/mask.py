"""Another mask on the way back than dropout had in the forward: read from the numbers, since nobody knows it."""

from collections.abc import Iterator

import numpy as np
import torch

from handgrad.checking.record import Array
from handgrad.checking.search import Proposal, Search


def find(search: Search) -> Iterator[Proposal]:
    """Propose another mask of the same scale, read from the numbers: each entry has the gradient or none."""
    target = search.target
    for operation in search.near:
        if operation.kind != "dropout":
            continue
        use, x = search.use(operation), operation.roles["x"]
        scale, mask = operation.attributes["scale"], operation.attributes["mask"]
        whole, right = torch.from_numpy(scale * use.up), torch.from_numpy(use.true["x"])
        if x.shape != target.shape:
            continue
        full, part = (search.record.after([(x, change)], [target])[0].numpy() for change in (whole, right))
        with np.errstate(all="ignore"):
            share = np.where(full == 0, mask, (search.given - search.expected + part) / full)
        if not (np.abs(share * (share - 1)) < 1e-7).all():
            continue
        drawn = share > 0.5
        if _is_drawn(drawn, mask, full != 0):
            sentence = "the mask is not that of the forward: it was drawn again, or is that of another layer"
            change = torch.from_numpy(np.where(drawn, whole.numpy(), 0.0) - right.numpy())
            different = f"{int((drawn != mask).sum())} of {mask.size} entries of the mask are others"
            yield Proposal("DROP-NEW-MASK", sentence, different, [operation], [(x, change)])


def _is_drawn(drawn: Array, mask: Array, seen: Array) -> bool:
    """Return whether a pattern looks drawn: not all ones, not the mask turned round or one of its rows for all."""
    if drawn[seen].all() or not drawn[seen].any() or (drawn == ~mask)[seen].all():
        return False
    return not any(_alike(drawn, seen, axis) and not _alike(mask, seen, axis) for axis in range(drawn.ndim))


def _alike(pattern: Array, seen: Array, axis: int) -> bool:
    """Return whether a pattern is the same all along an axis, where it can be seen."""
    some, every = (pattern & seen).any(axis=axis), (pattern | ~seen).all(axis=axis)
    return bool((some == every)[seen.any(axis=axis)].all())
