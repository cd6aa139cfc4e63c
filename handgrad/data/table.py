"""A table of samples with names, and a check that it does not contradict itself."""

import hashlib
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
    are further inputs that the tutorial predicts, by name. `test_inputs`, `test_targets` are held out, and apart from
    them those that a training is watched by, `validation_inputs`, `validation_targets`.
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
    validation_inputs: Array | None = None
    validation_targets: Array | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.classes:  # the numbers of a table may be given as integers
            object.__setattr__(self, "inputs", np.asarray(self.inputs, dtype=np.float64))
            object.__setattr__(self, "targets", np.asarray(self.targets, dtype=np.float64))

    def parts(self) -> dict[str, tuple[Array, Array]]:
        """Return inputs and targets of every part that there is: training, validation, test."""
        found = {"training": (self.inputs, self.targets)}
        for name, inputs, targets in (
            ("validation", self.validation_inputs, self.validation_targets),
            ("test", self.test_inputs, self.test_targets),
        ):
            if inputs is not None and targets is not None:
                found[name] = (inputs, targets)
        return found

    def fingerprint(self) -> str:
        """Return a hash of all samples, so that a training goes on with the same ones alone."""
        found = hashlib.sha256()
        for name, arrays in self.parts().items():
            for array in arrays:
                found.update(f"{name} {array.dtype} {array.shape}".encode())
                found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

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


def contradictions(inputs: Array, targets: Array) -> list[tuple[int, ...]]:
    """Return the groups of rows (counted from 1) that have equal inputs but not all the same target.

    No function of the inputs can get such rows right; the best output for them is the mean of their targets.
    """
    groups: dict[tuple[float, ...], list[int]] = {}
    for number, row in enumerate(inputs, 1):
        groups.setdefault(tuple(row), []).append(number)
    return [tuple(rows) for rows in groups.values() if len({tuple(targets[i - 1]) for i in rows}) > 1]
