"""What the systems share: sizes that are never alike, and handing back the local variables by their names."""

from typing import Any

import numpy as np

from parity_tests.mistakes.case import Array, Arrays


def sizes(rng: np.random.Generator, count: int, low: int = 3, high: int = 10) -> list[int]:
    """`count` different sizes between `low` and `high`."""
    return [int(size) for size in rng.permutation(np.arange(low, high + 1))[:count]]


def normal(rng: np.random.Generator, *shape: int, scale: float = 0.7) -> Array:
    """Normal numbers of this shape."""
    return scale * rng.standard_normal(shape)


def gains(rng: np.random.Generator, *shape: int) -> Array:
    """Gains of a normalisation: of either sign, none near 0 or 1."""
    return rng.uniform(1.3, 2.2, shape) * rng.choice([-1.0, 1.0], shape)


def pick(scope: dict[str, Any], names: str) -> dict[str, Any]:
    """The local variables of these names, in this order."""
    return {name: scope[name] for name in names.split()}


def by_hand(scope: dict[str, Any], names: str) -> tuple[Arrays, Arrays]:
    """(grads, intermediates) from a backward's local variables: "dW" of each parameter "W"; "z", "dz" of each name."""
    grads = {name: scope["d" + name] for name in scope["params"]}
    values = {name: np.asarray(scope[name]) for name in names.split()}
    reached = [*names.split(), *scope["inputs"]]
    return grads, values | {"d" + name: scope["d" + name] for name in reached if "d" + name in scope}
