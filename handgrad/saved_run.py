"""A run folder that is read back: every value of its config is checked before it is used."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from handgrad import weights
from handgrad.build import BY_OPTIONS
from handgrad.data import Data
from handgrad.errors import UsageError
from handgrad.experiment import Network
from handgrad.runs import FORMAT

NETWORKS = ("two_two_one", "perceptron", "mlp", *BY_OPTIONS)
OPTIONS = {
    "convnet": ("image_size",),
    "char_rnn": ("vocabulary", "embedding_dim", "hidden_size", "cell"),
    "gpt": ("vocabulary", "block_size", "n_embd", "n_head", "n_layer"),
}
OPTIONAL = {"convnet": ("classes",)}  # of other images than the digits
KINDS = ("packaged", "csv", "idx", "text", "names")
SEQUENCES = ("char_rnn", "gpt")
LARGEST = 1024  # of any option
WEIGHTS = {"last": "weights.npz", "best": "best.npz"}
COUNTS = {"two_two_one": 3, "perceptron": 2}  # how many sizes a network has; an mlp has two or more


class Run:
    """What predict needs of a run: network, weights, how its inputs are made and what an output means.

    `which` are the weights: last, or best, as they were at the lowest loss that was reported.

    Raises UsageError, in one sentence, for a folder that is not such a run.
    """

    def __init__(self, folder: Path, which: str = "last") -> None:
        self._path = folder / "config.json"
        config = _read(self._path)
        self.experiment_name = self._text(config, "experiment")
        self.side = self._one_of(config, "side", ("manual", "torch"))
        self.dtype = self._one_of(config, "dtype", ("float64", "float32"))
        self.network = self._network(self._part(config, "network"))
        self.data = self._table(self._part(config, "data"))
        self.state = weights.load(folder / WEIGHTS[which], self.network)

    def _need(self, good: bool, name: str, value: Any) -> None:
        if not good:
            raise UsageError(f"{self._path}: {name} is {str(value)[:40]!r}, which no run of train.py has; train again")

    def _part(self, config: dict[str, Any], name: str) -> dict[str, Any]:
        part = config.get(name)
        self._need(isinstance(part, dict), name, part)
        return dict(part or {})

    def _text(self, config: dict[str, Any], name: str) -> str:
        self._need(isinstance(config.get(name), str), name, config.get(name))
        return str(config[name])

    def _one_of(self, config: dict[str, Any], name: str, values: tuple[str, ...]) -> str:
        self._need(config.get(name) in values, name, config.get(name))
        return str(config[name])

    def _network(self, part: dict[str, Any]) -> Network:
        name, output = self._one_of(part, "name", NETWORKS), self._one_of(part, "output", ("sigmoid", "identity"))
        sizes = part.get("sizes")
        good = isinstance(sizes, list) and all(type(size) is int and 0 < size <= 10**6 for size in sizes)
        self._need(
            good and len(sizes or []) >= 2 and len(sizes or []) == COUNTS.get(name, len(sizes or [])), "sizes", sizes
        )
        for flag in ("bias", "published"):
            self._need(isinstance(part.get(flag), bool), flag, part.get(flag))
        network = Network(name, tuple(sizes or []), part["bias"], output, part["published"], self._options(name, part))
        try:
            weights.layer_shapes(network)
        except ValueError as error:
            raise UsageError(f"{self._path}: there is no such network ({error}); train again") from None
        return network

    def _options(self, name: str, part: dict[str, Any]) -> tuple[tuple[str, int | str], ...]:
        """Return what a network's class is given by name; runs of the tutorials' networks may lack the entry."""
        given = part.get("options", {})
        needed, allowed = OPTIONS.get(name, ()), (*OPTIONS.get(name, ()), *OPTIONAL.get(name, ()))
        self._need(isinstance(given, dict) and set(needed) <= set(given) <= set(allowed), "options", given)
        for option, value in given.items():
            good = (type(value) is int and 0 < value <= LARGEST) or (option == "cell" and isinstance(value, str))
            self._need(good, option, value)
        return tuple((option, given[option]) for option in allowed if option in given)

    def _table(self, part: dict[str, Any]) -> Data:
        source = self._source(part)
        outputs = self.network.sizes[-1]
        classes = self._texts(part, "classes", (outputs,)) if part.get("classes") else ()
        if classes and source["kind"] != "csv":  # images or characters: no table that a user could type
            features = self._texts(part, "features", (1,))
            return Data(np.empty((0, 1)), np.empty(0, dtype=np.int64), features, classes=classes, source=source)
        count = self.network.sizes[0]
        features = self._texts(part, "features", (count,))
        self._need(len(set(features)) == count, "features", features)
        labels = self._texts(part, "labels", (2,)) if part.get("labels") is not None else None
        scale = self._numbers(part, "scale", count)
        self._need(scale is None or 0 not in scale, "scale", scale)
        return Data(
            inputs=np.empty((0, count)),
            targets=np.empty((0, 1)),
            features=features,
            units=self._texts(part, "units", (0, count)),
            shift=self._numbers(part, "shift", count),
            scale=scale,
            labels=None if labels is None else (labels[0], labels[1]),
            classes=classes,
            **self._target(part),
            source=source,
        )

    def _source(self, part: dict[str, Any]) -> dict[str, Any]:
        """Return where the samples were read; runs of the first version lack it."""
        source = part.get("source", {"kind": "packaged", "sha256": ""})
        self._need(isinstance(source, dict) and source.get("kind") in KINDS, "source", source)
        self._need(isinstance(source.get("path", ""), str), "path", source.get("path"))
        block = source.get("block", 1)
        self._need(type(block) is int and 0 < block <= LARGEST, "block", block)
        return dict(source)

    def _target(self, part: dict[str, Any]) -> dict[str, Any]:
        """Return what turns an output into a number in the target's units; runs of the first version lack it."""
        name = self._text({"target": "", **part}, "target")
        found: dict[str, Any] = {"target": name}
        for key, default in (("target_shift", 0.0), ("target_scale", 1.0)):
            value = part.get(key, default)
            self._need(type(value) in (int, float) and math.isfinite(value), key, value)
            found[key] = float(value)
        self._need(found["target_scale"] != 0, "target_scale", 0)
        return found

    def _texts(self, part: dict[str, Any], name: str, lengths: tuple[int, ...]) -> tuple[str, ...]:
        values = part.get(name)
        good = isinstance(values, list) and len(values) in lengths and all(isinstance(v, str) for v in values)
        self._need(good, name, values)
        return tuple(values or ())

    def _numbers(self, part: dict[str, Any], name: str, length: int) -> tuple[float, ...] | None:
        self._need(name in part, name, "missing")
        values = part[name]
        if values is None:
            return None
        good = isinstance(values, list) and len(values) == length
        good = good and all(type(value) in (int, float) and math.isfinite(value) for value in values)
        self._need(good, name, values)
        return tuple(float(value) for value in values)


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; name a folder that train.py --out has left") from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}); name a folder that train.py --out has left"
        ) from None
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON
        raise UsageError(f"{path} cannot be read ({type(error).__name__}); train again to replace it") from None
    if not isinstance(config, dict) or type(config.get("format")) is not int or config["format"] != FORMAT:
        raise UsageError(f"{path} is not of format {FORMAT}, which is what this version reads; train again")
    return config
