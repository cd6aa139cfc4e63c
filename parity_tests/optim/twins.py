"""One rule twice, by hand and torch's, on the same parameters and gradients, compared after every step.

    follow("Adam", {"amsgrad": True}, "float64", steps=100)

Parameters are of many shapes, a number and an empty array among them, in two groups, of which the second goes by
other options. Gradients are random, of sizes that differ, with zeros, and now and then one is missing.
"""

from typing import Any

import numpy as np
import torch

from manual import optim
from manual.module import Parameter

SHAPES = [(3, 2), (4,), (), (0, 3), (2, 1, 3)]
MATRICES = [(3, 2), (2, 5), (1, 1), (0, 3), (4, 4)]
# Units of rounding (eps times the largest entry) that 100 steps may lead apart. Measured over all the tests here:
# 31 at most. 1,000 units are 2e-13 in float64.
UNITS = 64


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
        self.worst = 0.0

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
        """Assert that two arrays have one shape and dtype, NaN in the same places, and the same numbers but for rounding."""
        theirs = other.numpy()
        assert isinstance(mine, np.ndarray), f"{name} is a {type(mine).__name__}"
        assert mine.shape == theirs.shape, f"{name}: {mine.shape}, torch {theirs.shape}"
        assert not dtypes or mine.dtype == theirs.dtype, f"{name}: {mine.dtype}, torch {theirs.dtype}"
        if np.array_equal(mine, theirs, equal_nan=True):
            return
        assert np.array_equal(np.isfinite(mine), np.isfinite(theirs)), f"{name}: {mine}, torch {theirs}"
        finite = np.isfinite(theirs)
        off = np.abs(mine[finite] - theirs[finite]).max() / (np.finfo(theirs.dtype).eps * np.abs(theirs[finite]).max())
        self.worst = max(self.worst, float(off))
        assert off <= units, f"{name} is {off:.1f} units of rounding off: {mine}, torch {theirs}"


def follow(
    rule: str, options: dict[str, Any], dtype: str, steps: int, other: dict[str, Any] | None = None, units: float = UNITS
) -> float:
    """Compare both sides after each of `steps` steps; return the largest difference in units of rounding."""
    twins = Twins(rule, options, dtype, other)
    for _ in range(steps):
        twins.step()
        twins.compare(units)
    return twins.worst
