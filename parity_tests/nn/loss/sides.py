"""One loss of both sides on the same numbers, at the ends of the range, where no complex step goes."""

import numpy as np
import torch

from manual import nn
from parity_tests.parity import integers


def both(name, *inputs, upstream=None, **arguments):
    """Return (loss and gradients by hand), (the same with autograd), entry by entry; None where torch gives none.

    Arrays among the arguments are given to each side as it takes them.
    """
    hand = getattr(nn, name)(**arguments)
    loss, saved = hand.forward(*inputs)
    upstream = np.ones_like(loss) if upstream is None else upstream
    grads = hand.backward(upstream, saved)
    tensors = [torch.tensor(array, requires_grad=array.dtype.kind == "f") for array in inputs]
    arguments = {key: torch.tensor(a) if isinstance(a, np.ndarray) else a for key, a in arguments.items()}
    theirs = getattr(torch.nn, name)(**arguments)(*tensors)
    theirs.backward(torch.tensor(upstream))
    references = [tensor.grad if tensor.grad is None else tensor.grad.cpu().numpy() for tensor in tensors]
    return [loss, *grads], [theirs.detach().cpu().numpy(), *references]


def assert_same(name, *inputs, **arguments):
    """Assert that both sides give the same, to a few units of rounding; NaN and infinity in the same places."""
    for number, (hand, theirs) in enumerate(zip(*both(name, *inputs, **arguments), strict=True)):
        if hand is None or theirs is None:
            assert hand is theirs, f"{number}: {hand} by hand, {theirs} with autograd"
            continue
        assert np.asarray(hand).dtype == theirs.dtype
        eps = np.finfo(theirs.dtype).eps
        np.testing.assert_allclose(hand, theirs, rtol=8 * eps, atol=eps * 8 * _size(theirs), err_msg=str(number))


def classes(shape, ignored=None, seed=0):
    """Return class indices for an input of this shape, some of them `ignored`."""
    axis = min(1, len(shape) - 1)
    t = integers(*shape[:axis], *shape[axis + 1 :], below=shape[axis], seed=seed)
    return t if ignored is None else np.where(integers(*t.shape, below=3, seed=seed + 1) == 0, ignored, t)


def _size(array):
    return np.abs(array[np.isfinite(array)]).max(initial=0.0)
