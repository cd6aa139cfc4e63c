"""Schedulers of every kind, built by one function for both sides, and what compares them step by step."""

import numpy as np
import torch

from manual import nn, optim
from manual.optim import lr_scheduler

LRS = [0.3, 1.0, 0.007]
OURS, TORCH = lr_scheduler, torch.optim.lr_scheduler


def optimizers(rule="SGD", lrs=LRS, **options):
    """Return the rule by hand and torch's, with one group for each rate."""
    mine = [{"params": [nn.Parameter(np.ones(1))], "lr": lr} for lr in lrs]
    others = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": lr} for lr in lrs]
    return getattr(optim, rule)(mine, **options), getattr(torch.optim, rule)(others, **options)


def options(optimizer):
    """Return all that a scheduler may set in the groups."""
    return [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]


def follow(build, steps=100, rule="SGD", change=None, **arguments):
    """Compare rates, and all other options, after each step; return both schedulers."""
    ours, theirs = optimizers(rule, **arguments)
    mine, other = build(OURS, ours), build(TORCH, theirs)
    for step in range(steps):
        assert mine.get_last_lr() == other.get_last_lr(), f"step {step}"
        assert options(ours) == options(theirs), f"step {step}"
        if step == change:
            ours.param_groups[1]["lr"] = theirs.param_groups[1]["lr"] = 0.123
        for optimizer, scheduler in ((ours, mine), (theirs, other)):
            optimizer.step()
            scheduler.step()
        assert mine.last_epoch == other.last_epoch if hasattr(other, "last_epoch") else True
    assert mine.get_last_lr() == other.get_last_lr()
    return mine, other


LAMBDAS = [lambda t: 0.9**t, lambda t: 1 / (1 + t), lambda t: np.cos(t / 50)]
CASES = {
    "lambda": lambda s, o: s.LambdaLR(o, lambda t: 0.95**t),
    "lambda a group": lambda s, o: s.LambdaLR(o, LAMBDAS),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda t: 0.95 + 0.001 * t),
    "multiplicative a group": lambda s, o: s.MultiplicativeLR(o, LAMBDAS),
    "step": lambda s, o: s.StepLR(o, 7),
    "step gamma": lambda s, o: s.StepLR(o, 1, gamma=0.93),
    "milestones": lambda s, o: s.MultiStepLR(o, [70, 3, 12, 12, 40], gamma=0.3),
    "milestone 0": lambda s, o: s.MultiStepLR(o, [0, 5]),
    "constant": lambda s, o: s.ConstantLR(o),
    "constant long": lambda s, o: s.ConstantLR(o, factor=0.7, total_iters=33),
    "linear": lambda s, o: s.LinearLR(o),
    "linear down": lambda s, o: s.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=60),
    "linear up": lambda s, o: s.LinearLR(o, start_factor=0.01, end_factor=0.9, total_iters=77),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.97),
    "polynomial": lambda s, o: s.PolynomialLR(o),
    "polynomial square": lambda s, o: s.PolynomialLR(o, total_iters=80, power=2.3),
    "polynomial of power 0": lambda s, o: s.PolynomialLR(o, total_iters=80, power=0),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, T_max=100),
    "cosine again and again": lambda s, o: s.CosineAnnealingLR(o, T_max=9, eta_min=0.002),
    "cosine of one step": lambda s, o: s.CosineAnnealingLR(o, 1),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 7),
    "restarts longer": lambda s, o: s.CosineAnnealingWarmRestarts(o, T_0=3, T_mult=2, eta_min=0.01),
    "one cycle": lambda s, o: s.OneCycleLR(o, max_lr=2.0, total_steps=100),
    "one cycle epochs": lambda s, o: s.OneCycleLR(o, max_lr=[2.0, 0.5, 1.0], epochs=21, steps_per_epoch=5),
    "one cycle linear": lambda s, o: s.OneCycleLR(o, 2.0, 100, anneal_strategy="linear", pct_start=0.0),
    "one cycle options": lambda s, o: s.OneCycleLR(
        *(o, 2.0, 110, None, None, 0.2), base_momentum=(0.5, 0.6, 0.7), max_momentum=0.99, div_factor=7
    ),
    "one cycle ends": lambda s, o: s.OneCycleLR(o, 2.0, 101, final_div_factor=9.0, pct_start=1.0),
    "one cycle in three": lambda s, o: s.OneCycleLR(o, 2.0, 101, three_phase=True),
    "one cycle in three linear": lambda s, o: s.OneCycleLR(
        o, 2.0, 101, three_phase=True, anneal_strategy="linear", cycle_momentum=False
    ),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.1, 0.9, 7),
    "cyclic after another": lambda s, o: (s.ConstantLR(o), s.CyclicLR(o, 0.1, 0.9, 4))[1],
    "cyclic uneven": lambda s, o: s.CyclicLR(o, [0.1, 0.2, 0.3], [0.9, 1.9, 2.9], 7, 3, mode="triangular2"),
    "cyclic without a way down": lambda s, o: s.CyclicLR(o, 0.1, 0.9, 4, 0),
    "cyclic exponential": lambda s, o: s.CyclicLR(
        o, 0.1, 0.9, 4, 9, "exp_range", 0.98, base_momentum=0.6, max_momentum=[0.7, 0.8, 0.9]
    ),
    "cyclic scale": lambda s, o: s.CyclicLR(o, 0.1, 0.9, 4, scale_fn=lambda c: 1 / c, mode="mine"),
    "cyclic scale of steps": lambda s, o: s.CyclicLR(
        o, 0.1, 0.9, 4, scale_fn=lambda t: 0.9**t, scale_mode="iterations", cycle_momentum=False
    ),
    "warm-up, then cosine": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=10), s.CosineAnnealingLR(o, 70)], [10]
    ),
    "four in a row": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9), s.StepLR(o, 4), s.LambdaLR(o, LAMBDAS)], [5, 20, 50]
    ),
    "five in a row": lambda s, o: s.SequentialLR(
        *(o, [s.PolynomialLR(o, 30), s.MultiStepLR(o, [2, 4]), s.LinearLR(o), s.ConstantLR(o), s.StepLR(o, 2)]),
        [10, 20, 30, 40],
    ),
    "a row that begins late": lambda s, o: s.SequentialLR(o, [s.ConstantLR(o, 0.5), s.ExponentialLR(o, 0.9)], [0]),
    "restarts after multiplying": lambda s, o: s.SequentialLR(
        o, [s.MultiplicativeLR(o, LAMBDAS), s.CosineAnnealingWarmRestarts(o, 7)], [12]
    ),
    "restarts, then falling": lambda s, o: s.SequentialLR(
        o, [s.CosineAnnealingWarmRestarts(o, 7), s.ExponentialLR(o, 0.9)], [12]
    ),
    "a row of one": lambda s, o: s.SequentialLR(o, [s.ExponentialLR(o, 0.9)], []),
    "a row in a row": lambda s, o: s.SequentialLR(
        o, [s.SequentialLR(o, [s.ConstantLR(o), s.ExponentialLR(o, 0.9)], [7]), s.StepLR(o, 3)], [20]
    ),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 9), s.ExponentialLR(o, 0.95), s.StepLR(o, 20)]),
    "a chain of one": lambda s, o: s.ChainedScheduler([s.ExponentialLR(o, 0.95)]),
    "chained, optimizer named": lambda s, o: s.ChainedScheduler([s.ExponentialLR(o, 0.95)], optimizer=o),
    "a chain in a row": lambda s, o: s.SequentialLR(
        o, [s.ChainedScheduler([s.LinearLR(o), s.ExponentialLR(o, 0.9)]), s.StepLR(o, 3)], [20]
    ),
}  # fmt: skip
