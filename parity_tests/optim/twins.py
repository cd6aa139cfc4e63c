"""One rule twice, by hand and torch's, on the same parameters and gradients, compared after every step.

    follow("Adam", {"amsgrad": True}, "float64", steps=100)

Parameters are of many shapes, a number and an empty array among them, in two groups, of which the second goes by
other options. Gradients are random, of sizes that differ, with zeros, and now and then one is missing.

torch's Muon rounds its matrices to bfloat16 whatever the parameters are. Here it runs with that one cast left out, in
the parameters' own dtype; `test_muon.py` holds the two against each other.
"""

from typing import Any
from unittest import mock

import numpy as np
import torch

from manual import optim
from manual.module import Parameter

SHAPES = [(3, 2), (4,), (), (0, 3), (2, 1, 3)]
MATRICES = [(3, 2), (2, 5), (1, 1), (0, 3), (4, 4)]
# Units of rounding, eps times the largest entry so far, by which 100 steps may lead apart: 3.6e-15 in float64.
# Measured over all the tables here: 7.7 at most, where RMSprop subtracts (centered), and 3.6 in most rules.
UNITS = 16


def to_torch(value: Any) -> torch.Tensor:
    """Return a tensor with a copy of the array."""
    return torch.tensor(np.asarray(value))


class Twins:
    """The two optimizers, with parameters of their own that start alike."""

    def __init__(self, rule: str, options: dict[str, Any], dtype: str, other: dict[str, Any] | None = None) -> None:
        self.random = np.random.default_rng([len(rule), len(options)])
        self.dtype = dtype
        shapes = MATRICES if rule == "Muon" else SHAPES
        arrays = [(2 * self.random.normal(size=shape)).astype(dtype) for shape in shapes]
        self.hand = [Parameter(array.copy()) for array in arrays]
        self.theirs = [torch.nn.Parameter(to_torch(array)) for array in arrays]
        self.rule = rule
        self.ours, self.torchs = (
            getattr(where, rule)([{"params": ps[:3]}, {"params": ps[3:], **(other or {})}], **options)
            for where, ps in ((optim, self.hand), (torch.optim, self.theirs))
        )
        self.worst, self.scales = 0.0, dict[str, float]()

    def gradient(self, shape: tuple[int, ...]) -> Any:
        """Return the next gradient: normal numbers of one of three sizes, a fifth of them 0."""
        size = self.random.choice([0.1, 1.0, 3.0])
        entries = size * self.random.normal(size=shape) * (self.random.random(shape) < 0.8)
        return np.asarray(entries).astype(self.dtype)

    def step(self) -> None:
        """Give both sides the same gradients and let them step; every seventh gradient or so is missing."""
        self.ours.zero_grad()
        self.torchs.zero_grad()
        for p, q in zip(self.hand, self.theirs, strict=True):
            if self.random.random() < 0.85:
                grad = self.gradient(p.shape)
                p.grad, q.grad = grad, to_torch(grad)
        self.ours.step()
        with mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone):
            self.torchs.step()

    def compare(self, units: float = UNITS, dtypes: bool = True) -> None:
        """Assert that parameters, states and options are the same on both sides."""
        for i, (p, q) in enumerate(zip(self.hand, self.theirs, strict=True)):
            self.same(f"parameter {i}", p.data, q.detach(), units, dtypes)
            state, other = self.ours.state.get(p, {}), self.torchs.state.get(q, {})
            assert sorted(state) == sorted(other)
            for key in state:
                self.same(f"{key} of parameter {i}", state[key], other[key], units, dtypes)

    def same(self, name: str, mine: Any, other: torch.Tensor, units: float, dtypes: bool) -> None:
        """Assert one shape, one dtype, NaN and infinity in the same places, and the same numbers but for rounding."""
        theirs = other.cpu().numpy()
        assert isinstance(mine, np.ndarray), f"{name} is a {type(mine).__name__}"
        assert mine.shape == theirs.shape, f"{name}: {mine.shape}, torch {theirs.shape}"
        assert not dtypes or mine.dtype == theirs.dtype, f"{name}: {mine.dtype}, torch {theirs.dtype}"
        finite = np.isfinite(theirs)
        assert np.array_equal(mine[~finite], theirs[~finite], equal_nan=True), f"{name}: {mine}, torch {theirs}"
        if not finite.any():
            return
        # What an array was made of is what it has been: a number that passes 0 keeps the roundings from before.
        self.scales[name] = max(self.scales.get(name, 0.0), float(np.abs(theirs[finite]).max()))
        unit = np.finfo(theirs.dtype).eps * self.scales[name] or np.finfo(theirs.dtype).tiny
        off = np.abs(mine[finite] - theirs[finite]).max() / unit
        self.worst = max(self.worst, float(off))
        assert off <= units, f"{name} is {off:.1f} units of rounding off: {mine}, torch {theirs}"


def follow(
    rule: str,
    options: dict[str, Any],
    dtype: str,
    steps: int,
    other: dict[str, Any] | None = None,
    units: float = UNITS,
) -> float:
    """Compare both sides after each of `steps` steps; return the largest difference in units of rounding."""
    twins = Twins(rule, options, dtype, other)
    for _ in range(steps):
        twins.step()
        twins.compare(units)
    return twins.worst
