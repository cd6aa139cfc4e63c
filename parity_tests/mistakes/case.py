"""What a planted mistake is: a system with its right backward, and one switch that makes the backward wrong.

    forward(params, inputs)               with torch operations; returns (loss, {name: tensor})
    backward(params, inputs, wrong="")    by hand in NumPy; returns (loss, grads, intermediates)
    make(rng)                             fresh (params, inputs), of other sizes each time

`backward` is right as it stands; `wrong` names the one mistake that it is to make.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]


@dataclass(frozen=True, eq=False)
class System:
    """A small network, its forward in torch and its backward by hand; all intermediates have names."""

    name: str
    forward: Callable[[Arrays, Arrays], Any]
    backward: Callable[..., tuple[Any, Arrays, Arrays]]
    make: Callable[[np.random.Generator], tuple[Arrays, Arrays]]


@dataclass(frozen=True)
class Mistake:
    """One planted mistake.

    `wrong` is the switch that `System.backward` takes. `id` is the catalogue's, or "" for a mistake that has no
    entry there: the honest answer is then "no known cause". `first` is the tensor that goes wrong first with all
    intermediates named: a forward value's name ("z1"), or a gradient's ("dz1" of an intermediate or input,
    "dW1" of a parameter). `same` are further ids that no input can tell from this one: they may stand beside it.
    """

    system: System
    wrong: str
    id: str
    first: str
    stage: str = "backward"  # or "forward"
    same: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variant:
    """A legitimate variant: the switch gives another right backward. `reason` is a word of the note to expect."""

    system: System
    wrong: str
    reason: str = field(default="")
