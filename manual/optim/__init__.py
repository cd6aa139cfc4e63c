"""torch.optim by hand."""

from manual.optim.sgd import SGD

__all__ = ["SGD"]
