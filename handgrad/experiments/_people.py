"""The four people of Zhou's tutorial, and the two whom it asks about afterwards."""

import numpy as np

from handgrad.data import Data

# Weight in pounds, height in inches, 1 for female.
TABLE = {"Alice": (133, 65, 1), "Bob": (160, 72, 0), "Charlie": (152, 70, 0), "Diana": (120, 60, 1)}
ASKED = {"Emily": (128, 63), "Frank": (155, 68)}
SHIFT = (135.0, 66.0)  # chosen by eye in the tutorial; the means are 141.25 and 66.75
MEANS = (141.25, 66.75)


def people(*only: str, shift: tuple[float, ...] = SHIFT) -> Data:
    """Return the people named (all four, without names), their weight and height less `shift`."""
    names = only or tuple(TABLE)
    rows = np.array([TABLE[name] for name in names], dtype=np.float64)
    return Data(
        inputs=rows[:, :2] - np.array(shift),
        targets=rows[:, 2:],
        features=("weight", "height"),
        labels=("M", "F"),
        rows=names,
        units=("lb", "in"),
        shift=shift,
        asked=tuple((name, (w - shift[0], h - shift[1])) for name, (w, h) in ASKED.items()),
    )
