"""A table of samples with names, and a check that it does not contradict itself."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
IGNORED = -100  # a target that does not count, as CrossEntropyLoss has it


@dataclass(frozen=True, eq=False)
class Data:
    """Samples as the network sees them: floats in float64, tokens and classes as integers.

    `inputs` (N, F) and `targets` (N, 1) of a table; images are (N, channels, height, width), texts (N, T) tokens.
    Where `classes` names them, targets are integers: classes (N,), or the token that follows each (N, T), IGNORED
    where none does. What a user types is turned into an input by (raw - shift) / scale,
    both (F,), in `units`. `labels` names the classes 0 and 1; without them the target is a number. `asked`
    are further inputs that the tutorial predicts, by name. `test_inputs`, `test_targets` are held out;
    `validation_inputs`, `validation_targets` are held out too, and looked at while the training goes on.

    Where a table gives numbers, `target` is their name, and an output times `target_scale` plus `target_shift` is in
    their units. `source` says where the samples were read, as source.py has it.
    """

    inputs: Array
    targets: Array
    features: tuple[str, ...]
    labels: tuple[str, str] | None = None
    rows: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    shift: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    asked: tuple[tuple[str, tuple[float, ...]], ...] = ()
    test_inputs: Array | None = None
    test_targets: Array | None = None
    classes: tuple[str, ...] = ()
    validation_inputs: Array | None = None
    validation_targets: Array | None = None
    target: str = ""
    target_shift: float = 0.0
    target_scale: float = 1.0
    source: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.classes:  # the numbers of a table may be given as integers
            object.__setattr__(self, "inputs", np.asarray(self.inputs, dtype=np.float64))
            object.__setattr__(self, "targets", np.asarray(self.targets, dtype=np.float64))

    def normalise(self, raw: Array) -> Array:
        """Return raw values (N, F), in this table's units, as inputs of the network."""
        shift = 0.0 if self.shift is None else np.array(self.shift)
        scale = 1.0 if self.scale is None else np.array(self.scale)
        return np.asarray((raw - shift) / scale)

    def label(self, output: float) -> str:
        """Return the class that an output of the network stands for: 1 above one half, else 0.

        np.round would do the same but for its half-to-even rule, which also gives 0 at exactly one half.
        """
        if self.labels is None:
            return ""
        return self.labels[1] if output > 0.5 else self.labels[0]

    def natural(self, outputs: Array) -> Array:
        """Return outputs, or targets, that are numbers in the units of the table they were read from."""
        return np.asarray(outputs * self.target_scale + self.target_shift)

    @property
    def parts(self) -> dict[str, tuple[Array, Array]]:
        """The inputs and targets of each part that there is: train, validate, test."""
        found = {
            "train": (self.inputs, self.targets),
            "validate": (self.validation_inputs, self.validation_targets),
            "test": (self.test_inputs, self.test_targets),
        }
        return {name: (x, t) for name, (x, t) in found.items() if x is not None and t is not None}


def contradictions(inputs: Iterable[Array], targets: Array) -> list[tuple[int, ...]]:
    """Return the groups of rows (counted from 1) that have equal inputs but not all the same target.

    No function of the inputs can get such rows right; the best output for them is the mean of their targets.
    """
    groups: dict[bytes, list[int]] = {}
    for number, row in enumerate(inputs, 1):
        # A digest is compared, and not the numbers: of 60,000 images that takes a second. Adding 0 makes -0 a 0.
        groups.setdefault(hashlib.blake2b((row + 0).tobytes(), digest_size=16).digest(), []).append(number)
    columns = targets.reshape(len(targets), -1)
    repeated = (rows for rows in groups.values() if len(rows) > 1)
    return [tuple(rows) for rows in repeated if len({tuple(columns[i - 1]) for i in rows}) > 1]
