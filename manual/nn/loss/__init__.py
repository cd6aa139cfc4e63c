"""Losses: modules whose last inputs are targets, `loss, saved = mse.forward(input, target)`."""

from manual.nn.loss.binary import BCELoss, BCEWithLogitsLoss, MultiLabelSoftMarginLoss, SoftMarginLoss
from manual.nn.loss.classification import CrossEntropyLoss, NLLLoss
from manual.nn.loss.embedding import CosineEmbeddingLoss, HingeEmbeddingLoss, TripletMarginLoss
from manual.nn.loss.likelihood import GaussianNLLLoss, KLDivLoss, PoissonNLLLoss
from manual.nn.loss.margin import MarginRankingLoss, MultiLabelMarginLoss, MultiMarginLoss
from manual.nn.loss.regression import HuberLoss, L1Loss, MSELoss, SmoothL1Loss

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
]
