"""Whether a backward is right for the user's own loss, whatever torch's is: a wrong forward alone is told apart so.

The loss is differentiated along a random direction: by a complex step, f(x + ih v).imag / h, which has no rounding
of its own, where the code takes complex numbers; else by central differences.
"""

import warnings
from collections.abc import Callable

import numpy as np

from handgrad.checking.record import Arrays
from handgrad.checking.user import REFUSALS, Answer

STEP, DIFFERENCE = 1e-100, 1e-5
AGREES, AGREES_DIFFERENCES = 1e-10, 1e-6


def consistent(loss: Callable[[Arrays, Arrays], complex], answer: Answer, p: Arrays, x: Arrays) -> bool | None:
    """Return whether `answer.grads` of the parameters are those of `loss`; None where that cannot be told."""
    rng = np.random.default_rng(0)
    along: Arrays = {name: np.asarray(rng.standard_normal(array.shape)) for name, array in p.items()}
    if any(name not in answer.grads or answer.grads[name].shape != v.shape for name, v in along.items()):
        return None
    hand = float(sum((answer.grads[name] * v).sum() for name, v in along.items()))
    size = float(sum(np.abs(answer.grads[name] * v).sum() for name, v in along.items()))
    moved = [_value(loss, p, x, along, step) for step in (DIFFERENCE, -DIFFERENCE, 1j * STEP)]
    if moved[0] is None or moved[1] is None or not np.isfinite([hand, size, moved[0].real, moved[1].real]).all():
        return None
    if size == 0 and moved[0] == moved[1]:
        return None  # a loss that is no function of the parameters yet, and no gradients
    difference = (moved[0].real - moved[1].real) / (2 * DIFFERENCE)
    if moved[2] is not None and abs(moved[2].imag / STEP - difference) <= AGREES_DIFFERENCES * size:
        return bool(abs(moved[2].imag / STEP - hand) <= AGREES * size)
    # The code drops imaginary parts (maximum, abs): differences tell less, but enough.
    return bool(abs(difference - hand) <= AGREES_DIFFERENCES * size)


def _value(
    loss: Callable[[Arrays, Arrays], complex], p: Arrays, x: Arrays, along: Arrays, step: complex
) -> complex | None:
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return complex(loss({name: array + step * along[name] for name, array in p.items()}, x))
    except REFUSALS:
        return None
