"""Losses: modules whose last inputs are targets, `loss, saved = mse.forward(input, target)`."""

from manual.nn.loss.binary import BCELoss, BCEWithLogitsLoss, MultiLabelSoftMarginLoss, SoftMarginLoss
from manual.nn.loss.classification import CrossEntropyLoss, NLLLoss
from manual.nn.loss.regression import HuberLoss, L1Loss, MSELoss, SmoothL1Loss

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "L1Loss",
    "MSELoss",
    "MultiLabelSoftMarginLoss",
    "NLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
]
