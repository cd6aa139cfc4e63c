"""torch.optim.lr_scheduler by hand: what sets the learning rate of every group, step after step."""

from manual.optim.lr_scheduler.annealing import CosineAnnealingLR, CosineAnnealingWarmRestarts
from manual.optim.lr_scheduler.composed import ChainedScheduler, SequentialLR
from manual.optim.lr_scheduler.cycles import CyclicLR, OneCycleLR
from manual.optim.lr_scheduler.factors import ConstantLR, ExponentialLR, LinearLR, MultiStepLR, PolynomialLR, StepLR
from manual.optim.lr_scheduler.lambdas import LambdaLR, MultiplicativeLR
from manual.optim.lr_scheduler.plateau import ReduceLROnPlateau
from manual.optim.lr_scheduler.scheduler import LRScheduler

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
