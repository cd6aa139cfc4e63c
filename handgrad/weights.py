"""Weights that both sides share: drawn once in NumPy, copied to each, kept as .npz under torch's keys."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import manual.networks
from handgrad.arrays import DamagedError, read_arrays, write_arrays
from handgrad.build import BY_OPTIONS, build
from handgrad.errors import UsageError
from handgrad.experiment import Network, State
from handgrad.files import written_beside

Array = np.ndarray[Any, np.dtype[Any]]

# Where each of the tutorial's nine scalars stands in Sequential(Linear(2, 2), Sigmoid, Linear(2, 1), Sigmoid).
NINE_SCALARS: dict[str, tuple[str, tuple[int, ...]]] = {
    "w1": ("0.weight", (0, 0)),
    "w2": ("0.weight", (0, 1)),
    "w3": ("0.weight", (1, 0)),
    "w4": ("0.weight", (1, 1)),
    "w5": ("2.weight", (0, 0)),
    "w6": ("2.weight", (0, 1)),
    "b1": ("0.bias", (0,)),
    "b2": ("0.bias", (1,)),
    "b3": ("2.bias", (0,)),
}


def layer_shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Return torch's state-dict keys of a network with their shapes, in order; of the nine scalars, as layers."""
    if network.name in BY_OPTIONS:
        return {name: value.shape for name, value in by_network(0, network).items()}
    shapes: dict[str, tuple[int, ...]] = {}
    for index, (inputs, outputs) in enumerate(pairwise(network.sizes)):
        shapes[f"{2 * index}.weight"] = (outputs, inputs)
        if network.bias:
            shapes[f"{2 * index}.bias"] = (outputs,)
    return shapes


def normal(seed: int, network: Network) -> State:
    """Draw a layered network's weights from N(0, 1), and then its biases, as the tutorial draws w1..w6, b1..b3.

    The generator is numpy's legacy RandomState(seed), so that `np.random.seed(seed)` gives the same.
    """
    random = np.random.RandomState(seed)
    shapes = layer_shapes(network)
    drawn = {k: random.normal(size=shapes[k]) for k in sorted(shapes, key=lambda k: k.endswith("bias"))}
    return {k: drawn[k] for k in shapes}


def by_network(seed: int, network: Network) -> State:
    """Return the weights that the hand-written network draws for itself, from default_rng([seed, 0])."""
    module = build(manual.networks, network, True, dtype=np.float64, generator=np.random.default_rng([seed, 0]))
    return dict(module.state_dict())


def layers(network: Network, state: Mapping[str, Array]) -> list[tuple[Array, Array | None]]:
    """Return a state under torch's keys as (W, b) of each layer, also for the single neurons; b None without bias."""
    if network.name == "neuron":
        return [(state["weight"][None], state["bias"][None])]
    if network.name == "neuron_network":
        hidden = [np.stack([state[f"{name}.{part}"] for name in ("h1", "h2")]) for part in ("weight", "bias")]
        return [(hidden[0], hidden[1]), (state["o1.weight"][None], state["o1.bias"][None])]
    return [(w, state.get(k.replace("weight", "bias"))) for k, w in state.items() if k.endswith("weight")]


def scalars_to_layers(scalars: Mapping[str, Array]) -> State:
    """Return the nine scalars as the four tensors of the layered network that is the same function."""
    state = {"0.weight": np.empty((2, 2)), "0.bias": np.empty(2), "2.weight": np.empty((1, 2)), "2.bias": np.empty(1)}
    state = {key: value.astype(np.asarray(scalars["w1"]).dtype) for key, value in state.items()}
    for name, (key, index) in NINE_SCALARS.items():
        state[key][index] = scalars[name]
    return state


def layers_to_scalars(state: Mapping[str, Array]) -> State:
    """Return the four tensors of a 2-2-1 layered network as the nine scalars w1..w6, b1..b3."""
    return {name: np.array(state[key][index]) for name, (key, index) in NINE_SCALARS.items()}


def to_network(state: Mapping[str, Array], network: Network, dtype: np.dtype[Any]) -> State:
    """Return copies of `state` under the names that the network's own parameters have."""
    named = layers_to_scalars(state) if network.name == "two_two_one" else state
    return {name: np.array(value, dtype=dtype) for name, value in named.items()}


def from_network(state: Mapping[str, Array], network: Network) -> State:
    """Return a network's own state under torch's state-dict keys; the reverse of `to_network`."""
    named = scalars_to_layers(state) if network.name == "two_two_one" else state
    return {name: np.array(value) for name, value in named.items()}


def save(path: Path, state: Mapping[str, Array]) -> None:
    """Write `state` to an .npz file, beside it first and then renamed, so that no half file is left."""
    with written_beside(path) as file:
        write_arrays(file, state)


def load(path: Path, network: Network) -> State:
    """Read the weights of `network` from an .npz file.

    Raises UsageError, in one sentence, for a file that is missing, damaged, a pickle, or of another network.
    """
    try:
        state = read_arrays(path)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; train.py leaves one in its --out folder") from None
    except DamagedError as error:
        raise UsageError(f"{error}; train again to replace it") from None
    _check(path, state, layer_shapes(network), network)
    return state


def _check(path: Path, state: State, expected: Mapping[str, tuple[int, ...]], network: Network) -> None:
    if set(state) != set(expected):
        raise UsageError(f"{path} has {sorted(state)}, but {network} needs {sorted(expected)}: another architecture")
    for name, shape in expected.items():
        if state[name].shape != shape:
            raise UsageError(f"{path}: {name} has shape {state[name].shape}, but {network} needs {shape}")
        if state[name].dtype.kind != "f":
            raise UsageError(f"{path}: {name} holds {state[name].dtype}, but weights are floats")
        if not np.isfinite(state[name]).all():
            raise UsageError(f"{path}: {name} holds NaN or infinity; train again from finite weights")
